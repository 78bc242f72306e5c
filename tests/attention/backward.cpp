// SPDX-License-Identifier: MIT
// tests/attention/backward.cpp: the gradients of plain and causal attention, every size
#include "support/attention_gradient_call.hpp"

namespace {

auto causal(const reference::problem& p) {
    const long shift = p.keys - p.queries;
    return [shift](reference::place i) { return i.key <= i.query + shift; };
}

}  // namespace

TEST_CASE("plain") {
    support::for_gradient_problems<float>(
        3101, 160, [](reference::problem& p, support::random& r) { support::check_backward<float>(p, r); });
}

TEST_CASE("causal, queries fewer than keys, as many, more") {
    support::for_gradient_problems<float>(3102, 160, [](reference::problem& p, support::random& r) {
        p.visible = causal(p);
        support::check_backward<float>(p, r, heed::causal);
    });
}

TEST_CASE("every length from 1 to 130") {
    support::random r(3103);
    for (long n = 1; n <= 130; ++n) {
        auto p = support::problem<float>(r, 1, 2, 1, n, n, r.between(1, 9), r.between(1, 9));
        support::check_backward<float>(p, r);
        p.visible = causal(p);
        support::check_backward<float>(p, r, heed::causal);
    }
}

TEST_CASE("every head size from 1 to 130") {
    support::random r(3104);
    for (long n = 1; n <= 130; ++n) {
        support::check_backward<float>(support::problem<float>(r, 1, 1, 1, 5, 7, n, 131 - n), r);
    }
}

TEST_CASE("any scale") {
    support::for_gradient_problems<float>(3105, 60, [](reference::problem& p, support::random& r) {
        p.scale = r.chance(0.2) ? 0 : r.uniform(-1.5, 1.5);
        p.scale = static_cast<double>(static_cast<float>(*p.scale));
        support::check_backward<float>(p, r, heed::scale(*p.scale));
    });
}

TEST_CASE("no queries, no keys, no batch") {
    support::random r(3106);
    for (const auto& [batch, queries, keys] : {std::tuple{1L, 0L, 5L}, {1L, 5L, 0L}, {0L, 3L, 3L}})
        support::check_backward<float>(support::problem<float>(r, batch, 2, 1, queries, keys, 4, 5), r);
}
