// SPDX-License-Identifier: MIT
// tests/mask/global.cpp: positions that see everything and are seen by everyone
#include <heed/mask/global.hpp>

#include <algorithm>
#include <array>

#include "support/pattern.hpp"
#include "support/tiles.hpp"
#include "support/traps.hpp"

namespace {

auto definition(long shift, const std::vector<int>& ids) {
    return [=](long, long, long q, long k) {
        const auto holds = [&](long p) { return std::find(ids.begin(), ids.end(), p) != ids.end(); };
        return holds(q + shift) || holds(k);
    };
}
auto definition(long shift, long count) {
    return [=](long, long, long q, long k) { return (q + shift >= 0 && q + shift < count) || k < count; };
}

std::vector<int> random_ids(support::random& r, long keys) {
    std::vector<int> ids;
    for (long n = r.between(0, std::min<long>(keys, 9)); n > 0; --n)
        ids.push_back(static_cast<int>(r.between(0, keys - 1)));
    return ids;
}

}  // namespace

TEST_CASE("global ids in any order, some of them twice") {
    support::for_problems<float>(231, 80, [](reference::problem& p, support::random& r) {
        auto ids = random_ids(r, p.keys);
        if (r.chance(0.5)) std::sort(ids.begin(), ids.end());
        support::check_pattern(p, heed::global(ids), definition(p.keys - p.queries, ids));
    });
}

TEST_CASE("global_first is global for the first positions") {
    support::for_problems<float>(232, 60, [](reference::problem& p, support::random& r) {
        const long n = r.between(0, p.keys + 2);
        support::check_pattern(p, heed::global_first(n), definition(p.keys - p.queries, n));
    });
}

TEST_CASE("causal with a window or global positions") {
    support::for_problems<float>(233, 60, [](reference::problem& p, support::random& r) {
        const auto ids = random_ids(r, p.keys);
        const long left = r.skewed(1, p.keys) - 1, shift = p.keys - p.queries;
        const auto all = definition(shift, ids);
        const auto mask = heed::causal & (heed::window(left, 0) | heed::global(ids));
        const auto see = [&](long b, long h, long q, long k) {
            return k <= q + shift && (k >= q + shift - left || all(b, h, q, k));
        };
        support::check_pattern(p, mask, see);
    });
}

TEST_CASE("global knows every tile and every first key") {
    for (const heed::problem_shape& s : {support::small_shape, {1, 1, 12, 7}, {1, 1, 10, 10}}) {
        const long shift = s.keys - s.queries;
        for (const auto& ids : std::vector<std::vector<int>>{
                 {}, {0}, {2, 3, 4}, {6, 0, 3}, {5, 5, 4, 4, 6}, {1, 1, 2, 2, 3, 6}, {0, 1, 2, 3, 4, 5, 6}})
            support::exact_seeking_tiles(heed::global(ids), definition(shift, ids), s);
        for (const long n : {0L, 1L, 4L, 7L, 100L})
            support::exact_seeking_tiles(heed::global_first(n), definition(shift, n), s);
    }
}

TEST_CASE("what no position sees stays out") {
    const heed_test::without_traps quiet;
    support::random r(234);
    auto p = support::problem<float>(r, 1, 4, 2, 150, 500, 7, 9);
    const std::vector<int> ids{3, 17, 250, 251, 330};  // no query: those stand at 350 and behind
    support::check_poison(p, r, heed::global(ids), definition(350, ids));
    p = support::problem<float>(r, 2, 2, 2, 2, 300, 7, 9);
    support::check_poison(p, r, heed::global_first(20), definition(298, 20L));
}
