// SPDX-License-Identifier: MIT
// tests/mask/dilated.cpp: every step-th key around a query
#include <heed/mask/dilated.hpp>

#include "support/pattern.hpp"
#include "support/tiles.hpp"

namespace {

auto definition(long shift, long width, long step) {
    return [=](long, long, long q, long k) {
        const long d = std::labs(q + shift - k);
        return d % step == 0 && d / step < width;
    };
}

}  // namespace

TEST_CASE("dilated sees every step-th key on both sides") {
    support::for_problems<float>(201, 80, [](reference::problem& p, support::random& r) {
        const long step = r.skewed(1, 12), width = r.skewed(1, p.keys + 3) - 1;
        support::check_pattern(p, heed::dilated(width, step), definition(p.keys - p.queries, width, step));
    });
}

TEST_CASE("dilated with causal looks back") {
    support::for_problems<float>(202, 40, [](reference::problem& p, support::random& r) {
        const long step = r.skewed(1, 12), width = r.skewed(1, p.keys), shift = p.keys - p.queries;
        const auto both = definition(shift, width, step);
        support::check_pattern(
            p, heed::causal & heed::dilated(width, step),
            [&](long b, long h, long q, long k) { return k <= q + shift && both(b, h, q, k); });
    });
}

TEST_CASE("dilated knows every tile") {
    for (const heed::problem_shape& s : {support::small_shape, {1, 1, 12, 7}, {1, 1, 10, 10}})
        for (const long step : {1L, 2L, 3L, 5L, 30L})
            for (const long width : {0L, 1L, 2L, 4L, 40L})
                support::exact_tiles(heed::dilated(width, step), definition(s.keys - s.queries, width, step),
                                     s);
    constexpr long far = 1L << 62;
    support::exact_tiles(heed::dilated(far, 2), definition(2, far, 2));
    support::exact_tiles(heed::dilated(3, far), definition(2, 3, far));
    support::exact_tiles(heed::dilated(far, far), definition(2, far, far));
}
