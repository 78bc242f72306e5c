// SPDX-License-Identifier: MIT
// tests/linear/oracle_gradient.cpp: the reference backward against central differences of the reference
//
// L = <dy, y> + <dS, S_last> is differentiated along one random direction of every input at a time, all
// elements at once: a wrong element shows in the sum unless the direction is orthogonal to it, which a
// second direction rules out. In double with steps of 1e-5 the difference is good to about 1e-9.
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/linear_gradient.hpp"
#include "support/linear_problems.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

double size(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::fabs(a[i] * b[i]);
    return sum;
}

struct probe {
    std::vector<double> dy, last;
    double loss(const linear_problem& p) const {
        const auto a = reference::solve_linear<double>(p);
        return dot(dy, a.y) + (last.empty() ? 0 : dot(last, a.state));
    }
};

// The derivative of the loss along random directions of one input.
void differentiate(support::random& r, const probe& out, const linear_problem& p,
                   std::vector<double> linear_problem::* input, const std::vector<double>& gradient,
                   const char* name) {
    REQUIRE(gradient.size() == (p.*input).size());
    for (int round = 0; round < 2 && !gradient.empty(); ++round) {
        const auto direction = support::normals<double>(r, gradient.size());
        constexpr double h = 1e-5;
        auto up = p, down = p;
        for (std::size_t i = 0; i < direction.size(); ++i)
            (up.*input)[i] += h * direction[i], (down.*input)[i] -= h * direction[i];
        const double difference = (out.loss(up) - out.loss(down)) / (2 * h);
        INFO(support::describe(p) << ", d" << name);
        CHECK(std::fabs(difference - dot(gradient, direction)) <= 1e-7 * (1 + size(gradient, direction)));
    }
}

linear_problem sample(support::random& r, rule kind, features map, bool causal) {
    support::linear_shape s;
    s.batch = r.between(1, 2), s.kv_heads = r.between(1, 2), s.heads = s.kv_heads * r.between(1, 3);
    s.queries = r.between(1, 12), s.keys = causal ? s.queries : r.between(1, 12);
    s.d_k = r.between(1, 5), s.d_v = r.between(1, 5);
    auto p = support::linear<double>(r, s, kind);
    p.map = map, p.causal = causal;
    p.f = [](double x) { return x * x + 0.5; };
    p.df = [](double x) { return 2 * x; };
    if (map == features::relu)  // a difference across the corner is no derivative
        for (auto* x : {&p.q, &p.k})
            for (double& value : *x) value += value > 0 ? 0.01 : -0.01;
    return p;
}

void check(support::random& r, const linear_problem& p, bool with_state) {
    probe out;
    out.dy = support::normals<double>(r, p.y_size());
    if (with_state) out.last = support::normals<double>(r, p.state_size());
    const auto a = reference::solve_linear_gradients<double>(p, out.dy, out.last);
    differentiate(r, out, p, &linear_problem::q, a.q, "q");
    differentiate(r, out, p, &linear_problem::k, a.k, "k");
    differentiate(r, out, p, &linear_problem::v, a.v, "v");
    differentiate(r, out, p, &linear_problem::g, a.g, "g");
    differentiate(r, out, p, &linear_problem::beta, a.beta, "beta");
    differentiate(r, out, p, &linear_problem::initial, a.initial, "initial");
}

}  // namespace

TEST_CASE("every rule, causal, with and without states") {
    support::random r(2011);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 16; ++i) {
            auto p = sample(r, kind, i % 2 == 0 ? features::identity : features::elu1, true);
            p.normalised = kind == rule::linear ? i % 4 < 2 : !support::has_delta(kind) && i % 4 == 1;
            if (p.normalised) p.map = features::elu1;
            if (i % 3 == 0) p.scale = 0.7;
            if (i % 8 < 4) support::give_initial_state<double>(r, p);
            check(r, p, i % 8 % 3 == 0);
        }
}

TEST_CASE("every map, causal or not, normalised or not") {
    support::random r(2012);
    for (const features map : {features::elu1, features::relu, features::softmax, features::taylor,
                               features::custom, features::efficient})
        for (int i = 0; i < 12; ++i) {
            const bool causal = i % 2 == 0 && map != features::efficient;
            auto p = sample(r, rule::linear, map, causal);
            // Where a sum of relus may vanish the quotient has no derivative to speak of.
            p.normalised = i % 4 < 2 && map != features::relu && map != features::efficient;
            check(r, p, causal && i % 3 == 0);
        }
}

TEST_CASE("a quotient of relus that are not small") {
    support::random r(2013);
    for (int i = 0; i < 8; ++i) {
        auto p = sample(r, rule::linear, features::relu, i % 2 == 0);
        for (auto* x : {&p.q, &p.k})
            for (double& value : *x) value += 3;
        check(r, p, false);
    }
}
