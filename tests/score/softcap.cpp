// SPDX-License-Identifier: MIT
// tests/score/softcap.cpp: scale and softcap, in their order
#include "support/call.hpp"

using support::check_call;

TEST_CASE("scale is any number: small, large, negative, zero") {
    support::for_problems<float>(801, 120, [](reference::problem& p, support::random& r) {
        static const double scales[] = {1, 0.125, -0.5, 0, 3, 1e-6, -2};
        p.scale = static_cast<double>(static_cast<float>(scales[r.between(0, 6)]));
        check_call<float>(p, heed::scale(*p.scale));
    });
}

TEST_CASE("softcap bounds the scaled score") {
    support::for_problems<float>(802, 120, [](reference::problem& p, support::random& r) {
        p.softcap = static_cast<double>(static_cast<float>(std::exp(r.uniform(-2, 4))));
        p.scale = static_cast<double>(static_cast<float>(r.uniform(0.1, 2)));
        check_call<float>(p, heed::softcap(p.softcap), heed::scale(*p.scale));
    });
}

TEST_CASE("softcap in double") {
    support::for_problems<double>(803, 40, [](reference::problem& p, support::random& r) {
        p.softcap = std::exp(r.uniform(-2, 4));
        check_call<double>(p, heed::softcap(p.softcap));
    });
}

TEST_CASE("huge scores are capped, not lost") {
    support::random r(804);
    auto p = support::problem<float>(r, 1, 2, 1, 40, 200, 16, 16);
    for (double& x : p.q) x = static_cast<double>(static_cast<float>(x * 1e6));
    p.softcap = 20;
    // Scores of 1e6 are wrong in their last places; here nearly all of them are +-20 exactly.
    const support::inputs<float> in(p);
    const auto y = heed::attention(in.q, in.k, in.v, heed::softcap(20));
    const auto want = reference::solve<double>(p);
    CHECK(support::max_error(support::values(y), want.y) < 1e-4);
}
