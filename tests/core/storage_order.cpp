// SPDX-License-Identifier: MIT
// tests/core/storage_order.cpp: column-major, fixed-size and array arguments, read by index, and their
// results
#include <heed/attention.hpp>
#include <heed/cummax.hpp>
#include <heed/linear.hpp>
#include <heed/sparse.hpp>
#include <heed/state.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/tensors.hpp"

namespace {

template <class T, int Rank>
using column_tensor = Eigen::Tensor<T, Rank, Eigen::ColMajor>;
using row_matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The same numbers at the same indices, in the other order of memory.
template <class T, int Rank>
column_tensor<T, Rank> by_columns(const support::tensor<T, Rank>& t) {
    Eigen::array<int, Rank> backwards;
    for (int i = 0; i < Rank; ++i) backwards[static_cast<std::size_t>(i)] = Rank - 1 - i;
    return t.swap_layout().shuffle(backwards);
}
template <class T, int Rank>
bool same_numbers(const column_tensor<T, Rank>& a, const support::tensor<T, Rank>& b) {
    const column_tensor<T, Rank> c = by_columns(b);
    return a.dimensions() == c.dimensions() &&
           support::same_bits(a.data(), c.data(), static_cast<std::size_t>(a.size()));
}
template <class A, class B>
bool same_entries(const A& a, const B& b) {
    bool same = a.rows() == b.rows() && a.cols() == b.cols();
    for (Eigen::Index i = 0; same && i < a.rows(); ++i)
        for (Eigen::Index j = 0; same && j < a.cols(); ++j) same = a(i, j) == b(i, j);
    return same;
}

template <class... T>
void fill(std::uint64_t seed, T&... tensors) {
    support::random r(seed);
    const auto each = [&](auto& t) {
        for (Eigen::Index i = 0; i < t.size(); ++i)
            t.data()[i] =
                static_cast<std::remove_cvref_t<decltype(*t.data())>>(static_cast<float>(r.normal()));
    };
    (each(tensors), ...);
}

}  // namespace

TEMPLATE_TEST_CASE("column-major tensors are read by index, and give results of their kind", "", float,
                   double, Eigen::bfloat16) {
    using T = TestType;
    for (const long queries : {1L, 3L, 40L, 130L}) {
        support::tensor<T> q(2, 4, queries, 19), k(2, 2, 150, 19), v(2, 2, 150, 35);
        fill(501, q, k, v);
        const auto y = heed::attention(q, k, v, heed::causal);
        const auto cq = by_columns(q), ck = by_columns(k), cv = by_columns(v);
        const auto z = heed::attention(cq, ck, cv, heed::causal);
        static_assert(std::is_same_v<decltype(z), const column_tensor<T, 4>>);
        CHECK(same_numbers(z, y));
        CHECK(same_numbers(heed::attention(cq, k, v, heed::causal), y));
        support::tensor<T> into(y.dimensions());
        heed::attention_into(into, q, ck, Eigen::TensorMap<const column_tensor<T, 4>>(cv), heed::causal);
        CHECK(support::same_bits(support::elements(into), support::elements(y)));
    }
}

TEST_CASE("ranks 3 and 2, results and options that are column-major") {
    support::tensor<float, 3> q(4, 20, 8), k(2, 33, 8), v(2, 33, 12);
    support::tensor<float> bias(1, 4, 20, 33);
    fill(502, q, k, v, bias);
    support::tensor<float, 3> lse(1, 4, 20);
    support::tensor<float> weights(1, 4, 20, 33);
    column_tensor<float, 3> lse_by_columns(1, 4, 20);
    column_tensor<float, 4> weights_by_columns(1, 4, 20, 33);
    const support::tensor<float, 3> y =
        heed::attention(q, k, v, heed::bias(bias), heed::logsumexp(lse), heed::weights(weights));
    const auto other_bias = by_columns(bias);
    const column_tensor<float, 3> z =
        heed::attention(by_columns(q), by_columns(k), by_columns(v), heed::bias(other_bias),
                        heed::logsumexp(lse_by_columns), heed::weights(weights_by_columns));
    CHECK((same_numbers(z, y) && same_numbers(lse_by_columns, lse) &&
           same_numbers(weights_by_columns, weights)));

    column_tensor<float, 3> into(4, 20, 12);
    heed::attention_into(into, q, k, v, heed::bias(bias));
    CHECK(same_numbers(into, y));
    const auto g = heed::attention_backward(y, q, k, v, y, lse, heed::bias(bias));
    const auto h =
        heed::attention_backward(z, by_columns(q), by_columns(k), by_columns(v), z, lse, heed::bias(bias));
    static_assert(std::is_same_v<decltype(h.k), column_tensor<float, 3>>);
    CHECK((same_numbers(h.q, g.q) && same_numbers(h.k, g.k) && same_numbers(h.v, g.v)));
}

TEST_CASE("every variant reads and makes column-major tensors") {
    support::tensor<float> q(1, 2, 40, 16), k(1, 2, 40, 16), v(1, 2, 40, 16), beta(1, 1, 2, 40);
    fill(503, q, k, v);
    const auto cq = by_columns(q), ck = by_columns(k), cv = by_columns(v);
    CHECK(same_numbers(heed::linear_attention(cq, ck, cv, heed::causal),
                       heed::linear_attention(q, k, v, heed::causal)));
    const auto g = heed::linear_attention_backward(v, q, k, v, heed::causal);
    const auto h = heed::linear_attention_backward(cv, cq, ck, cv, heed::causal);
    CHECK((same_numbers(h.q, g.q) && same_numbers(h.k, g.k) && same_numbers(h.v, g.v)));
    CHECK(same_numbers(heed::cummax_attention(cq, ck, cv), heed::cummax_attention(q, k, v)));
    CHECK(same_numbers(heed::cummax(cq), heed::cummax(q)));
    CHECK(same_numbers(heed::polynomial_softmax(cq), heed::polynomial_softmax(q)));
    const heed::softmax_state<float> empty(1, 2, 40, 16);
    auto a = empty, b = empty;
    a.absorb(q, k, v);
    b.absorb(cq, ck, cv);
    column_tensor<float, 4> from_b(1, 2, 40, 16);
    support::tensor<float> from_a(1, 2, 40, 16);
    a.finish_into(from_a);
    b.finish_into(from_b);
    CHECK(same_numbers(from_b, from_a));
}

TEST_CASE("column-major matrices, maps and blocks of them are (position, feature)") {
    Eigen::MatrixXf q(20, 8), k(33, 8), v(33, 12);
    fill(504, q, k, v);
    const row_matrix rq = q, rk = k, rv = v;
    const row_matrix y = heed::attention(rq, rk, rv, heed::causal);
    const auto z = heed::attention(q, k, v, heed::causal);
    static_assert(std::is_same_v<decltype(z), const Eigen::MatrixXf>);
    CHECK(same_entries(z, y));
    Eigen::MatrixXf wide = Eigen::MatrixXf::Constant(40, 20, 9e9f);
    wide.block(3, 2, 33, 12) = v;
    CHECK(same_entries(heed::attention(rq, Eigen::Map<const Eigen::MatrixXf>(k.data(), 33, 8),
                                       wide.block(3, 2, 33, 12), heed::causal),
                       y));
    Eigen::MatrixXf into(20, 12);
    heed::attention_into(into, q, k, rv, heed::causal);
    CHECK(same_entries(into, y));
}

TEST_CASE("arrays give arrays, fixed sizes give fixed sizes") {
    Eigen::ArrayXXf q(20, 8), k(33, 8), v(33, 12);
    fill(505, q, k, v);
    const row_matrix y =
        heed::attention(row_matrix(q.matrix()), row_matrix(k.matrix()), row_matrix(v.matrix()));
    const auto z = heed::attention(q, k, v);
    static_assert(std::is_same_v<decltype(z), const Eigen::ArrayXXf>);
    CHECK(same_entries(z, y));

    using fixed = Eigen::Matrix<float, 20, 8, Eigen::RowMajor>;
    using fixed_values = Eigen::Matrix<float, 33, 12>;
    const fixed fq = q.matrix();
    const fixed_values fv = v.matrix();
    const auto f = heed::attention(fq, k, fv);
    static_assert(std::is_same_v<decltype(f), const Eigen::Matrix<float, 20, 12, Eigen::RowMajor>>);
    CHECK(same_entries(f, y));
    const auto half_fixed = heed::attention(fq, k, v);
    static_assert(std::is_same_v<decltype(half_fixed),
                                 const Eigen::Matrix<float, 20, Eigen::Dynamic, Eigen::RowMajor>>);
    CHECK(same_entries(half_fixed, y));
    // One query, one value feature: Eigen fixes the order of vectors.
    const Eigen::Matrix<float, 1, 8> row = fq.row(3);
    const auto one = heed::attention(row, k, fv);
    static_assert(std::is_same_v<decltype(one), const Eigen::Matrix<float, 1, 12, Eigen::RowMajor>>);
    const Eigen::Matrix<float, 33, 1> column = fv.col(5);
    const row_matrix as_rows = column;
    CHECK(same_entries(heed::attention(row, k, as_rows), heed::attention(row_matrix(row), k, as_rows)));

    // A column vector is one position, also as values.
    const Eigen::VectorXf vector = fv.col(5), one_key = k.matrix().row(0).transpose();
    const row_matrix as_row = vector.transpose();
    CHECK(same_entries(heed::attention(row, one_key, vector),
                       heed::attention(row_matrix(row), row_matrix(one_key.transpose()), as_row)));

    Eigen::TensorFixedSize<float, Eigen::Sizes<2, 6, 4>, Eigen::RowMajor> tq;
    Eigen::TensorFixedSize<float, Eigen::Sizes<2, 9, 4>> tk;
    Eigen::TensorFixedSize<float, Eigen::Sizes<2, 9, 5>, Eigen::RowMajor> tv;
    fill(506, tq, tk, tv);
    const auto t = heed::attention(tq, tk, tv);
    static_assert(std::is_same_v<std::remove_const_t<decltype(t)>,
                                 Eigen::TensorFixedSize<float, Eigen::Sizes<2, 6, 5>, Eigen::RowMajor>>);
    const support::tensor<float, 3> dq = tq, dv = tv;
    support::tensor<float, 3> dk(2, 9, 4);
    for (long h = 0; h < 2; ++h)
        for (long p = 0; p < 9; ++p)
            for (long i = 0; i < 4; ++i) dk(h, p, i) = tk(h, p, i);
    const support::tensor<float, 3> want = heed::attention(dq, dk, dv);
    CHECK(support::same_bits(t.data(), want.data(), static_cast<std::size_t>(want.size())));
    support::tensor<float, 3> lse(1, 2, 6);
    support::tensor<float, 3> y3(2, 6, 5);
    heed::attention_into(y3, dq, dk, dv, heed::logsumexp(lse));
    const auto g = heed::attention_backward(y3, tq, tk, tv, y3, lse);
    static_assert(std::is_same_v<std::remove_const_t<decltype(g.k)>,
                                 Eigen::TensorFixedSize<float, Eigen::Sizes<2, 9, 4>>>);
    const auto dense = heed::attention_backward(y3, dq, dk, dv, y3, lse);
    CHECK(support::same_bits(g.q.data(), dense.q.data(), static_cast<std::size_t>(dense.q.size())));
}
