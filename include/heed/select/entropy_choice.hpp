// SPDX-License-Identifier: MIT
// heed/select/entropy_choice.hpp: the blocks of keys that each query of a key head keeps
//
// The rule stands in select/entropy_budget.hpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>

#include <heed/core/numbers.hpp>
#include <heed/kernel/exact/run.hpp>
#include <heed/kernel/scratch.hpp>
#include <heed/select/concept.hpp>
#include <heed/select/mask_ref.hpp>
#include <heed/select/seen_table.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr index budget_block = decode_keys;  // keys of a block
inline constexpr index budget_chunk = 64;           // queries that are estimated together

struct entropy_budget_rule {
    index min_keys;
    index max_keys;
    double kappa;

    // Keys for a row whose e^H is this.
    index keys_of(double spread) const {
        const double by = kappa < 1e30 ? kappa : 1e30;  // all the same to any number of keys
        const double wanted = std::ceil(by * spread * 0.999);
        if (!(wanted < static_cast<double>(max_keys))) return max_keys;
        const index k = static_cast<index>(wanted);
        return k > min_keys ? k : min_keys;
    }
};

// The choices of one key head.
template <class E>
class entropy_choice {
public:
    using T = typename exact_inputs<E>::T;

    entropy_choice(const exact_inputs<E>& p, const mask_ref& mask, const entropy_budget_rule& rule,
                   const bound_blocks& found)
        : p_(p),
          leaf_(leaves_on_target<E>()),
          mask_(mask),
          rule_(rule),
          found_(found),
          group_(p.heads / p.kv_heads),
          blocks_((p.keys + budget_block - 1) / budget_block),
          row_(rounded_up(blocks_, decode_keys)),
          stride_(rounded_up(p.features, most_pack_lanes)) {}

    std::size_t bytes() const {
        arena m;
        layout_in(m);
        return m.bytes();
    }

    // Task (batch, key head): writes the bits of its queries.
    void run(index task, void* scratch, bit_word* bits) const {
        arena pieces(scratch);
        const layout m = layout_in(pieces);
        const index b = task / p_.kv_heads;
        const index kv = task % p_.kv_heads;
        clear(m.means, row_ * stride_);
        clear(m.known, blocks_);
        for (index query = 0; query < p_.queries; query += budget_chunk) {
            const index count = least(budget_chunk, p_.queries - query);
            load_queries(b, kv, query, count, m);
            load_estimates(b, kv, query, count, m);
            for (index r = 0; r < count; ++r)
                choose_row(query + r, m, r, bits + (task * p_.queries + query + r) * found_.row_words);
        }
    }

private:
    struct block_estimate {
        T s;
        std::int32_t block;
        bool operator<(const block_estimate& o) const { return s < o.s || (s == o.s && block > o.block); }
    };
    struct layout {
        T* means;            // (block, feature)
        char* known;         // is a block's mean there?
        T* query;            // (row, feature), scaled and averaged over the group
        T* one;              // a head's query
        T* keys;             // a block's keys, where they are converted
        T* scores;           // (64 blocks, row, block): s
        T* single;           // (row, key): the scores of one block
        std::int32_t* seen;  // (row, block): n
        T* weights;          // of a row's blocks
        block_estimate* heap;
    };
    layout layout_in(arena& m) const {
        layout w;
        w.means = m.take<T>(row_ * stride_);
        w.known = m.take<char>(blocks_);
        w.query = m.take<T>(budget_chunk * stride_);
        w.one = m.take<T>(stride_);
        w.keys = m.take<T>(budget_block * p_.features);
        w.scores = m.take<T>(budget_chunk * row_);
        w.single = m.take<T>(budget_chunk * decode_keys);
        w.seen = m.take<std::int32_t>(budget_chunk * row_);
        w.weights = m.take<T>(row_);
        w.heap = m.take<block_estimate>(row_);
        return w;
    }
    static T* score_at(const layout& m, index r, index block) {
        return m.scores + (block / decode_keys * budget_chunk + r) * decode_keys + block % decode_keys;
    }
    index length(index block) const { return least(budget_block, p_.keys - block * budget_block); }

    void load_queries(index b, index kv, index query, index count, const layout& m) const {
        const T factor = p_.scale / static_cast<T>(group_);
        clear(m.query, budget_chunk * stride_);
        for (index r = 0; r < count; ++r) {
            T* const to = m.query + r * stride_;
            for (index h = kv * group_; h < (kv + 1) * group_; ++h) {
                leaf_.widen(p_.q.row(b, h, query + r), 0, p_.q.stride[3], 1, p_.features, m.one, 0);
                for (index f = 0; f < p_.features; ++f) to[f] += m.one[f] * factor;
            }
        }
    }

    // Queries against `count` rows of k, four at a time; their scores are decode_keys apart.
    void multiply(const layout& m, index queries, const number_rows<T>& k, index count, T* to) const {
        for (index r = 0; r < queries; r += 4)
            leaf_.row_scores[1](m.query + r * stride_, stride_, k, count, p_.features, to + r * decode_keys);
    }

    // s and n of all blocks for the queries of a chunk.
    void load_estimates(index b, index kv, index query, index count, const layout& m) const {
        for (index first = 0; first < blocks_; first += decode_keys) {
            const index end = least(first + decode_keys, blocks_);
            bit_word part = 0;
            bit_word whole = 0;
            for (index block = first; block < end; ++block) {
                const index key = block * budget_block;
                const cover seen = mask_.classify_any(
                    {b, kv * group_, query, query + count, key, key + length(block)}, group_);
                const auto n = static_cast<std::int32_t>(seen == cover::full ? length(block) : 0);
                for (index r = 0; r < count; ++r) m.seen[r * row_ + block] = n;
                if (seen == cover::mixed) part |= bit_word{1} << (block - first);
                if (seen != cover::full) continue;
                whole |= bit_word{1} << (block - first);
                if (m.known[block] == 0) load_mean(b, kv, block, m);
            }
            if (whole != 0)
                multiply(m, count, {m.means + first * stride_, stride_, blocks_ - first}, end - first,
                         score_at(m, 0, first));
            for (index block = first; part != 0; ++block, part >>= 1)
                if ((part & 1) != 0) load_part(b, kv, query, count, block, m);
        }
    }

    void load_mean(index b, index kv, index block, const layout& m) const {
        const index count = length(block);
        const number_rows<T> k =
            rows_of(leaf_, p_.k, b, kv, block * budget_block, count, p_.features, m.keys);
        T* const mean = m.means + block * stride_;
        for (index i = 0; i < count; ++i)
            for (index f = 0; f < p_.features; ++f) mean[f] += k.data[i * k.stride + f];
        for (index f = 0; f < p_.features; ++f) mean[f] /= static_cast<T>(count);
        m.known[block] = 1;
    }

    // A block that queries of the chunk see in part: the mean of the scores of its keys, which is the score
    // of their mean.
    void load_part(index b, index kv, index query, index count, index block, const layout& m) const {
        const index key = block * budget_block;
        const number_rows<T> k = rows_of(leaf_, p_.k, b, kv, key, length(block), p_.features, m.keys);
        multiply(m, count, k, length(block), m.single);
        for (index r = 0; r < count; ++r) {
            const T* const s = m.single + r * decode_keys;
            const bit_word seen = mask_.keys_seen_by(b, kv * group_, group_, query + r, key, length(block));
            const int n = std::popcount(seen);
            T sum = 0;
            for (index i = 0; i < length(block); ++i)
                if ((seen >> i & 1) != 0) sum += s[i];
            m.seen[r * row_ + block] = n;
            *score_at(m, r, block) = sum / static_cast<T>(n > 0 ? n : 1);
        }
    }

    void choose_row(index query, const layout& m, index r, bit_word* bits) const {
        clear(bits, found_.row_words);
        const std::int32_t* const seen = m.seen + r * row_;
        const index p = p_.position(query);
        const index own = p >= 0 && p < p_.keys ? p / budget_block : -1;
        index left = 0;  // blocks to choose from
        index all = 0;   // keys in sight
        T largest = constants<T>::lowest;
        for (index block = 0; block < blocks_; ++block) {
            if (seen[block] == 0) continue;
            all += seen[block];
            const T s = ordered(*score_at(m, r, block));
            if (s > largest && s <= -constants<T>::lowest) largest = s;
            m.heap[left++] = {s, static_cast<std::int32_t>(block)};
        }
        if (left == 0) return;
        index wanted = rule_.keys_of(spread(m, seen, left, largest));
        if (wanted < all) {
            index kept = 0;
            for (index i = 0; i < left && own >= 0; ++i)
                if (m.heap[i].block == own) {
                    kept = keep(own, seen, bits);
                    m.heap[i] = m.heap[--left];
                    break;
                }
            std::make_heap(m.heap, m.heap + left);
            while (kept < wanted && left > 0) {
                std::pop_heap(m.heap, m.heap + left);
                kept += keep(m.heap[--left].block, seen, bits);
            }
            return;
        }
        for (index i = 0; i < left; ++i) keep(m.heap[i].block, seen, bits);
    }
    static index keep(index block, const std::int32_t* seen, bit_word* bits) {
        set_bit(bits, block);
        return seen[block];
    }

    // Finite, but NaN becomes infinity.
    static T ordered(T s) {
        using C = constants<T>;
        const auto magnitude = scalar::bits_of(s) & ~C::sign_bit;
        if (magnitude > C::infinity_bits) return scalar::float_of(C::infinity_bits);
        return s > -C::lowest ? -C::lowest : s < C::lowest ? C::lowest : s;
    }

    // e^H: ln(P_b / n_b) = s_b - largest - ln l, so H = ln l - sum P_b (s_b - largest).
    double spread(const layout& m, const std::int32_t* seen, index left, T largest) const {
        for (index i = 0; i < left; ++i) m.weights[i] = least_of(m.heap[i].s, largest);
        leaf_.weights(m.weights, 1, left, largest, T(1));
        double sum = 0;
        double moved = 0;
        for (index i = 0; i < left; ++i) {
            if (m.heap[i].s > largest) continue;  // NaN
            const double w = static_cast<double>(m.weights[i]) * static_cast<double>(seen[m.heap[i].block]);
            sum += w;
            moved += w * (static_cast<double>(m.heap[i].s) - static_cast<double>(largest));
        }
        return sum > 0 ? sum * std::exp(-moved / sum) : 0;
    }
    static T least_of(T a, T b) { return a < b ? a : b; }

    const exact_inputs<E>& p_;
    const exact_leaves<E>& leaf_;
    const mask_ref& mask_;
    const entropy_budget_rule& rule_;
    const bound_blocks& found_;
    index group_;
    index blocks_;
    index row_;     // blocks in whole steps of row_scores
    index stride_;  // of queries and means
};

}  // namespace heed::inline HEED_ABI::detail
