// SPDX-License-Identifier: MIT
// tests/core/view.cpp: every layout the contract names gives the bits of the plain one
#include "support/call.hpp"

namespace {

constexpr long B = 2, H = 4, G = 2, S = 19, T = 23, D = 10, W = 6;  // H query heads, G key heads

struct dense {
    reference::problem p;
    support::inputs<float> in;
    support::tensor<float> y;
    explicit dense(long batch = B, long heads = H, long kv_heads = G)
        : p(make(batch, heads, kv_heads)), in(p), y(heed::attention(in.q, in.k, in.v, heed::causal)) {
        p.visible = [](reference::place i) { return i.key <= i.query + (T - S); };
        support::check<float>(p, y);
    }
    static reference::problem make(long batch, long heads, long kv_heads) {
        support::random r(201);
        return support::problem<float>(r, batch, heads, kv_heads, S, T, D, W);
    }
};

// Reads t(b, h, s, d) for every element, in (b, h, s, d) order.
template <class F>
std::vector<float> gather(long b, long h, long s, long d, const F& at) {
    std::vector<float> x;
    for (long i = 0; i < b; ++i)
        for (long j = 0; j < h; ++j)
            for (long k = 0; k < s; ++k)
                for (long l = 0; l < d; ++l) x.push_back(at(i, j, k, l));
    return x;
}

// A tensor whose axes are those of t in another order: to(i0, i1, i2, i3) = t(axis p0, p1, ...).
support::tensor<float> shuffled(const support::tensor<float>& t, Eigen::array<int, 4> order) {
    return t.shuffle(order);
}

}  // namespace

TEST_CASE("rank 3 and rank 2 tensors leave leading axes out") {
    const dense a(1, H, G);
    support::tensor<float, 3> q = a.in.q.reshape(Eigen::array<Eigen::Index, 3>{H, S, D});
    support::tensor<float, 3> k = a.in.k.reshape(Eigen::array<Eigen::Index, 3>{G, T, D});
    support::tensor<float, 3> v = a.in.v.reshape(Eigen::array<Eigen::Index, 3>{G, T, W});
    const support::tensor<float, 3> y = heed::attention(q, k, v, heed::causal);
    CHECK(support::same_bits(support::elements(y), support::elements(a.y)));

    const dense b(1, 1, 1);
    support::tensor<float, 2> q2 = b.in.q.reshape(Eigen::array<Eigen::Index, 2>{S, D});
    support::tensor<float, 2> k2 = b.in.k.reshape(Eigen::array<Eigen::Index, 2>{T, D});
    support::tensor<float, 2> v2 = b.in.v.reshape(Eigen::array<Eigen::Index, 2>{T, W});
    const support::tensor<float, 2> y2 = heed::attention(q2, k2, v2, heed::causal);
    CHECK(support::same_bits(support::elements(y2), support::elements(b.y)));
}

TEST_CASE("maps of tensors, const ones too") {
    dense a;
    using map = Eigen::TensorMap<support::tensor<float>>;
    using const_map = Eigen::TensorMap<const support::tensor<float>>;
    support::tensor<float> y(B, H, S, W);
    const map q(a.in.q.data(), B, H, S, D);
    const const_map k(a.in.k.data(), B, G, T, D);
    const map v(a.in.v.data(), B, G, T, W);
    map out(y.data(), B, H, S, W);
    heed::attention_into(out, q, k, v, heed::causal);
    CHECK(support::same_bits(support::elements(y), support::elements(a.y)));
    heed::attention_into(map(y.data(), B, H, S, W), q, k, v, heed::causal);
    const support::tensor<float> made = heed::attention(q, k, v, heed::causal);
    CHECK(support::same_bits(support::elements(made), support::elements(a.y)));
}

TEST_CASE("row-major matrices, maps and blocks of them are (position, feature)") {
    dense a(1, 1, 1);
    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const matrix q = Eigen::Map<matrix>(a.in.q.data(), S, D);
    Eigen::Map<const matrix> k(a.in.k.data(), T, D);
    matrix wide = matrix::Constant(T + 3, W + 5, 9e9f);
    wide.block(2, 3, T, W) = Eigen::Map<matrix>(a.in.v.data(), T, W);
    const matrix y = heed::attention(q, k, Eigen::Map<const matrix>(a.in.v.data(), T, W), heed::causal);
    CHECK(support::same_bits(y.data(), a.y.data(), static_cast<std::size_t>(a.y.size())));
    const matrix z = heed::attention(q, k, wide.block(2, 3, T, W), heed::causal);
    CHECK(support::same_bits(z.data(), a.y.data(), static_cast<std::size_t>(a.y.size())));
}

TEST_CASE("heed::reversed reads column-major tensors backwards") {
    dense a;
    const auto flip = [](const support::tensor<float>& t) {
        // swap_layout reverses the dimensions and keeps the memory
        return Eigen::Tensor<float, 4>(t.swap_layout());
    };
    const Eigen::Tensor<float, 4> q = flip(a.in.q), k = flip(a.in.k), v = flip(a.in.v);
    REQUIRE(q.dimension(0) == D);
    const Eigen::Tensor<float, 4> y =
        heed::attention(heed::reversed(q), heed::reversed(k), heed::reversed(v), heed::causal);
    REQUIRE(y.dimension(0) == W);
    REQUIRE(y.dimension(3) == B);
    CHECK(gather(B, H, S, W, [&](long b, long h, long s, long d) { return y(d, s, h, b); }) ==
          support::elements(a.y));
    Eigen::Tensor<float, 4> into(W, S, H, B);
    heed::attention_into(heed::reversed(into), heed::reversed(q), heed::reversed(k), heed::reversed(v),
                         heed::causal);
    CHECK(support::same_bits(into.data(), y.data(), static_cast<std::size_t>(y.size())));
}

TEST_CASE("bshd: heads behind positions") {
    dense a;
    const auto q = shuffled(a.in.q, {0, 2, 1, 3}), k = shuffled(a.in.k, {0, 2, 1, 3}),
               v = shuffled(a.in.v, {0, 2, 1, 3});
    support::tensor<float> y(B, S, H, W);
    heed::attention_into(heed::bshd(y), heed::bshd(q), heed::bshd(k), heed::bshd(v), heed::causal);
    CHECK(gather(B, H, S, W, [&](long b, long h, long s, long d) { return y(b, s, h, d); }) ==
          support::elements(a.y));
    const support::tensor<float> made =
        heed::attention(heed::bshd(q), heed::bshd(k), heed::bshd(v), heed::causal);
    CHECK(support::same_bits(support::elements(made), support::elements(a.y)));
}

TEST_CASE("split_heads: the output of a projection") {
    dense a;
    const support::tensor<float> q4 = shuffled(a.in.q, {0, 2, 1, 3}), k4 = shuffled(a.in.k, {0, 2, 1, 3}),
                                 v4 = shuffled(a.in.v, {0, 2, 1, 3});
    const support::tensor<float, 3> q = q4.reshape(Eigen::array<Eigen::Index, 3>{B, S, H * D}),
                                    k = k4.reshape(Eigen::array<Eigen::Index, 3>{B, T, G * D}),
                                    v = v4.reshape(Eigen::array<Eigen::Index, 3>{B, T, G * W});
    support::tensor<float, 3> y(B, S, H * W);
    heed::attention_into(heed::split_heads(y, H), heed::split_heads(q, H), heed::split_heads(k, G),
                         heed::split_heads(v, G), heed::causal);
    CHECK(gather(B, H, S, W, [&](long b, long h, long s, long d) { return y(b, s, h * W + d); }) ==
          support::elements(a.y));
}

TEST_CASE("transposed: features in front of positions, so features are not next to each other") {
    dense a;
    const auto q = shuffled(a.in.q, {0, 1, 3, 2}), k = shuffled(a.in.k, {0, 1, 3, 2}),
               v = shuffled(a.in.v, {0, 1, 3, 2});
    support::tensor<float> y(B, H, W, S);
    heed::attention_into(heed::transposed(heed::as_view(y)), heed::transposed(q), heed::transposed(k),
                         heed::transposed(heed::as_view(v)), heed::causal);
    CHECK(
        support::max_error(gather(B, H, S, W, [&](long b, long h, long s, long d) { return y(b, h, d, s); }),
                           support::elements(a.y)) <= 16 * support::ulp<float>(support::max_abs(a.p.v)));
    a.y = shuffled(y, {0, 1, 3, 2});
    support::check<float>(a.p, a.y);
}

namespace {

// Keys stored (feature, position), and values too, against rows, for every kernel and every tail.
template <class T>
void same_bits_of_turned(support::random& r) {
    for (const long queries : {1L, 3L, 4L, 9L, 70L})
        for (const long features : {3L, 8L, 16L, 37L, 64L})
            for (const long keys : {1L, 4L, 15L, 64L, 203L}) {
                const long group = r.between(1, 3);
                const auto p = support::problem<T>(r, 2, 2 * group, 2, queries, keys, features, features);
                const support::inputs<T> in(p);
                const support::tensor<T> k = in.k.shuffle(Eigen::array<int, 4>{0, 1, 3, 2});
                const support::tensor<T> v = in.v.shuffle(Eigen::array<int, 4>{0, 1, 3, 2});
                const auto rows = heed::attention(in.q, in.k, in.v, heed::causal);
                const auto turned = heed::attention(in.q, heed::transposed(k), in.v, heed::causal);
                const auto both =
                    heed::attention(in.q, heed::transposed(k), heed::transposed(v), heed::causal);
                INFO(support::describe(p));
                CHECK(support::same_bits(support::elements(turned), support::elements(rows)));
                CHECK(support::same_bits(support::elements(both), support::elements(rows)));
            }
}

}  // namespace

TEST_CASE("keys and values whose positions are neighbours give the bits of rows") {
    support::random r(203);
    same_bits_of_turned<float>(r);
    same_bits_of_turned<double>(r);
    same_bits_of_turned<Eigen::bfloat16>(r);
}

TEST_CASE("slices of one fused q, k, v buffer, the result over q") {
    support::random r(202);
    auto p = support::problem<float>(r, B, H, G, S, T, D, D);
    p.visible = [](reference::place i) { return i.key <= i.query + (T - S); };
    const support::inputs<float> in(p);
    // (batch, position, H query heads, G key heads, G value heads): what one projection gives
    support::tensor<float> fused(B, T, H + 2 * G, D);
    fused.setConstant(7e7f);
    for (long b = 0; b < B; ++b)
        for (long s = 0; s < T; ++s)
            for (long d = 0; d < D; ++d) {
                for (long h = 0; h < H && s < S; ++h) fused(b, s, h, d) = in.q(b, h, s, d);
                for (long h = 0; h < G; ++h) fused(b, s, H + h, d) = in.k(b, h, s, d);
                for (long h = 0; h < G; ++h) fused(b, s, H + G + h, d) = in.v(b, h, s, d);
            }
    const auto all = heed::bshd(fused);
    const auto q = all.slice_heads(0, H).slice_positions(0, S);
    heed::attention_into(q, q, all.slice_heads(H, G), all.slice_heads(H + G, G), heed::causal);
    support::tensor<float> y(B, H, S, D);
    bool kept = true;
    for (long b = 0; b < B; ++b)
        for (long s = 0; s < T; ++s)
            for (long d = 0; d < D; ++d) {
                for (long h = 0; h < H; ++h) {
                    if (s < S)
                        y(b, h, s, d) = fused(b, s, h, d);
                    else
                        kept = kept && fused(b, s, h, d) == 7e7f;
                }
                for (long h = 0; h < G; ++h) kept = kept && fused(b, s, H + h, d) == in.k(b, h, s, d);
                for (long h = 0; h < G; ++h) kept = kept && fused(b, s, H + G + h, d) == in.v(b, h, s, d);
            }
    CHECK(kept);
    support::check<float>(p, y);
    CHECK(support::same_bits(support::elements(y),
                             support::elements(heed::attention(in.q, in.k, in.v, heed::causal))));
}

TEST_CASE("y may be q itself") {
    support::random r(203);
    for (int round = 0; round < 40; ++round) {
        auto p = round % 8 == 7 ? support::tiled_problem<float>(r) : support::random_problem<float>(r);
        p.d_v = p.d_k;
        support::fill<float>(p, r);
        support::inputs<float> in(p);
        heed::attention_into(in.q, in.q, in.k, in.v);
        support::check<float>(p, in.q);
    }
}

TEST_CASE("strides of zero repeat, negative strides read backwards") {
    dense a;
    // Every batch entry reads the keys of the first.
    auto k = heed::as_view(a.in.k), v = heed::as_view(a.in.v);
    k.strides[0] = 0, v.strides[0] = 0;
    support::tensor<float> y(B, H, S, W);
    heed::attention_into(y, a.in.q, k, v);
    auto p = a.p;
    p.visible = nullptr;
    std::copy_n(p.k.begin(), G * T * D, p.k.begin() + G * T * D);
    std::copy_n(p.v.begin(), G * T * W, p.v.begin() + G * T * W);
    support::check<float>(p, y);

    // Queries from last to first.
    auto q = heed::as_view(a.in.q);
    q.data += (S - 1) * D, q.strides[2] = -D;
    support::tensor<float> backwards(B, H, S, W);
    heed::attention_into(backwards, q, a.in.k, a.in.v);
    const auto forwards = heed::attention(a.in.q, a.in.k, a.in.v);
    CHECK(gather(B, H, S, W, [&](long b, long h, long s, long d) { return backwards(b, h, S - 1 - s, d); }) ==
          support::elements(forwards));
}
