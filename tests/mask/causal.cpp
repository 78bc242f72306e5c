// SPDX-License-Identifier: MIT
// tests/mask/causal.cpp: causal and causal_from, with fewer, as many and more queries than keys
//
// The alignment is where published kernels differ: heed's causal lets the last query see the
// last key, causal_from(0) the first query the first key.
#include "support/call.hpp"

using support::check_call;

TEST_CASE("causal lines the last query up with the last key") {
    support::for_problems<float>(11, 160, [](reference::problem& p, support::random&) {
        const long offset = p.keys - p.queries;
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        check_call<float>(p, heed::causal);
    });
}

TEST_CASE("causal_from takes one offset, negative ones too") {
    support::for_problems<float>(12, 120, [](reference::problem& p, support::random& r) {
        const long offset = r.chance(0.3) ? 0 : r.between(-p.queries - 2, p.keys + 2);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        check_call<float>(p, heed::causal_from(offset));
    });
}

TEST_CASE("causal_from takes an offset per batch") {
    support::random r(13);
    for (int round = 0; round < 60; ++round) {
        auto p = support::random_problem<float>(r);
        std::vector<int> offsets(static_cast<std::size_t>(p.batch));
        for (int& offset : offsets) offset = static_cast<int>(r.between(-p.queries, p.keys));
        p.visible = [=](reference::place i) {
            return i.key <= i.query + offsets[static_cast<std::size_t>(i.batch)];
        };
        check_call<float>(p, heed::causal_from(offsets));
    }
}

TEST_CASE("far offsets do not wrap") {
    support::random r(14);
    auto p = support::problem<float>(r, 1, 1, 1, 5, 9, 4, 4);
    check_call<float>(p, heed::causal_from(2147483647));
    p.visible = [](reference::place) { return false; };
    check_call<float>(p, heed::causal_from(-2147483647));
}
