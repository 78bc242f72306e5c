// SPDX-License-Identifier: MIT
// heed/select/seen_table.hpp: what a selector's mask answers for a block of lanes
#pragma once

#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI::detail {

// 32 bits for each score, as wide as the comparisons of other masks and as a float: a loop over a row that
// mixes widths stays scalar (measured: 2.8 times the time of a whole call on AVX-512).
struct seen_table {
    std::int32_t visible[most_rows][most_lanes];
    HEED_INLINE bool operator()(at, lane_pos x) const { return visible[x.row][x.lane] != 0; }

    // Bit l to lane l of a row.
    HEED_INLINE void spread(bit_word bits, std::int32_t row) {
        static_assert(most_lanes == word_bits);
        const auto low = static_cast<std::uint32_t>(bits);
        const auto high = static_cast<std::uint32_t>(bits >> 32);
        for (std::uint32_t l = 0; l < 32; ++l) visible[row][l] = static_cast<std::int32_t>(low >> l & 1);
        for (std::uint32_t l = 0; l < 32; ++l)
            visible[row][32 + l] = static_cast<std::int32_t>(high >> l & 1);
    }
};

// bound_blocks whose rows are single queries: a row of keys of one block repeats the row before it.
struct bound_query_blocks {
    bound_blocks blocks;  // query_block is 1

    bool alike(index heads) const { return heads <= 1 || blocks.alike(heads); }
    cover classify(const tile& t) const {
        const index first = t.key_begin / blocks.key_block;
        const index end = (t.key_end - 1) / blocks.key_block + 1;
        const bit_word* row = blocks.row(t.batch, t.head, t.query_begin);
        const cover all = cover_of_bits(row, first, end);
        for (index query = t.query_begin + 1; query < t.query_end; ++query) {
            row += blocks.row_words;
            if (all == cover::mixed || cover_of_bits(row, first, end) != all) return cover::mixed;
        }
        return all;
    }

    seen_table lanes(const lane_block& block) const {
        seen_table s;
        const at& first = block.first;
        const bit_word* row = blocks.row(first.batch, first.head, first.query);
        index key = first.key / blocks.key_block;
        index end = (key + 1) * blocks.key_block - first.key;
        for (std::int32_t x = 0; x < block.rows; ++x) {
            if (!block.lanes_are_queries()) {
                index of_lane = key;
                for (index l = 0, next = end; l < most_lanes; ++l) {
                    if (l == next && l <= block.last) ++of_lane, next += blocks.key_block;
                    s.visible[x][l] = bit_at(row, of_lane);
                }
                row += blocks.row_words;
                continue;
            }
            if (x == end) ++key, end += blocks.key_block;
            if (x == 0 || x == end - blocks.key_block) {
                const bit_word* of_lane = row + key / word_bits;
                for (std::int32_t l = 0; l < most_lanes; ++l) {
                    s.visible[x][l] = static_cast<std::int32_t>(*of_lane >> (key % word_bits) & 1);
                    if (l < block.last) of_lane += blocks.row_words;
                }
            } else {
                for (std::int32_t l = 0; l < most_lanes; ++l) s.visible[x][l] = s.visible[x - 1][l];
            }
        }
        return s;
    }
};

}  // namespace heed::inline HEED_ABI::detail
