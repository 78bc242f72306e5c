// SPDX-License-Identifier: MIT
// tests/attention/backward_layouts.cpp: gradients of every layout are the bits of the plain one's; kinds of
// results
#include "support/attention_gradient_call.hpp"

namespace {

constexpr long B = 2, H = 4, G = 2, S = 70, T = 150, D = 16, W = 6;

struct fixture {
    reference::problem p;
    support::backward_inputs<float> in;
    support::gradient_outputs<float> plain;
    explicit fixture(support::random r = support::random(3181))
        : p(support::problem<float>(r, B, H, G, S, T, D, W)),
          in(p, r, heed::causal),
          plain(in.gradients(p, heed::causal)) {}
    bool same(const support::tensor<float>& q, const support::tensor<float>& k,
              const support::tensor<float>& v) const {
        const auto equal = [](const auto& a, const auto& b) {
            return support::same_bits(support::elements(a), support::elements(b));
        };
        return equal(q, plain.q) && equal(k, plain.k) && equal(v, plain.v);
    }
};

support::tensor<float> shuffled(const support::tensor<float>& t, Eigen::array<int, 4> order) {
    return t.shuffle(order);
}

}  // namespace

TEST_CASE("results are tensors of the arguments' kinds") {
    const fixture f;
    const auto g = heed::attention_backward(f.in.dy, f.in.q, f.in.k, f.in.v, f.in.y, f.in.lse, heed::causal);
    static_assert(std::is_same_v<std::remove_const_t<decltype(g.q)>, support::tensor<float>>);
    CHECK(f.same(g.q, g.k, g.v));

    using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const matrix q = matrix::Random(5, 3), k = matrix::Random(7, 3), v = matrix::Random(7, 2),
                 dy = matrix::Random(5, 2);
    support::tensor<double, 1> lse(5);
    matrix y(5, 2);
    heed::attention_into(y, q, k, v, heed::logsumexp(lse));
    const auto m = heed::attention_backward(dy, q, k, v, y, lse);
    static_assert(std::is_same_v<std::remove_const_t<decltype(m.v)>, matrix>);
    // Weights of a row sum to 1: so do what a value's gradient gets of ones.
    const auto ones = heed::attention_backward(matrix::Ones(5, 2).eval(), q, k, v, y, lse);
    CHECK(std::fabs(ones.v.col(0).sum() - 5) < 1e-12);
    CHECK(m.q.rows() == 5);
    CHECK(m.k.rows() == 7);
}

TEST_CASE("(batch, position, head, feature)") {
    const fixture f;
    const Eigen::array<int, 4> swap{0, 2, 1, 3};
    const auto q = shuffled(f.in.q, swap), k = shuffled(f.in.k, swap), v = shuffled(f.in.v, swap),
               y = shuffled(f.in.y, swap), dy = shuffled(f.in.dy, swap);
    auto dq = q, dk = k, dv = v;
    heed::attention_backward_into(heed::bshd(dq), heed::bshd(dk), heed::bshd(dv), heed::bshd(dy),
                                  heed::bshd(q), heed::bshd(k), heed::bshd(v), heed::bshd(y), f.in.lse,
                                  heed::causal);
    CHECK(f.same(shuffled(dq, swap), shuffled(dk, swap), shuffled(dv, swap)));
}

TEST_CASE("features apart: (batch, head, feature, position), and column-major") {
    const fixture f;
    const Eigen::array<int, 4> turn{0, 1, 3, 2};
    const auto q = shuffled(f.in.q, turn), k = shuffled(f.in.k, turn), v = shuffled(f.in.v, turn),
               y = shuffled(f.in.y, turn), dy = shuffled(f.in.dy, turn);
    auto dq = q, dk = k, dv = v;
    heed::attention_backward_into(heed::transposed(dq), heed::transposed(dk), heed::transposed(dv),
                                  heed::transposed(dy), heed::transposed(q), heed::transposed(k),
                                  heed::transposed(v), heed::transposed(y), f.in.lse, heed::causal);
    CHECK(f.same(shuffled(dq, turn), shuffled(dk, turn), shuffled(dv, turn)));

    using column_major = Eigen::Tensor<float, 4>;
    const auto reverse = [](const support::tensor<float>& t) {
        column_major c(t.dimension(3), t.dimension(2), t.dimension(1), t.dimension(0));
        std::copy_n(t.data(), t.size(), c.data());
        return c;
    };
    const column_major cq = reverse(f.in.q), ck = reverse(f.in.k), cv = reverse(f.in.v);
    const auto g = heed::attention_backward(f.in.dy, heed::reversed(cq), heed::reversed(ck),
                                            heed::reversed(cv), f.in.y, f.in.lse, heed::causal);
    static_assert(std::is_same_v<std::remove_const_t<decltype(g.q)>, column_major>);
    CHECK(support::same_bits(g.q.data(), f.plain.q.data(), static_cast<std::size_t>(g.q.size())));
    CHECK(support::same_bits(g.k.data(), f.plain.k.data(), static_cast<std::size_t>(g.k.size())));
    CHECK(support::same_bits(g.v.data(), f.plain.v.data(), static_cast<std::size_t>(g.v.size())));
}

TEST_CASE("parts of one fused buffer, read and written") {
    const fixture f;
    constexpr long width = H * D + G * D + G * W;
    support::tensor<float, 3> all(B, S > T ? S : T, width), into(B, S > T ? S : T, width);
    into.setConstant(-77);
    const auto part = [](support::tensor<float, 3>& t, long first, long heads, long positions,
                         long features) {
        return heed::view<float>(t.data() + first, {B, heads, positions, features},
                                 {t.dimension(1) * width, features, width, 1});
    };
    const auto fill = [](const heed::view<float>& to, const support::tensor<float>& from) {
        for (long b = 0; b < to.batch(); ++b)
            for (long h = 0; h < to.heads(); ++h)
                for (long i = 0; i < to.positions(); ++i)
                    for (long x = 0; x < to.features(); ++x) to(b, h, i, x) = from(b, h, i, x);
    };
    const auto q = part(all, 0, H, S, D), k = part(all, H * D, G, T, D), v = part(all, (H + G) * D, G, T, W);
    fill(q, f.in.q), fill(k, f.in.k), fill(v, f.in.v);
    const auto dq = part(into, 0, H, S, D), dk = part(into, H * D, G, T, D),
               dv = part(into, (H + G) * D, G, T, W);
    heed::attention_backward_into(dq, dk, dv, f.in.dy, q, k, v, f.in.y, f.in.lse, heed::causal);
    const auto dense = [](const heed::view<float>& from) {
        support::tensor<float> t(from.batch(), from.heads(), from.positions(), from.features());
        for (long b = 0; b < from.batch(); ++b)
            for (long h = 0; h < from.heads(); ++h)
                for (long i = 0; i < from.positions(); ++i)
                    for (long x = 0; x < from.features(); ++x) t(b, h, i, x) = from(b, h, i, x);
        return t;
    };
    CHECK(f.same(dense(dq), dense(dk), dense(dv)));
    // Positions that no tensor has were not written.
    long touched = 0;
    for (long b = 0; b < B; ++b)
        for (long i = S; i < T; ++i)
            for (long x = 0; x < H * D; ++x) touched += into(b, i, x) != -77;
    CHECK(touched == 0);
}

TEST_CASE("rank 3 and rank 2 leave leading axes out") {
    support::random r(3182);
    const auto p = support::problem<float>(r, 1, 1, 1, 20, 30, 5, 4);
    const support::backward_inputs<float> in(p, r, heed::causal);
    const auto plain = in.gradients(p, heed::causal);
    const auto matrix = [](const support::tensor<float>& t) {
        return support::tensor<float, 2>(
            t.reshape(Eigen::array<Eigen::Index, 2>{t.dimension(2), t.dimension(3)}));
    };
    const support::tensor<float, 1> lse = in.lse.reshape(Eigen::array<Eigen::Index, 1>{20});
    const auto g = heed::attention_backward(matrix(in.dy), matrix(in.q), matrix(in.k), matrix(in.v),
                                            matrix(in.y), lse, heed::causal);
    static_assert(std::is_same_v<std::remove_const_t<decltype(g.q)>, support::tensor<float, 2>>);
    CHECK(support::same_bits(support::elements(g.q), support::elements(plain.q)));
    CHECK(support::same_bits(support::elements(g.k), support::elements(plain.k)));
    CHECK(support::same_bits(support::elements(g.v), support::elements(plain.v)));
}
