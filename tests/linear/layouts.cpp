// SPDX-License-Identifier: MIT
// tests/linear/layouts.cpp: every layout gives the bits of the plain one; kinds of results; y that is q
#include "support/linear_gradient_call.hpp"

namespace {

using support::linear_problem;
using support::rule;

constexpr long B = 2, H = 4, G = 2, S = 75, D = 10, W = 6;  // H query heads, G key heads

struct dense {
    linear_problem p;
    support::linear_inputs<float> in;
    support::tensor<float> dy, y;
    heed::attention_gradients<support::tensor<float>, support::tensor<float>, support::tensor<float>> g;
    explicit dense(long batch = B, long heads = H, long kv_heads = G, long features = W)
        : p(make(batch, heads, kv_heads, features)),
          in(p),
          dy(in_dy(p)),
          y(heed::linear_attention(in.q, in.k, in.v, heed::causal)),
          g(heed::linear_attention_backward(dy, in.q, in.k, in.v, heed::causal)) {
        support::check_linear<float>(p, support::values(y));
    }
    static linear_problem make(long batch, long heads, long kv_heads, long features) {
        support::random r(3501);
        auto p = support::linear<float>(r, {batch, heads, kv_heads, S, S, D, features}, rule::linear);
        p.causal = true;
        return p;
    }
    static support::tensor<float> in_dy(const linear_problem& p) {
        support::random r(3502);
        return support::tensor4<float>(support::normals<float>(r, p.y_size()), p.batch, p.heads, p.queries,
                                       p.d_v);
    }
};

template <class A, class X>
bool same(const A& a, const X& b) {
    return support::same_bits(support::elements(a), support::elements(b));
}

support::tensor<float> shuffled(const support::tensor<float>& t, Eigen::array<int, 4> order) {
    return t.shuffle(order);
}

}  // namespace

TEST_CASE("rank 3 and rank 2 tensors, maps and matrices") {
    dense a(1, H, G);
    const auto flat = [](const support::tensor<float>& t) {
        return support::tensor<float, 3>(
            t.reshape(Eigen::array<Eigen::Index, 3>{t.dimension(1), t.dimension(2), t.dimension(3)}));
    };
    const auto q = flat(a.in.q), k = flat(a.in.k), v = flat(a.in.v), dy = flat(a.dy);
    const support::tensor<float, 3> y = heed::linear_attention(q, k, v, heed::causal);
    CHECK(same(y, a.y));
    const auto g = heed::linear_attention_backward(dy, q, k, v, heed::causal);
    const support::tensor<float, 3>&dq = g.q, &dk = g.k, &dv = g.v;
    CHECK((same(dq, a.g.q) && same(dk, a.g.k) && same(dv, a.g.v)));

    dense b(1, 1, 1);
    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto as_matrix = [](const support::tensor<float>& t) {
        return matrix(Eigen::Map<const matrix>(t.data(), t.dimension(2), t.dimension(3)));
    };
    const matrix q2 = as_matrix(b.in.q), k2 = as_matrix(b.in.k), v2 = as_matrix(b.in.v);
    const matrix y2 = heed::linear_attention(q2, k2, v2, heed::causal);
    CHECK(support::same_bits(y2.data(), b.y.data(), static_cast<std::size_t>(b.y.size())));
    const auto g2 = heed::linear_attention_backward(as_matrix(b.dy), q2, k2, v2, heed::causal);
    const matrix& dq2 = g2.q;
    CHECK(support::same_bits(dq2.data(), b.g.q.data(), static_cast<std::size_t>(b.g.q.size())));

    const Eigen::TensorMap<const support::tensor<float>> map(a.in.q.data(), 1, H, S, D);
    CHECK(same(support::tensor<float>(heed::linear_attention(map, a.in.k, a.in.v, heed::causal)), a.y));
}

TEST_CASE("(batch, position, head, feature), and heads beside each other") {
    const dense a;
    const Eigen::array<int, 4> order{0, 2, 1, 3};
    auto q = shuffled(a.in.q, order), k = shuffled(a.in.k, order), v = shuffled(a.in.v, order),
         dy = shuffled(a.dy, order);
    support::tensor<float> y(B, S, H, W), dq(B, S, H, D), dk(B, S, G, D), dv(B, S, G, W);
    heed::linear_attention_into(heed::bshd(y), heed::bshd(q), heed::bshd(k), heed::bshd(v), heed::causal);
    CHECK(same(shuffled(y, order), a.y));
    heed::linear_attention_backward_into(heed::bshd(dq), heed::bshd(dk), heed::bshd(dv), heed::bshd(dy),
                                         heed::bshd(q), heed::bshd(k), heed::bshd(v), heed::causal);
    CHECK((same(shuffled(dq, order), a.g.q) && same(shuffled(dk, order), a.g.k) &&
           same(shuffled(dv, order), a.g.v)));

    using map = Eigen::TensorMap<support::tensor<float, 3>>;
    const map q3(q.data(), B, S, H * D), k3(k.data(), B, S, G * D), v3(v.data(), B, S, G * W);
    const support::tensor<float> split = heed::linear_attention(
        heed::split_heads(q3, H), heed::split_heads(k3, G), heed::split_heads(v3, G), heed::causal);
    CHECK(same(split, a.y));
}

TEST_CASE("column-major tensors, dimensions reversed") {
    const dense a;
    const Eigen::Tensor<float, 4> q = a.in.q.swap_layout(), k = a.in.k.swap_layout(),
                                  v = a.in.v.swap_layout(), dy = a.dy.swap_layout();
    const Eigen::Tensor<float, 4> y =
        heed::linear_attention(heed::reversed(q), heed::reversed(k), heed::reversed(v), heed::causal);
    CHECK(same(y, a.y));
    const auto g = heed::linear_attention_backward(heed::reversed(dy), heed::reversed(q), heed::reversed(k),
                                                   heed::reversed(v), heed::causal);
    const Eigen::Tensor<float, 4>& dv = g.v;
    CHECK((same(g.q, a.g.q) && same(g.k, a.g.k) && same(dv, a.g.v)));
}

TEST_CASE("any strides: one buffer for q, k and v, features apart, rows backwards in memory") {
    const dense a(B, G, G, D);
    // (batch, position, 3, head, feature): the three parts interleave.
    std::vector<float> fused(static_cast<std::size_t>(3 * a.in.q.size()));
    const auto part = [&](long which) {
        return heed::view<float>(fused.data() + which * G * D, {B, G, S, D},
                                 {S * 3 * G * D, D, 3 * G * D, 1});
    };
    const auto fill = [](const heed::view<float>& to, const support::tensor<float>& from) {
        for (long b = 0; b < to.batch(); ++b)
            for (long h = 0; h < to.heads(); ++h)
                for (long i = 0; i < to.positions(); ++i)
                    for (long f = 0; f < to.features(); ++f) to(b, h, i, f) = from(b, h, i, f);
    };
    const auto read = [](const heed::view<float>& from) {
        std::vector<float> x;
        for (long b = 0; b < from.batch(); ++b)
            for (long h = 0; h < from.heads(); ++h)
                for (long i = 0; i < from.positions(); ++i)
                    for (long f = 0; f < from.features(); ++f) x.push_back(from(b, h, i, f));
        return x;
    };
    fill(part(0), a.in.q), fill(part(1), a.in.k), fill(part(2), a.in.v);
    heed::linear_attention_into(part(0), part(0), part(1), part(2), heed::causal);  // y is q
    CHECK(support::same_bits(read(part(0)), support::elements(a.y)));
    CHECK(support::same_bits(read(part(1)), support::elements(a.in.k)));

    std::vector<float> apart(static_cast<std::size_t>(3 * a.in.q.size()));
    const heed::view<float> spread(apart.data(), {B, G, S, D}, {G * S * D * 3, S * D * 3, D * 3, 3});
    float* const end = apart.data() + (S - 1) * D * 3;
    const heed::view<float> backwards(end, {B, G, S, D}, {G * S * D * 3, S * D * 3, -D * 3, 3});
    fill(spread, a.in.q);
    CHECK(same(support::tensor<float>(heed::linear_attention(spread, a.in.k, a.in.v, heed::causal)), a.y));
    fill(backwards, a.in.q);
    CHECK(same(support::tensor<float>(heed::linear_attention(backwards, a.in.k, a.in.v, heed::causal)), a.y));
    heed::linear_attention_into(backwards, a.in.q, a.in.k, a.in.v, heed::causal);
    CHECK(support::same_bits(read(backwards), support::elements(a.y)));
}

TEST_CASE("y may be q, for every rule, causal or not") {
    support::random r(3503);
    for (const rule kind : support::all_rules) {
        auto p = support::linear<float>(r, {B, H, G, 150, 150, D, D}, kind);
        p.causal = true;
        support::linear_inputs<float> in(p);
        support::with_rule(p, in, [&](const auto&... options) {
            const support::tensor<float> y =
                heed::linear_attention(in.q, in.k, in.v, heed::causal, options...);
            auto q = in.q;
            heed::linear_attention_into(q, q, in.k, in.v, heed::causal, options...);
            CHECK(same(q, y));
        });
    }
    const dense a(B, H, G, D);
    auto q = a.in.q;
    const support::tensor<float> y = heed::linear_attention(a.in.q, a.in.k, a.in.v);
    heed::linear_attention_into(q, q, a.in.k, a.in.v);
    CHECK(same(q, y));
}

TEST_CASE("16-bit tensors into float: the sums before they are rounded") {
    support::random r(3504);
    auto p = support::linear<Eigen::half>(r, {B, H, G, S, S, D, W}, rule::gated);
    const support::linear_inputs<Eigen::half> in(p);
    support::tensor<float> y(B, H, S, W), dq(B, H, S, D), dk(B, G, S, D), dv(B, G, S, W);
    heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, heed::decay(in.decay));
    support::check_linear<float>(p, support::values(y));
    support::linear_gradient_outputs<float> out(p);
    const auto dy = support::output_gradient<Eigen::half>(r, p);
    heed::linear_attention_backward_into(out.q, out.k, out.v, support::tensor4<Eigen::half>(dy, B, H, S, W),
                                         in.q, in.k, in.v, heed::causal, heed::decay(in.decay),
                                         heed::decay_gradient(out.decay));
    support::check_gradients<float>(p, dy, {}, out);
}

// f(options...) for every rule, with gates of these extents.
template <class F>
void with_rules(long batch, long heads, long positions, long features, const F& f) {
    support::tensor<float, 3> g(batch, heads, positions), beta(batch, heads, positions);
    support::tensor<float> each(batch, heads, positions, features);
    g.setConstant(-0.1f), beta.setConstant(0.5f), each.setConstant(-0.1f);
    support::tensor<float, 3> dg = g, dbeta = beta;
    support::tensor<float> deach = each;
    f(std::tuple(), std::tuple());
    f(std::tuple(heed::decay(g)), std::tuple(heed::decay_gradient(dg)));
    f(std::tuple(heed::decay(each)), std::tuple(heed::decay_gradient(deach)));
    f(std::tuple(heed::delta(beta)), std::tuple(heed::delta_gradient(dbeta)));
    f(std::tuple(heed::decay(g), heed::delta(beta)),
      std::tuple(heed::decay_gradient(dg), heed::delta_gradient(dbeta)));
    f(std::tuple(heed::decay(each), heed::delta(beta)),
      std::tuple(heed::decay_gradient(deach), heed::delta_gradient(dbeta)));
}

TEST_CASE("every axis at 0: an empty answer, and a state that is written") {
    struct extents {
        long batch, heads, kv_heads, positions;
    };
    for (const extents& x : {extents{0, 4, 2, 70}, {2, 0, 0, 70}, {2, 0, 2, 70}, {2, 4, 2, 0}}) {
        const auto& map = heed::elu1;
        const support::tensor<float> q(x.batch, x.heads, x.positions, D);
        support::tensor<float> k(x.batch, x.kv_heads, x.positions, D), v(x.batch, x.kv_heads, x.positions, W);
        k.setConstant(-2), v.setConstant(2);  // short features: the delta rule stays bounded
        support::tensor<float> y(x.batch, x.heads, x.positions, W), dq(q.dimensions()), dk(k.dimensions()),
            dv(v.dimensions());
        with_rules(x.batch, x.kv_heads, x.positions, D, [&](const auto& rule, const auto& gradients) {
            constexpr bool plain = std::tuple_size_v<std::remove_cvref_t<decltype(rule)>> == 0;
            support::tensor<float> first(x.batch, x.kv_heads, D, W + plain), last = first, at_first = first;
            first.setConstant(3), last.setConstant(-77), at_first.setConstant(-77);
            std::apply(
                [&](const auto&... o) {
                    heed::linear_attention_into(y, q, k, v, heed::causal, map, heed::initial_state(first),
                                                heed::final_state(last), o...);
                },
                rule);
            std::apply(
                [&](const auto&... o) {
                    heed::linear_attention_backward_into(
                        dq, dk, dv, y, q, k, v, heed::causal, map, heed::initial_state(first),
                        heed::initial_state_gradient(at_first), heed::final_state_gradient(first), o...);
                },
                std::tuple_cat(rule, gradients));
            for (const auto* t : {&last, &at_first})
                for (long i = 0; i < t->size(); ++i) {
                    CHECK(std::isfinite(t->data()[i]));
                    CHECK(t->data()[i] != -77);
                    if (x.positions == 0) CHECK(t->data()[i] == 3);
                }
        });
        CHECK(heed::linear_attention(q, k, v).size() == y.size());
        CHECK(heed::linear_attention_backward(y, q, k, v).k.size() == k.size());
    }
    const support::tensor<float> no_heads(2, 0, 3, 5), no_batch(0, 2, 3, 5), q(2, 4, 0, 5);
    support::tensor<float> k(2, 2, 3, 5);
    k.setConstant(1);
    const auto every_map = [](const auto& f) {
        f(heed::elu1), f(heed::relu), f(heed::identity), f(heed::softmax_features), f(heed::taylor);
        f(heed::favor(3, 1)), f(heed::efficient),
            f(heed::feature_map(support::custom_map, support::custom_slope));
    };
    every_map([&](const auto& map) {
        for (const auto* x : {&no_heads, &no_batch}) {
            CHECK(heed::linear_attention(*x, *x, *x, map).size() == 0);
            CHECK(heed::linear_attention_backward(*x, *x, *x, *x, map).k.size() == 0);
        }
        CHECK(heed::linear_attention(q, k, k, map).size() == 0);
        CHECK(support::positive_zero(heed::linear_attention_backward(q, q, k, k, map).v.data(), 60));
    });
}

TEST_CASE("nothing: no keys, no positions, no heads, no batch") {
    const support::tensor<float> none(2, 2, 0, 5), q(2, 4, 3, 5);
    support::tensor<float> y(2, 4, 3, 5), dq(2, 4, 3, 5), dk(2, 2, 0, 5), dv(2, 2, 0, 5);
    y.setConstant(7), dq.setConstant(7);
    support::tensor<float> some = q;
    some.setConstant(1);
    heed::linear_attention_into(y, some, none, none);
    CHECK(support::positive_zero(y.data(), static_cast<std::size_t>(y.size())));
    y.setConstant(7);
    heed::linear_attention_into(y, some, none, none, heed::unnormalised, heed::scale(-1));
    CHECK(support::positive_zero(y.data(), static_cast<std::size_t>(y.size())));
    y.setConstant(7);
    heed::linear_attention_into(y, some, none, none, heed::efficient);
    CHECK(support::positive_zero(y.data(), static_cast<std::size_t>(y.size())));
    heed::linear_attention_backward_into(dq, dk, dv, some, some, none, none);
    CHECK(support::positive_zero(dq.data(), static_cast<std::size_t>(dq.size())));
    // No queries: the gradients of k and v are +0.
    support::tensor<float> k(2, 2, 3, 5), dq0(2, 4, 0, 5), dk3(2, 2, 3, 5), dv3(2, 2, 3, 5);
    k.setConstant(1), dk3.setConstant(7), dv3.setConstant(7);
    const support::tensor<float> q0(2, 4, 0, 5);
    heed::linear_attention_backward_into(dq0, dk3, dv3, q0, q0, k, k);
    CHECK(support::positive_zero(dk3.data(), 60));
    CHECK(support::positive_zero(dv3.data(), 60));
    CHECK(heed::linear_attention(support::tensor<float>(2, 0, 3, 5), k, k, heed::causal).size() == 0);
    CHECK(heed::linear_attention(support::tensor<float>(0, 2, 3, 5), support::tensor<float>(0, 2, 3, 5),
                                 support::tensor<float>(0, 2, 3, 5), heed::causal)
              .size() == 0);
}
