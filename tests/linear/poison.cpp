// SPDX-License-Identifier: MIT
// tests/linear/poison.cpp: what a NaN, an infinity or a huge number reaches, and what it does not (R8)
//
// Causal: one position of one key head becomes bad, in k, v (all features or some), the decay or beta. Rows
// before it, of all heads, and all rows of the other heads keep their bits; the final states of the other
// heads too. A NaN in k or v shows in every row from there on. A bad query shows in its own row alone.
#include "support/linear_call.hpp"
#include "support/traps.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

constexpr double poisons[] = {std::numeric_limits<double>::quiet_NaN(), HUGE_VAL, -HUGE_VAL, 3.4e38, -3.4e38};

struct outcome {
    support::tensor<float> y, state;
};

template <class... Extra>
outcome solve(const linear_problem& p, const Extra&... extra) {
    const support::linear_inputs<float> in(p);
    outcome o{{p.batch, p.heads, p.queries, p.d_v}, {p.batch, p.kv_heads, p.feature_count(), p.columns()}};
    support::with_rule(p, in, [&](const auto&... options) {
        heed::linear_attention_into(o.y, in.q, in.k, in.v, heed::causal, heed::final_state(o.state),
                                    options..., extra...);
    });
    return o;
}

enum class where { q, k, v, g, beta };

void poison(support::random& r, std::vector<double>& x, long row, long width, double with) {
    support::overwrite(r, x, row * width, width, with);
}

template <class... Extra>
void cases(support::random& r, const linear_problem& p, int count, const Extra&... extra) {
    const outcome clean = solve(p, extra...);
    const long group = p.heads / p.kv_heads;
    for (int i = 0; i < count; ++i) {
        auto bad = p;
        const double with = poisons[r.between(0, 4)];
        const long t = r.between(0, p.keys - 1), kv = r.between(0, p.batch * p.kv_heads - 1);
        where in = static_cast<where>(r.between(0, 4));
        if ((in == where::g && p.g.empty()) || (in == where::beta && p.beta.empty())) in = where::v;
        const long query_head = kv * group + r.between(0, group - 1);
        const long at = kv * p.keys + t;
        if (in == where::q) poison(r, bad.q, query_head * p.queries + t, p.d_k, with);
        if (in == where::k) poison(r, bad.k, at, p.d_k, with);
        if (in == where::v) poison(r, bad.v, at, p.d_v, with);
        if (in == where::g) poison(r, bad.g, at, p.decay_per_feature ? p.d_k : 1, -std::fabs(with));
        if (in == where::beta) poison(r, bad.beta, at, 1, with);
        const outcome got = solve(bad, extra...);
        long changed = 0, kept = 0;
        for (long row = 0; row < p.batch * p.heads * p.queries; ++row) {
            const long query = row % p.queries, head = row / p.queries;
            const bool sees =
                in == where::q ? head == query_head && query == t : head / group == kv && query >= t;
            const float* y = got.y.data() + row * p.d_v;
            if (!sees)
                changed +=
                    !support::same_bits(y, clean.y.data() + row * p.d_v, static_cast<std::size_t>(p.d_v));
            else if (std::isnan(with) && in != where::g) {  // a NaN in g meets an empty state at position 0
                bool any = false;
                for (long e = 0; e < p.d_v; ++e) any = any || std::isnan(y[e]);
                kept += !any;
            }
        }
        const long size = p.feature_count() * p.columns();
        for (long h = 0; h < p.batch * p.kv_heads; ++h)
            if (h != kv || in == where::q)
                changed += !support::same_bits(got.state.data() + h * size, clean.state.data() + h * size,
                                               static_cast<std::size_t>(size));
        INFO(support::describe(p) << ", " << with << " in "
                                  << "qkvgb"[static_cast<int>(in)] << " of key head " << kv << " position "
                                  << t);
        CHECK(changed == 0);
        CHECK(kept == 0);
    }
}

linear_problem sample(support::random& r, rule kind, features map) {
    auto shape = support::random_linear_shape(r, true, 200);
    shape.d_k = r.skewed(1, 20), shape.d_v = r.skewed(1, 20);
    auto p = support::linear<float>(r, shape, kind);
    p.causal = true;
    support::use_map(p, map);
    return p;
}

}  // namespace

TEST_CASE("every rule: later rows of the head, and nothing else") {
    const heed_test::without_traps quiet;
    support::random r(2801);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 30; ++i) {
            const auto p = sample(r, kind, kind == rule::linear ? features::elu1 : features::identity);
            cases(r, p, 6);
        }
}

TEST_CASE("every map") {
    const heed_test::without_traps quiet;
    support::random r(2802);
    for (const features map : {features::relu, features::softmax, features::custom, features::identity}) {
        for (int i = 0; i < 12; ++i) {
            const auto p = sample(r, rule::linear, map);
            support::with_map(map, [&](const auto& of) { cases(r, p, 5, of); });
        }
    }
}

TEST_CASE("relu keeps a NaN: nothing but a number above zero is cut off") {
    const heed_test::without_traps quiet;
    support::tensor<float> x(1, 1, 3, 2), v(1, 1, 3, 2);
    x.setConstant(1), v.setConstant(1);
    x(0, 0, 1, 0) = std::nanf("");
    const support::tensor<float> y = heed::linear_attention(x, x, v, heed::causal, heed::relu);
    CHECK(y(0, 0, 0, 0) == 1);
    CHECK(std::isnan(y(0, 0, 1, 0)));
    CHECK(std::isnan(y(0, 0, 2, 1)));
}

TEST_CASE("not causal: a bad key reaches every row of its head and no other") {
    const heed_test::without_traps quiet;
    support::random r(2803);
    for (int i = 0; i < 60; ++i) {
        auto shape = support::random_linear_shape(r, false, 200);
        shape.d_k = r.skewed(1, 20), shape.d_v = r.skewed(1, 20);
        const auto p = support::linear<float>(r, shape, rule::linear);
        auto bad = p;
        const long kv = r.between(0, p.batch * p.kv_heads - 1), at = kv * p.keys + r.between(0, p.keys - 1);
        if (r.chance(0.5))
            poison(r, bad.k, at, p.d_k, std::nan(""));
        else
            poison(r, bad.v, at, p.d_v, std::nan(""));
        const support::linear_inputs<float> a(p), b(bad);
        const support::tensor<float> clean = heed::linear_attention(a.q, a.k, a.v),
                                     got = heed::linear_attention(b.q, b.k, b.v);
        long changed = 0, kept = 0;
        const long size = p.queries * p.d_v;
        for (long h = 0; h < p.batch * p.heads; ++h) {
            if (h / (p.heads / p.kv_heads) != kv) {
                changed += !support::same_bits(got.data() + h * size, clean.data() + h * size,
                                               static_cast<std::size_t>(size));
                continue;
            }
            for (long row = 0; row < p.queries; ++row) {
                bool any = false;
                for (long e = 0; e < p.d_v; ++e)
                    any = any || std::isnan(got.data()[h * size + row * p.d_v + e]);
                kept += !any;
            }
        }
        INFO(support::describe(p));
        CHECK(changed == 0);
        CHECK(kept == 0);
    }
}
