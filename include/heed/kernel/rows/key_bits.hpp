// SPDX-License-Identifier: MIT
// heed/kernel/rows/key_bits.hpp: which keys the rows of a problem keep, without their outputs
//
//     kept = key_bits_of(problem, chooser, device, workspace)
//
// The scores and the choice are those of run_rows, by the same kernel and so to the bit; no value is read
// and no result written. A backward takes what it gives for a mask.
//
// Cost: the scores and the choice of run_rows. Memory beside its scratch: a bit for each score, rows of
// whole 64-bit words, from workspace::part::selection.
#pragma once

#include <heed/kernel/rows/run.hpp>
#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI::detail {

// A bit for each score: what a run of rows fills in the place of weights, and then a bound mask.
struct key_bits {
    bit_word* bits;  // (batch, head, query, key), rows of whole words
    index heads;
    index queries;
    index row_words;

    bit_word* row(index batch, index head, index query) const {
        return bits + ((batch * heads + head) * queries + query) * row_words;
    }

    void record(const at& row_id, const std::int32_t* keys, index count) const {
        bit_word* const to = row(row_id.batch, row_id.head, row_id.query);
        for (index word = 0; word < row_words; ++word) to[word] = 0;
        for (index i = 0; i < count; ++i) set_bit(to, keys[i]);
    }

    cover classify(const tile& t) const {
        const cover first = cover_of_bits(row(t.batch, t.head, t.query_begin), t.key_begin, t.key_end);
        for (index query = t.query_begin + 1; query < t.query_end && first != cover::mixed; ++query)
            if (cover_of_bits(row(t.batch, t.head, query), t.key_begin, t.key_end) != first)
                return cover::mixed;
        return first;
    }

    struct seen {
        std::int32_t visible[most_rows][most_lanes];  // 0 or ~0; bools would not become vector code
        HEED_INLINE bool operator()(at, lane_pos x) const { return visible[x.row][x.lane] != 0; }
    };
    seen lanes(const lane_block& block) const {
        const bool over_queries = block.lanes_are_queries();
        const std::int32_t used = block.last + 1;
        const std::int32_t of_queries = over_queries ? used : block.rows;
        const std::int32_t of_keys = over_queries ? block.rows : used;
        const index query_step = over_queries ? 1 : most_lanes;
        const index key_step = over_queries ? most_lanes : 1;
        seen s;
        for (std::int32_t q = 0; q < of_queries; ++q) {
            std::int32_t* const to = &s.visible[0][0] + q * query_step;
            const bit_word here =
                bits_from(row(block.first.batch, block.first.head, block.first.query + q), block.first.key);
            for (std::int32_t k = 0; k < of_keys; ++k)
                to[k * key_step] = -static_cast<std::int32_t>(here >> k & 1);
        }
        // Lanes past the last repeat it.
        for (std::int32_t r = 0; r < block.rows; ++r)
            for (std::int32_t lane = used; lane < most_lanes; ++lane)
                s.visible[r][lane] = s.visible[r][block.last];
        return s;
    }

private:
    // The bits of a row from this key on, as many as a word has; 0 behind its last word.
    bit_word bits_from(const bit_word* from, index key) const {
        const index word = key / word_bits;
        const index shift = key % word_bits;
        const bit_word low = from[word] >> shift;
        return shift == 0 || word + 1 == row_words ? low : low | from[word + 1] << (word_bits - shift);
    }
};
static_assert(most_lanes <= word_bits && most_rows <= word_bits);

template <class E, class Chooser>
key_bits key_bits_of(const exact_problem<E>& p, const Chooser& chooser, device_ref device,
                     workspace& memory) {
    key_bits kept{nullptr, p.heads, p.queries, words_of(p.keys)};
    const auto words = static_cast<std::size_t>(p.batch * p.heads * p.queries * kept.row_words);
    kept.bits = static_cast<bit_word*>(memory.reserve(words * sizeof(bit_word), workspace::part::selection));
    exact_problem<E> without_values = p;
    without_values.value_features = 0;
    run_rows(without_values, chooser, kept, device, memory);
    return kept;
}

}  // namespace heed::inline HEED_ABI::detail
