// SPDX-License-Identifier: MIT
// tests/mask/fixed.cpp: blocks of keys, and the last keys of every block
#include <heed/mask/fixed.hpp>

#include "support/pattern.hpp"
#include "support/tiles.hpp"

namespace {

long rounded_down(long x, long y) { return (x >= 0 ? x / y : -((-x + y - 1) / y)); }

auto definition(long shift, long l, long c) {
    return [=](long, long, long q, long k) { return rounded_down(q + shift, l) == k / l || k % l >= l - c; };
}

}  // namespace

TEST_CASE("fixed sees the own block and the last keys of the others") {
    support::for_problems<float>(221, 80, [](reference::problem& p, support::random& r) {
        const long l = r.skewed(1, p.keys + 3), c = r.between(0, l);
        support::check_pattern(p, heed::fixed(l, c), definition(p.keys - p.queries, l, c));
    });
}

TEST_CASE("fixed with causal looks back, whole tiles of blocks too") {
    support::random r(222);
    for (const long l : {64L, 96L, 128L, 160L, 192L}) {
        auto p = support::problem<float>(r, 1, 2, 1, 700, 700, 6, 6);
        const auto both = definition(0, l, 9);
        support::check_pattern(p, heed::causal & heed::fixed(l, 9),
                               [&](long b, long h, long q, long k) { return k <= q && both(b, h, q, k); });
    }
}

TEST_CASE("fixed knows every tile and every first key") {
    for (const heed::problem_shape& s : {support::small_shape, {1, 1, 12, 7}, {1, 1, 10, 10}})
        for (const long l : {1L, 2L, 3L, 5L, 30L})
            for (const long c : {0L, 1L, 2L, 5L, 29L})
                if (c <= l)
                    support::exact_seeking_tiles(heed::fixed(l, c), definition(s.keys - s.queries, l, c), s);
    constexpr long far = 1L << 62;
    support::exact_seeking_tiles(heed::fixed(far, 3), definition(2, far, 3));
    support::exact_seeking_tiles(heed::fixed(far, far - 4), definition(2, far, far - 4));
}
