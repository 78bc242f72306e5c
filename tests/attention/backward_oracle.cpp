// SPDX-License-Identifier: MIT
// tests/attention/backward_oracle.cpp: the reference gradients against central differences
#include "support/attention_gradient.hpp"
#include "support/catch.hpp"
#include "support/problems.hpp"

namespace {

// What flows back into the outputs, and into the log-sum-exps, if anything.
struct flow {
    std::vector<double> y, lse;
};

double loss(const reference::problem& p, const flow& d) {
    const auto a = reference::solve<double>(p);
    double sum = 0;
    for (std::size_t i = 0; i < d.y.size(); ++i) sum += d.y[i] * a.y[i];
    // That of a row that sees nothing is a constant.
    for (std::size_t i = 0; i < d.lse.size(); ++i)
        if (std::isfinite(a.lse[i])) sum += d.lse[i] * a.lse[i];
    return sum;
}

// Some elements of x, moved by +-h.
double worst_of(reference::problem& p, std::vector<double>& x, const std::vector<double>& found,
                const flow& d, support::random& r) {
    REQUIRE(x.size() == found.size());
    double worst = 0, top = 1;
    for (double x_ : found) top = std::fmax(top, std::fabs(x_));
    constexpr double h = 1e-4;
    for (int n = 0; n < 6 && !x.empty(); ++n) {
        const std::size_t i = static_cast<std::size_t>(r.between(0, long(x.size()) - 1));
        const double kept = x[i];
        x[i] = kept + h;
        const double above = loss(p, d);
        x[i] = kept - h;
        const double below = loss(p, d);
        x[i] = kept;
        worst = std::fmax(worst, std::fabs((above - below) / (2 * h) - found[i]) / top);
    }
    return worst;
}

}  // namespace

TEST_CASE("the reference gradients are those of the reference") {
    support::random r(3001);
    for (int round = 0; round < 60; ++round) {
        const long kv_heads = r.between(1, 2);
        auto p = support::problem<double>(r, r.between(1, 2), kv_heads * r.between(1, 2), kv_heads,
                                          r.between(1, 7), r.between(1, 9), r.between(1, 5), r.between(1, 5));
        flow from{support::normals<double>(r, p.y_size()), {}};
        if (round % 2 == 0) from.lse = support::normals<double>(r, p.rows());
        std::vector<double> bias = support::normals<double>(r, p.pairs());
        reference::score_slope slope;
        if (round % 2 == 1) p.visible = [](reference::place i) { return (i.query + 2 * i.key) % 3 != 1; };
        if (round % 3 == 1) p.softcap = 1.5;
        if (round % 5 == 1) p.scale = -0.7;
        if (round % 4 == 1) p.sinks = support::normals<double>(r, static_cast<std::size_t>(p.heads));
        if (round % 4 == 2) p.keep = [](reference::place i) { return (i.query + i.key) % 4 == 0 ? 0 : 1.25; };
        if (round % 3 == 2) {
            p.score = [](double s, reference::place i) { return std::sin(s) + 0.1 * double(i.key); };
            slope = [](double s, reference::place) { return std::cos(s); };
        }
        p.bias = [&](reference::place i) {
            return bias[static_cast<std::size_t>(
                ((i.batch * p.heads + i.head) * p.queries + i.query) * p.keys + i.key)];
        };
        const auto d = reference::differentiate(p, reference::solve<double>(p), from.y, slope, from.lse);
        INFO(round);
        CHECK(worst_of(p, p.q, d.q, from, r) < 1e-6);
        CHECK(worst_of(p, p.k, d.k, from, r) < 1e-6);
        CHECK(worst_of(p, p.v, d.v, from, r) < 1e-6);
        CHECK(worst_of(p, bias, d.scores, from, r) < 1e-6);
        CHECK(worst_of(p, p.sinks, d.sinks, from, r) < 1e-6);
    }
}
