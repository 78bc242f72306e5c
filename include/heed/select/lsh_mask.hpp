// SPDX-License-Identifier: MIT
// heed/select/lsh_mask.hpp: the random directions of lsh, and the mask that its tables make
//
// The rule stands in select/lsh.hpp. The keys of a bucket are sorted by position, so the chunks that a query
// sees are an interval of positions: a score counts when its buckets are equal and its key is in it.
#pragma once

#include <cmath>

#include <heed/select/seen_table.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr index lsh_block = 64;  // keys of a set of buckets, and vectors that are hashed together

struct lsh_rule {
    index rounds;
    index buckets;
    std::uint64_t seed;

    double uniform(std::uint64_t i) const {
        std::uint64_t z = seed + i * 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        return (static_cast<double>(z >> 11) + 1) * 0x1p-53;
    }
    double normal(index n) const {
        const std::uint64_t i = 2 * static_cast<std::uint64_t>(n);
        return std::sqrt(-2 * std::log(uniform(i + 1))) * std::cos(6.283185307179586 * uniform(i + 2));
    }
};

// The buckets of a call: what a query sees of one round is the keys of its bucket in [low, high].
struct bound_lsh {
    std::int32_t* key_bucket;    // (batch, key head, round, key); -1: hidden from every query
    std::int32_t* query_bucket;  // (batch, head, round, query)
    std::int32_t* low;           // the same
    std::int32_t* high;          // the same
    bit_word* sets;              // (batch, key head, round, block of keys, bucket)
    index rounds;
    index heads;
    index heads_of_row;
    index keys;
    index shift;    // a query's own key is query + shift
    index key_row;  // of a round; rows have a row of lanes to spare
    index query_row;
    index set_words;
    index blocks;

    index keys_of(index b, index h, index round) const {
        return ((b * (heads / heads_of_row) + h / heads_of_row) * rounds + round);
    }
    index queries_of(index b, index h, index round) const { return (b * heads + h) * rounds + round; }
    bit_word* set_of(index b, index h, index round, index block) const {
        return sets + (keys_of(b, h, round) * blocks + block) * set_words;
    }

    cover classify(const tile& t) const {
        if (t.query_begin + shift < t.key_end && t.query_end + shift > t.key_begin) return cover::mixed;
        const index first = t.key_begin / lsh_block;
        const index last = (t.key_end - 1) / lsh_block;
        for (index round = 0; round < rounds; ++round) {
            const index row = queries_of(t.batch, t.head, round) * query_row;
            for (index q = row + t.query_begin; q < row + t.query_end; ++q) {
                if (low[q] >= t.key_end || high[q] < t.key_begin) continue;
                for (index block = first; block <= last; ++block)
                    if (bit_at(set_of(t.batch, t.head, round, block), query_bucket[q])) return cover::mixed;
            }
        }
        return cover::empty;
    }

    // Lanes past the last one read numbers that are not used.
    seen_table lanes(const lane_block& block) const {
        seen_table s;
        const at& first = block.first;
        const bool lanes_are_keys = !block.lanes_are_queries();
        for (std::int32_t x = 0; x < block.rows; ++x) {
            const index query = first.query + (lanes_are_keys ? x : 0);
            const index key = first.key + (lanes_are_keys ? 0 : x);
            std::int32_t found[most_lanes];
            const auto apart = static_cast<std::int32_t>(query + shift - key);
            for (std::int32_t l = 0; l < most_lanes; ++l)
                found[l] = lanes_are_keys ? l == apart : l == -apart;
            for (index round = 0; round < rounds; ++round) {
                const std::int32_t* const k =
                    key_bucket + keys_of(first.batch, first.head, round) * key_row + key;
                const index q = queries_of(first.batch, first.head, round) * query_row + query;
                const std::int32_t* const bucket = query_bucket + q;
                if (lanes_are_keys) {
                    const auto from = static_cast<std::int32_t>(low[q] - key);
                    const auto to = static_cast<std::int32_t>(high[q] - key);
                    const std::int32_t wanted = bucket[0];
                    for (std::int32_t l = 0; l < most_lanes; ++l)
                        found[l] |= int{k[l] == wanted} & int{l >= from} & int{l <= to};
                } else {
                    const auto here = static_cast<std::int32_t>(key);
                    const std::int32_t wanted = k[0];
                    for (std::int32_t l = 0; l < most_lanes; ++l)
                        found[l] |=
                            int{bucket[l] == wanted} & int{here >= low[q + l]} & int{here <= high[q + l]};
                }
            }
            for (std::int32_t l = 0; l < most_lanes; ++l) s.visible[x][l] = found[l];
        }
        return s;
    }
};

}  // namespace heed::inline HEED_ABI::detail
