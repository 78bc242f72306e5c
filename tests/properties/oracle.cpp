// SPDX-License-Identifier: MIT
// tests/properties/oracle.cpp: the naive reference itself, against the operator vectors and by hand
//
// Everything else is judged by the oracle, so it is judged here, by numbers it did not make.
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/conformance_problem.hpp"

namespace {

reference::problem tiny() {
    reference::problem p;
    p.queries = 2, p.keys = 2, p.d_k = 1, p.d_v = 1;
    p.q = {1, 2}, p.k = {0, std::log(3.0)}, p.v = {10, 20};
    return p;
}

}  // namespace

TEST_CASE("the oracle agrees with a softmax worked out by hand") {
    const auto a = reference::solve<double>(tiny());
    // weights 1 : 3 and 1 : 9
    CHECK(std::fabs(a.y[0] - 17.5) < 1e-13);
    CHECK(std::fabs(a.y[1] - 19) < 1e-13);
    CHECK(std::fabs(a.lse[0] - std::log(4.0)) < 1e-14);
    CHECK(std::fabs(a.weights[2] - 0.1) < 1e-15);
}

TEST_CASE("the oracle's empty row is +0, -inf, and the sink when there is one") {
    auto p = tiny();
    p.k[1] = std::nan("");
    p.v[0] = HUGE_VAL;
    p.visible = [](reference::place i) { return i.query < 0; };
    auto a = reference::solve<double>(p);
    CHECK(support::positive_zero(a.y.data(), 2));
    CHECK(a.lse[0] == -HUGE_VAL);
    CHECK(a.weights[0] == 0);
    p.sinks = {0.25};
    a = reference::solve<double>(p);
    CHECK(support::positive_zero(a.y.data(), 2));
    CHECK(a.lse[0] == 0.25);
}

TEST_CASE("a bias of -inf hides, and what is hidden is never read") {
    auto p = tiny();
    p.k[1] = std::nan(""), p.v[1] = std::nan("");
    p.bias = [](reference::place i) { return i.key == 1 ? -HUGE_VAL : 0.0; };
    const auto a = reference::solve<double>(p);
    CHECK(a.y[0] == 10);
    CHECK(a.biased[1] == -HUGE_VAL);
}

TEST_CASE("a sink joins the denominator only") {
    auto p = tiny();
    p.sinks = {std::log(4.0)};
    const auto a = reference::solve<double>(p);
    CHECK(std::fabs(a.y[0] - 17.5 / 2) < 1e-13);
    CHECK(std::fabs(a.lse[0] - std::log(8.0)) < 1e-14);
}

TEST_CASE("the oracle agrees with the operator vectors") {
#if defined(HEED_CONFORMANCE_DATA)
    for (const auto& c : conformance::read(HEED_CONFORMANCE_DATA, "Attention")) {
        const auto a = conformance::attention(c);
        const auto got = reference::solve<double>(a.p);
        const auto& want = c.outputs.at(0).values;
        const double tolerance = a.half ? 1e-3 : 1e-5;
        const auto y = a.rank3 ? conformance::merge_heads(got.y, a.p) : got.y;
        INFO(c.name << ", " << support::worst_place(y, want));
        CHECK(support::max_error(y, want) <= tolerance * (0.1 + support::max_abs(want)));
        if (c.outputs.count(3)) {
            const auto& stage = a.stage == 0   ? got.raw
                                : a.stage == 1 ? got.capped
                                : a.stage == 2 ? got.biased
                                               : got.weights;
            CHECK(support::max_error(stage, c.outputs.at(3).values) <= 1e-5);
        }
    }
#else
    HEED_SKIP("HEED_CONFORMANCE_DATA was not given");
#endif
}
