// SPDX-License-Identifier: MIT
// tests/attention/shapes.cpp: the plain call over sizes 1...130 of every axis, and over tile edges
//
// Grouped heads, keys of other counts than queries and values of other width than keys are in
// every sweep. The second sweep stands on the sizes where kernels change: one below, on and one
// above each multiple of a likely tile or vector.
#include "support/call.hpp"

using support::check_call;

namespace {

long edge(support::random& r) {
    static const long edges[] = {1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512};
    const long n = edges[r.between(0, 15)] + r.between(-1, 1);
    return n < 1 ? 1 : n;
}

}  // namespace

TEST_CASE("every size from 1 to 130") {
    support::random r(101);
    for (long n = 1; n <= 130; ++n) {
        check_call<float>(support::problem<float>(r, 1, 2, 1, n, r.skewed(1, 40), 5, 7));
        check_call<float>(support::problem<float>(r, 2, 2, 2, r.skewed(1, 20), n, 9, 9));
        check_call<float>(support::problem<float>(r, 1, 3, 1, r.skewed(1, 20), r.skewed(1, 30), n, 3));
        check_call<float>(support::problem<float>(r, 1, 1, 1, r.skewed(1, 20), r.skewed(1, 30), 6, n));
        check_call<float>(support::problem<float>(r, 1, 1, 1, n, n, 16, 16));
    }
}

TEST_CASE("sizes around tiles and vectors") {
    support::random r(102);
    for (int round = 0; round < 90; ++round) {
        const long queries = edge(r), keys = edge(r);
        const long d_k = std::min(edge(r), 4000000 / (queries * keys)), d_v = std::min(edge(r), d_k + 65);
        const long kv_heads = r.between(1, 2);
        check_call<float>(support::problem<float>(r, 1, kv_heads * (queries * keys < 4000 ? 4 : 1), kv_heads,
                                                  queries, keys, d_k + (d_k < 1), d_v));
    }
}

TEST_CASE("one query over many keys, and many heads per key head") {
    support::random r(103);
    for (long keys : {1L, 255L, 256L, 257L, 1000L, 4099L, 20000L}) {
        check_call<float>(support::problem<float>(r, 1, 8, 1, 1, keys, 16, 16));
        check_call<float>(support::problem<float>(r, 2, 4, 2, 2, keys / 2 + 1, 8, 24));
        check_call<float>(support::problem<float>(r, 1, 3, 3, 5, keys / 3 + 1, 33, 7));
    }
}

TEST_CASE("a wide batch of small problems") {
    support::random r(104);
    check_call<float>(support::problem<float>(r, 37, 6, 2, 7, 7, 8, 8));
    check_call<float>(support::problem<float>(r, 3, 64, 4, 2, 30, 4, 4));
}

TEST_CASE("no keys at all: zeros and -inf") {
    support::random r(105);
    for (long queries : {1L, 5L, 130L}) {
        auto p = support::problem<float>(r, 2, 2, 1, queries, 0, 8, 12);
        check_call<float>(p);
        p.visible = [](reference::place) { return false; };
        check_call<float>(p, heed::causal);
    }
}

TEST_CASE("no queries or an empty batch: nothing happens") {
    support::random r(106);
    check_call<float>(support::problem<float>(r, 1, 2, 1, 0, 9, 8, 8));
    check_call<float>(support::problem<float>(r, 0, 2, 1, 3, 9, 8, 8));
}
