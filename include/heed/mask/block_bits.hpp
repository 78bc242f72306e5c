// SPDX-License-Identifier: MIT
// heed/mask/block_bits.hpp: which blocks of keys each block of queries sees, one bit for a pair of blocks
//
// What a block mask is made of, and what a selector of pages writes: a row of bits for every batch entry,
// head and block of queries, a bit for every block of keys. Heads that share keys may share a row.
//
// Cost: a bit for a pair of blocks; O(1) for a tile.
#pragma once

#include <bit>
#include <cstring>

#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI::detail {

using bit_word = std::uint64_t;
inline constexpr index word_bits = 64;

// x / y and its remainder, rounded down; y > 0.
constexpr index floor_divided(index x, index y) { return x >= 0 ? x / y : -((y - 1 - x) / y); }
constexpr index floor_remainder(index x, index y) { return x - floor_divided(x, y) * y; }

// Blocks of this length that positions fill; the last may be short.
constexpr index blocks_of(index positions, index block) { return (positions + block - 1) / block; }

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

// The first set bit of [begin, end), or end.
inline index first_bit(const bit_word* row, index begin, index end) {
    for (index word = begin / word_bits; begin < end; begin = ++word * word_bits) {
        const bit_word left = row[word] & ~bit_word{0} << (begin % word_bits);
        if (left == 0) continue;
        const index found = word * word_bits + std::countr_zero(left);
        return found < end ? found : end;
    }
    return end;
}

// The scores of a block of lanes where sees(block of queries, block of keys) holds. Blocks of queries are
// counted in positions, query + shift. Asked once for a run of lanes in one block; a row in the same block as
// the one before it is a copy.
struct seen_blocks {
    std::int32_t visible[most_rows][most_lanes];  // 0 or ~0; bools would not become vector code

    template <class Sees>
    seen_blocks(const lane_block& block, index shift, index query_block, index key_block, const Sees& sees) {
        const bool over_queries = block.lanes_are_queries();
        const index query = block.first.query + shift;
        const index lane_block_ = over_queries ? query_block : key_block;
        const index row_block = over_queries ? key_block : query_block;
        const index first_lane = over_queries ? query : block.first.key;
        const index first_row = over_queries ? block.first.key : query;
        for (std::int32_t x = 0; x < block.rows; ++x) {
            const index of_row = floor_divided(first_row + x, row_block);
            if (x > 0 && of_row * row_block != first_row + x) {
                std::memcpy(visible[x], visible[x - 1], sizeof visible[x]);
                continue;
            }
            for (index lane = 0, end = 0; lane < most_lanes; lane = end) {
                const index of_lane = floor_divided(first_lane + lane, lane_block_);
                end = (of_lane + 1) * lane_block_ - first_lane;
                if (end > block.last) end = most_lanes;  // lanes past the last repeat it
                const bool bit = over_queries ? sees(of_lane, of_row) : sees(of_row, of_lane);
                std::memset(visible[x] + lane, bit ? 0xff : 0,
                            static_cast<std::size_t>(end - lane) * sizeof(std::int32_t));
            }
        }
    }
    HEED_INLINE bool operator()(at, lane_pos x) const { return visible[x.row][x.lane] != 0; }
};

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

    index first_key(const tile& t) const {
        const index end = (t.key_end - 1) / key_block + 1;
        index found = end;
        for (index query = t.query_begin / query_block * query_block; query < t.query_end;
             query += query_block)
            found = first_bit(row(t.batch, t.head, query), t.key_begin / key_block, found);
        if (found == end) return t.key_end;
        return found * key_block > t.key_begin ? found * key_block : t.key_begin;
    }
    index grain() const { return query_block; }

    seen_blocks lanes(const lane_block& block) const {
        return seen_blocks(block, 0, query_block, key_block, [&](index query, index key) {
            return bit_at(row(block.first.batch, block.first.head, query * query_block), key);
        });
    }
};

}  // namespace heed::inline HEED_ABI::detail
