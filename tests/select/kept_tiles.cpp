// SPDX-License-Identifier: MIT
// tests/select/kept_tiles.cpp: what the choice of a selector answers as a mask about tiles and lanes
//
// Sweeps ask about tiles at multiples of their lanes. The answers must hold from any key on, also where the
// bits of a row go on in its next word.
#include <heed/kernel/rows/key_bits.hpp>
#include <heed/mask/blocks.hpp>
#include <heed/select/seen_table.hpp>

#include "support/random.hpp"
#include "support/tensors.hpp"
#include "support/tiles.hpp"

namespace {

constexpr auto shape = support::small_shape;

// A choice among many keys, asked about a small problem whose first key stands somewhere among them.
template <class Bound>
struct part_of_keys {
    Bound all;
    heed::index from;

    heed::tile moved(heed::tile t) const {
        t.key_begin += from;
        t.key_end += from;
        return t;
    }
    heed::cover classify(const heed::tile& t) const { return all.classify(moved(t)); }
    auto lanes(heed::detail::lane_block block) const {
        block.first.key += from;
        return all.lanes(block);
    }
    const part_of_keys& bind(const char*, const heed::problem_shape&) const { return *this; }
};

support::tensor<bool> random_choice(support::random& r, long columns) {
    support::tensor<bool> kept(shape.batch, shape.heads, shape.queries, columns);
    for (long i = 0; i < kept.size(); ++i) kept.data()[i] = r.chance(0.7);
    return kept;
}

}  // namespace

TEST_CASE("the keys that rows keep, across words and at the end of a row") {
    support::random r(7001);
    for (const long from : {0L, 50L, 53L, 54L, 117L, 120L}) {
        const long keys = from + shape.keys;
        const auto kept = random_choice(r, keys);
        const long words = heed::detail::words_of(keys);
        std::vector<heed::detail::bit_word> bits(
            static_cast<std::size_t>(shape.batch * shape.heads * shape.queries * words));
        for (long row = 0; row < kept.size() / keys; ++row)
            for (long key = 0; key < keys; ++key)
                if (kept.data()[row * keys + key]) heed::detail::set_bit(bits.data() + row * words, key);
        const part_of_keys<heed::detail::key_bits> choice{{bits.data(), shape.heads, shape.queries, words},
                                                          from};
        INFO(from);
        support::exact_tiles(choice, [&](long b, long h, long q, long k) { return kept(b, h, q, from + k); });
    }
}

TEST_CASE("the blocks of keys that queries keep") {
    support::random r(7002);
    for (const long block : {1L, 2L, 3L, 7L, 16L})
        for (const long from : {0L, 1L, 5L, 62L, 130L}) {
            const long columns = (from + shape.keys + block - 1) / block;
            const auto kept = random_choice(r, columns);
            const heed::block_mask table(kept, 1, block);
            const auto blocks =
                heed::blocks(table).bind("test", {shape.batch, shape.heads, shape.queries, columns * block});
            const part_of_keys<heed::detail::bound_query_blocks> choice{{blocks}, from};
            INFO(block << ' ' << from);
            support::exact_tiles(
                choice, [&](long b, long h, long q, long k) { return kept(b, h, q, (from + k) / block); });
        }
}
