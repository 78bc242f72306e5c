// SPDX-License-Identifier: MIT
// tests/mask/random_blocks.cpp: a few blocks of keys for each block of queries, drawn from a seed
#include <heed/mask/random_blocks.hpp>

#include <heed/thread_pool.hpp>

#include <set>

#include "support/pattern.hpp"
#include "support/tiles.hpp"

namespace {

// What the mask says of single pairs of blocks: (head, query block, key block).
std::vector<bool> pairs(const heed::problem_shape& s, long count, long block, std::uint64_t seed,
                        long batch) {
    const auto bound = heed::random_blocks(count, block, seed).bind("test", s);
    std::vector<bool> seen;
    for (long h = 0; h < s.heads; ++h)
        for (long q = 0; q < s.queries; q += block)
            for (long k = 0; k < s.keys; k += block)
                seen.push_back(bound.classify({batch, h, q, q + 1, k, k + 1}) == heed::cover::full);
    return seen;
}

}  // namespace

TEST_CASE("every row of blocks sees as many different blocks as asked, or all") {
    for (const long blocks : {1L, 2L, 3L, 4L, 5L, 7L, 8L, 9L, 31L, 33L, 64L, 100L, 257L})
        for (const long count : {0L, 1L, 2L, 3L, 8L, 40L, 256L, 1L << 40}) {
            const heed::problem_shape s{1, 2, 40, blocks * 4 - 3};
            const auto seen = pairs(s, count, 4, 7, 0);
            long wrong = 0;
            for (std::size_t row = 0; row < seen.size(); row += static_cast<std::size_t>(blocks)) {
                long found = 0;
                for (std::size_t k = 0; k < static_cast<std::size_t>(blocks); ++k) found += seen[row + k];
                wrong += found != std::min(count, blocks);
            }
            CHECK(wrong == 0);
        }
}

TEST_CASE("blocks are drawn evenly, and differ between rows, heads and seeds") {
    const heed::problem_shape s{1, 4, 6000, 50 * 10};
    const auto seen = pairs(s, 5, 10, 1, 0);
    // 2400 rows of 5 in 50: each block 240 times, with a deviation of 14.7.
    std::vector<long> times(50);
    for (std::size_t i = 0; i < seen.size(); ++i) times[i % 50] += seen[i];
    for (const long n : times) CHECK(std::labs(n - 240) < 5 * 15);
    std::set<std::vector<bool>> rows;
    for (std::size_t i = 0; i < seen.size(); i += 50)
        rows.insert({seen.begin() + long(i), seen.begin() + long(i) + 50});
    CHECK(rows.size() > 2380);
    CHECK(pairs(s, 5, 10, 2, 0) != seen);
    CHECK(pairs(s, 5, 10, std::uint64_t{1} << 32 | 1, 0) != seen);
    // Pairs of blocks in one row: as often together as chance has it, 2400 x 5 / 50 x 4 / 49 = 19.6, with a
    // deviation of 4.4.
    long most = 0, least = 2400;
    for (std::size_t a = 0; a < 50; ++a)
        for (std::size_t b = a + 1; b < 50; ++b) {
            long both = 0;
            for (std::size_t i = 0; i < seen.size(); i += 50) both += seen[i + a] && seen[i + b];
            most = std::max(most, both);
            least = std::min(least, both);
        }
    CHECK(most < 47);
    CHECK(least > 0);
}

TEST_CASE("the same for every batch entry, number of queries and thread") {
    const auto seen = pairs({3, 2, 320, 320}, 3, 16, 9, 0);
    CHECK(pairs({3, 2, 320, 320}, 3, 16, 9, 2) == seen);
    // The last 32 queries over the same keys are the last two rows of each head.
    const auto last = pairs({1, 2, 32, 320}, 3, 16, 9, 0);
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t i = 0; i < 40; ++i) CHECK(last[h * 40 + i] == seen[h * 400 + 360 + i]);
    support::random r(251);
    const auto p = support::problem<float>(r, 2, 3, 1, 400, 400, 8, 8);
    const support::inputs<float> in(p);
    const auto y = heed::attention(in.q, in.k, in.v, heed::random_blocks(2, 64, 5));
    for (const int threads : {2, 3, 5}) {
        const heed::thread_pool pool(threads);
        const auto z = heed::attention(in.q, in.k, in.v, heed::random_blocks(2, 64, 5), heed::on(pool));
        CHECK(support::same_bits(y.data(), z.data(), static_cast<std::size_t>(y.size())));
    }
}

TEST_CASE("random blocks against the pattern written out, and every tile") {
    support::for_problems<float>(252, 40, [](reference::problem& p, support::random& r) {
        const long block = r.skewed(1, 70), count = r.between(0, 4), shift = p.keys - p.queries;
        const auto bound = heed::random_blocks(count, block, 3)
                               .bind("test", heed::problem_shape{p.batch, p.heads, p.queries, p.keys});
        const auto see = [&](long b, long h, long q, long k) {
            return bound.classify({b, h, q, q + 1, k, k + 1}) == heed::cover::full;
        };
        support::check_pattern(p, heed::random_blocks(count, block, 3), see);
        support::check_pattern(
            p, heed::causal & heed::random_blocks(count, block, 3),
            [&](long b, long h, long q, long k) { return k <= q + shift && see(b, h, q, k); });
    });
    for (const heed::problem_shape& s : {support::small_shape, {1, 1, 12, 7}, {1, 1, 10, 10}})
        for (const long block : {1L, 2L, 3L, 30L, 1L << 62})
            for (const long count : {0L, 1L, 2L, 5L, 9L}) {
                const auto bound = heed::random_blocks(count, block, 3).bind("test", s);
                support::exact_seeking_tiles(
                    heed::random_blocks(count, block, 3),
                    [&](long b, long h, long q, long k) {
                        return bound.classify({b, h, q, q + 1, k, k + 1}) == heed::cover::full;
                    },
                    s);
            }
}
