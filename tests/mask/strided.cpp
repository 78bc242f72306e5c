// SPDX-License-Identifier: MIT
// tests/mask/strided.cpp: the nearest keys, and every l-th of all
#include <heed/mask/strided.hpp>

#include "support/pattern.hpp"
#include "support/tiles.hpp"

namespace {

auto definition(long shift, long l) {
    return [=](long, long, long q, long k) {
        const long d = std::labs(q + shift - k);
        return d <= l || d % l == 0;
    };
}

}  // namespace

TEST_CASE("strided sees l keys a side and every l-th") {
    support::for_problems<float>(211, 80, [](reference::problem& p, support::random& r) {
        const long l = r.skewed(1, p.keys + 3);
        support::check_pattern(p, heed::strided(l), definition(p.keys - p.queries, l));
    });
}

TEST_CASE("strided with causal looks back") {
    support::for_problems<float>(212, 40, [](reference::problem& p, support::random& r) {
        const long l = r.skewed(1, p.keys), shift = p.keys - p.queries;
        const auto both = definition(shift, l);
        support::check_pattern(p, heed::causal & heed::strided(l), [&](long b, long h, long q, long k) {
            return k <= q + shift && both(b, h, q, k);
        });
    });
}

TEST_CASE("strided knows every tile") {
    for (const heed::problem_shape& s : {support::small_shape, {1, 1, 12, 7}, {1, 1, 10, 10}})
        for (const long l : {1L, 2L, 3L, 5L, 11L, 30L})
            support::exact_tiles(heed::strided(l), definition(s.keys - s.queries, l), s);
    constexpr long far = 1L << 62;
    support::exact_tiles(heed::strided(far), definition(2, far));
}
