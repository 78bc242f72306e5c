// SPDX-License-Identifier: MIT
// tests/linear/oracle.cpp: the naive reference of linear attention itself
//
// Everything in this folder is judged by it, so it is judged here: by numbers worked out by hand, by the
// definition as a sum over pairs, and by the operator vectors.
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/linear_conformance.hpp"
#include "support/linear_problems.hpp"
#include "support/linear_quadratic.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

constexpr features all_maps[] = {features::elu1,   features::relu,   features::identity, features::softmax,
                                 features::taylor, features::custom, features::efficient};

linear_problem sample(support::random& r, rule kind, features map, bool causal) {
    support::linear_shape s;
    s.batch = r.between(1, 2), s.kv_heads = r.between(1, 2), s.heads = s.kv_heads * r.between(1, 3);
    s.queries = r.between(1, 24), s.keys = causal ? s.queries : r.between(1, 24);
    s.d_k = r.between(1, 6), s.d_v = r.between(1, 5);
    auto p = support::linear<double>(r, s, kind);
    p.map = map, p.causal = causal;
    p.f = [](double x) { return x * x + 0.5; };
    return p;
}

// One head, two positions, d_k = d_v = 1.
linear_problem tiny(support::rule kind) {
    linear_problem p;
    p.queries = p.keys = 2, p.causal = true, p.normalised = false, p.map = features::identity;
    p.q = {3, 5}, p.k = {0.5, 0.25}, p.v = {8, 4};
    if (support::has_decay(kind)) p.g = {-7, std::log(0.5)};
    if (support::has_delta(kind)) p.beta = {1, 0.5};
    p.scale = 2;
    return p;
}

bool close(double a, double b) { return std::fabs(a - b) <= 1e-14 * (1 + std::fabs(b)); }

}  // namespace

TEST_CASE("each rule agrees with a state worked out by hand") {
    const auto linear = reference::solve_linear<double>(tiny(rule::linear));
    CHECK(close(linear.y[0], 2 * 3 * 4.0));
    CHECK(close(linear.state[0], 4 + 1));
    CHECK(close(linear.y[1], 2 * 5 * 5.0));
    const auto gated = reference::solve_linear<double>(tiny(rule::gated));
    CHECK(close(gated.y[0], 2 * 3 * 4.0));  // nothing to decay before the first position
    CHECK(close(gated.state[0], 2 + 1));
    const auto delta = reference::solve_linear<double>(tiny(rule::delta));
    CHECK(close(delta.state[0], 4 + 0.5 * 0.25 * (4 - 4 * 0.25)));
    const auto both = reference::solve_linear<double>(tiny(rule::gated_delta));
    CHECK(close(both.state[0], 2 + 0.5 * 0.25 * (4 - 2 * 0.25)));
    CHECK(close(both.y[1], 2 * 5 * both.state[0]));
}

TEST_CASE("a normalised answer is a mean of the values") {
    auto p = tiny(rule::linear);
    p.normalised = true, p.map = features::elu1, p.scale.reset();
    const auto a = reference::solve_linear<double>(p);
    CHECK(std::fabs(a.y[0] - 8) < 1e-9);
    CHECK(std::fabs(a.y[1] - (1.5 * 8 + 1.25 * 4) / 2.75) < 1e-9);
    CHECK(close(a.state[1], 2.75));
    p.keys = 0, p.k.clear(), p.v.clear(), p.causal = false;
    CHECK(support::positive_zero(reference::solve_linear<double>(p).y.data(), 2));
}

TEST_CASE("taylor's features multiply to 1 + s + s^2/2") {
    linear_problem p;
    p.d_k = 2, p.map = features::taylor, p.normalised = false;
    p.q = {1, -2}, p.k = {3, 0.5}, p.v = {1};
    const double s = 2 / std::sqrt(2.0);
    CHECK(close(reference::solve_linear<double>(p).y[0], 1 + s + s * s / 2));
}

TEST_CASE("the recurrence agrees with the sum over pairs") {
    support::random r(2001);
    for (const rule kind : {rule::linear, rule::gated, rule::gated_features})
        for (const features map : all_maps)
            for (int i = 0; i < 12; ++i) {
                const bool causal = kind != rule::linear || i % 2 == 0;
                if (causal && map == features::efficient) continue;
                if (support::per_feature(kind) && map == features::taylor) continue;  // d_k is not F
                auto p = sample(r, kind, map, causal);
                p.normalised = i % 4 < 2 && map != features::identity && map != features::taylor;
                if (i % 3 == 0) p.scale = 0.3;
                if (causal && i % 8 < 4) support::give_initial_state<double>(r, p);
                const auto a = reference::solve_linear<double>(p);
                const auto pairs = reference::solve_linear_by_pairs(p);
                INFO(support::describe(p) << ", " << support::worst_place(a.y, pairs));
                CHECK(support::max_error(a.y, pairs) <= 1e-12 * (1 + support::max_abs(a.y_size)));
            }
}

TEST_CASE("a state handed on is the whole run") {
    support::random r(2002);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 10; ++i) {
            const auto p = sample(r, kind, features::identity, true);
            auto first = p, second = p;
            const long n = r.between(0, p.keys), heads = p.batch * p.kv_heads;
            const auto cut = [&](const std::vector<double>& x, std::vector<double>& a, std::vector<double>& b,
                                 long rows) {
                if (x.empty()) return;
                const long all = static_cast<long>(x.size()) / rows, left = all / p.keys * n;
                a.clear(), b.clear();
                for (long h = 0; h < rows; ++h) {
                    a.insert(a.end(), x.begin() + h * all, x.begin() + h * all + left);
                    b.insert(b.end(), x.begin() + h * all + left, x.begin() + (h + 1) * all);
                }
            };
            cut(p.q, first.q, second.q, p.batch * p.heads);
            cut(p.k, first.k, second.k, heads), cut(p.v, first.v, second.v, heads);
            cut(p.g, first.g, second.g, heads), cut(p.beta, first.beta, second.beta, heads);
            first.queries = first.keys = n, second.queries = second.keys = p.keys - n;
            const auto whole = reference::solve_linear<double>(p);
            second.initial = reference::solve_linear<double>(first).state;
            const auto rest = reference::solve_linear<double>(second);
            CHECK(support::max_error(rest.state, whole.state) <= 1e-13 * (1 + support::max_abs(whole.state)));
        }
}

TEST_CASE("the oracle agrees with the LinearAttention operator vectors") {
#if defined(HEED_CONFORMANCE_DATA)
    for (const auto& c : conformance::read(HEED_CONFORMANCE_DATA, "LinearAttention")) {
        const auto a = conformance::linear_attention(c);
        const auto got = reference::solve_linear<double>(a.p);
        const double tolerance = a.half ? 1e-3 : 1e-5;
        const auto y = conformance::merge_heads(got.y, a.p);
        INFO(c.name << ", " << support::worst_place(y, c.outputs.at(0).values));
        CHECK(support::max_error(y, c.outputs.at(0).values) <= tolerance * (0.1 + support::max_abs(y)));
        CHECK(support::max_error(got.state, c.outputs.at(1).values) <=
              tolerance * (0.1 + support::max_abs(got.state)));
    }
#else
    HEED_SKIP("HEED_CONFORMANCE_DATA was not given");
#endif
}
