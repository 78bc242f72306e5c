// SPDX-License-Identifier: MIT
// tests/mask/blocks.cpp: block masks from tables, functions and other masks
#include <heed/mask/blocks.hpp>

#include <heed/mask/block_window.hpp>

#include "support/pattern.hpp"
#include "support/tiles.hpp"

namespace {

using table = support::tensor<bool>;

long blocks(long positions, long block) { return (positions + block - 1) / block; }

table random_table(support::random& r, long batch, long heads, long queries, long keys, double chance) {
    table t(batch, heads, queries, keys);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = r.chance(chance);
    return t;
}

auto definition(const table& t, long query_block, long key_block) {
    return [&t, query_block, key_block](long b, long h, long q, long k) {
        return t(t.dimension(0) > 1 ? b : 0, t.dimension(1) > 1 ? h : 0, q / query_block, k / key_block);
    };
}

}  // namespace

TEST_CASE("a table of blocks, one for all heads or one for each") {
    support::for_problems<float>(241, 80, [](reference::problem& p, support::random& r) {
        const long query_block = r.skewed(1, 80), key_block = r.skewed(1, 200);
        const table t = random_table(r, r.chance(0.5) ? p.batch : 1, r.chance(0.5) ? p.heads : 1,
                                     blocks(p.queries, query_block), blocks(p.keys, key_block), 0.3);
        const heed::block_mask mask(t, query_block, key_block);
        support::check_pattern(p, heed::blocks(mask), definition(t, query_block, key_block));
    });
}

TEST_CASE("blocks that strips of queries are cut at") {
    support::random r(242);
    for (const long block : {32L, 64L, 80L, 96L, 100L, 128L, 192L, 256L, 512L}) {
        auto p = support::problem<float>(r, 1, 2, 1, 900, 700, 5, 6);
        const table t = random_table(r, 1, 2, blocks(900, block), blocks(700, 128), 0.4);
        const heed::block_mask mask(t, block, 128);
        const auto see = definition(t, block, 128);
        support::check_pattern(
            p, heed::blocks(mask) & heed::causal_from(100),
            [&](long b, long h, long q, long k) { return k <= q + 100 && see(b, h, q, k); });
    }
}

TEST_CASE("block masks know every tile and every first key") {
    support::random r(243);
    for (const long query_block : {1L, 2L, 4L, 20L})
        for (const long key_block : {1L, 3L, 5L, 20L}) {
            const table t = random_table(r, 2, 2, blocks(9, query_block), blocks(11, key_block), 0.6);
            const heed::block_mask mask(t, query_block, key_block);
            support::exact_seeking_tiles(heed::blocks(mask), definition(t, query_block, key_block));
        }
    // Rows of several words of bits.
    const table t = random_table(r, 1, 1, 2, 200, 0.02);
    const heed::block_mask mask(t, 1, 1);
    const auto bound = heed::blocks(mask).bind("test", {1, 1, 2, 200});
    long wrong = 0;
    for (long begin = 0; begin < 200; ++begin)
        for (long end = begin + 1; end <= 200; ++end) {
            long first = begin, seen = 0;
            while (first < end && !t(0, 0, 1, first)) ++first;
            for (long k = begin; k < end; ++k) seen += t(0, 0, 1, k);
            const heed::tile tile{0, 0, 1, 2, begin, end};
            wrong += bound.first_key(tile) != first;
            wrong += (bound.classify(tile) == heed::cover::empty) != (seen == 0);
            wrong += (bound.classify(tile) == heed::cover::full) != (seen == end - begin);
        }
    CHECK(wrong == 0);
}

TEST_CASE("what a block mask keeps can be read") {
    const auto f = [](long q, long k) { return (q + k) % 3 == 0; };
    const heed::block_mask mask(f, 70, 100, 16, 10);
    CHECK(mask.query_block() == 16);
    CHECK(mask.key_block() == 10);
    CHECK((mask.extents() == std::array<heed::index, 4>{1, 1, 5, 10}));
    long kept = 0;
    for (int q = 0; q < 5; ++q) {
        std::vector<int> want;
        for (int k = 0; k < 10; ++k)
            if (f(q, k)) want.push_back(k);
        const auto row = mask.kept(q);
        CHECK(std::vector<int>(row.begin(), row.end()) == want);
        kept += long(want.size());
    }
    CHECK(mask.density() == double(kept) / 50);
    CHECK(heed::block_mask(f, 0, 0, 16, 16).density() == 0);
    CHECK(heed::block_mask(f, 5, 0, 16, 16).kept(0).empty());
}

TEST_CASE("the blocks that another mask leaves") {
    const auto mask = heed::causal & heed::window(30, 0);
    const heed::block_mask kept(mask, {1, 1, 100, 130}, 16, 20);
    for (long q = 0; q < 7; ++q)
        for (long k = 0; k < 7; ++k) {
            bool any = false;
            for (long i = q * 16; i < std::min(q * 16 + 16, 100L); ++i)
                for (long j = k * 20; j < std::min(k * 20 + 20, 130L); ++j)
                    any = any || (j <= i + 30 && j >= i);
            const auto row = kept.kept(q);
            CHECK((std::find(row.begin(), row.end(), k) != row.end()) == any);
        }
    support::random r(244);
    auto p = support::problem<float>(r, 2, 2, 1, 100, 130, 8, 8);
    support::check_pattern(p, heed::blocks(kept) & mask,
                           [](long, long, long q, long k) { return k <= q + 30 && k >= q; });
}

TEST_CASE("a window of blocks") {
    const auto definition_ = [](long shift, long side, long block) {
        return [=](long, long, long q, long k) {
            const long p = q + shift;
            return std::labs((p >= 0 ? p / block : -((-p + block - 1) / block)) - k / block) <= side;
        };
    };
    support::for_problems<float>(245, 40, [&](reference::problem& p, support::random& r) {
        const long side = r.between(0, 3), block = r.skewed(1, 70);
        support::check_pattern(p, heed::block_window(side, block),
                               definition_(p.keys - p.queries, side, block));
    });
    for (const heed::problem_shape& s : {support::small_shape, {1, 1, 12, 7}, {1, 1, 10, 10}})
        for (const long side : {0L, 1L, 3L, 1L << 62})
            for (const long block : {1L, 3L, 4L, 1L << 62})
                support::exact_seeking_tiles(
                    heed::block_window(side, block),
                    definition_(s.keys - s.queries, std::min(side, 100L), std::min(block, 100L)), s);
}

TEST_CASE("rows without blocks are empty, and hidden blocks stay out") {
    support::random r(246);
    auto p = support::problem<float>(r, 2, 4, 2, 300, 600, 9, 7);
    const auto f = [](long q, long k) { return q != 1 && k % 4 == 1; };
    const heed::block_mask mask(f, 300, 600, 64, 48);
    const auto see = [&](long, long, long q, long k) { return f(q / 64, k / 48); };
    support::check_pattern(p, heed::blocks(mask), see);
    support::check_poison(p, r, heed::blocks(mask), see);
    const support::inputs<float> in(p);
    const auto y = heed::attention(in.q, in.k, in.v, heed::blocks(mask));
    long wrong = 0;
    for (long q = 64; q < 128; ++q)
        for (long h = 0; h < 4; ++h) wrong += y(1, h, q, 3) != 0 || std::signbit(y(1, h, q, 3));
    CHECK(wrong == 0);
}
