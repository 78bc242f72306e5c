// SPDX-License-Identifier: MIT
// heed/mask/block_bits.hpp: which blocks of keys each block of queries sees, one bit for a pair of blocks
//
// What a block mask is made of, and what a selector of pages writes: a row of bits for every batch entry,
// head and block of queries, a bit for every block of keys. Heads that share keys may share a row.
//
// Cost: a bit for a pair of blocks; O(1) for a tile.
#pragma once

#include <heed/mask/concept.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

using bit_word = std::uint64_t;
inline constexpr index word_bits = 64;

// 64-bit words that hold this many bits.
constexpr index words_of(index bits) { return (bits + word_bits - 1) / word_bits; }

inline bool bit_at(const bit_word* row, index i) { return (row[i / word_bits] >> (i % word_bits) & 1) != 0; }
inline void set_bit(bit_word* row, index i) { row[i / word_bits] |= bit_word{1} << (i % word_bits); }

// How many of the bits [begin, end) of a row are set: none, all, or some of both; not an empty range.
inline cover cover_of_bits(const bit_word* row, index begin, index end) {
    bit_word any = 0;
    bit_word none = 0;
    for (index word = begin / word_bits; word <= (end - 1) / word_bits; ++word) {
        bit_word inside = ~bit_word{0};
        if (word == begin / word_bits) inside <<= begin % word_bits;
        if (word == (end - 1) / word_bits) inside &= ~bit_word{0} >> (word_bits - 1 - (end - 1) % word_bits);
        any |= row[word] & inside;
        none |= ~row[word] & inside;
    }
    return any == 0 ? cover::empty : none == 0 ? cover::full : cover::mixed;
}

struct bound_blocks {
    const bit_word* bits;  // (batch, head / heads_of_row, query block, key block), rows of whole words
    index batch_stride;    // in words; 0: the same for every batch entry
    index head_stride;     // in words; 0: the same for every head
    index row_words;
    index heads_of_row;  // heads that share a row
    index query_block;   // queries and keys of a block
    index key_block;

    const bit_word* row(index batch, index head, index query) const {
        return bits + batch * batch_stride + head / heads_of_row * head_stride +
               query / query_block * row_words;
    }

    bool alike(index heads) const { return head_stride == 0 || heads_of_row % heads == 0; }
    cover classify(const tile& t) const {
        const index first = t.key_begin / key_block;
        const index end = (t.key_end - 1) / key_block + 1;
        cover all = cover_of_bits(row(t.batch, t.head, t.query_begin), first, end);
        index query = t.query_begin / query_block * query_block + query_block;
        for (; query < t.query_end && all != cover::mixed; query += query_block)
            if (cover_of_bits(row(t.batch, t.head, query), first, end) != all) all = cover::mixed;
        return all;
    }

    struct seen {
        bool visible[most_rows][most_lanes];
        HEED_INLINE bool operator()(at, place x) const { return visible[x.row][x.lane]; }
    };
    seen lanes(const lane_block& block) const {
        seen s;
        const at& first = block.first;
        for (std::int32_t l = 0; l < most_lanes; ++l) {
            const std::int32_t lane = block.clamped(l);
            const bit_word* r = row(first.batch, first.head, first.query + (lane & block.query_step));
            for (std::int32_t x = 0; x < block.rows; ++x) {
                if (!block.lanes_are_queries()) r = row(first.batch, first.head, first.query + x);
                const index key = first.key + (block.lanes_are_queries() ? x : lane);
                s.visible[x][l] = bit_at(r, key / key_block);
            }
        }
        return s;
    }
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
