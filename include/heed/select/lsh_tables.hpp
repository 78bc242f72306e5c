// SPDX-License-Identifier: MIT
// heed/select/lsh_tables.hpp: which buckets the queries and keys of a key head fall into
//
// The rule stands in select/lsh.hpp.
#pragma once

#include <cmath>

#include <heed/core/numbers.hpp>
#include <heed/kernel/exact/run.hpp>
#include <heed/kernel/scratch.hpp>
#include <heed/select/concept.hpp>
#include <heed/select/lsh_mask.hpp>
#include <heed/select/mask_ref.hpp>

namespace heed::inline HEED_ABI::detail {

// Fills the tables of one key head and of its query heads.
template <class E>
class lsh_tables {
public:
    using T = typename exact_inputs<E>::T;

    // directions: (round, column, feature), rows of stride() numbers.
    lsh_tables(const exact_inputs<E>& p, const mask_ref& mask, const lsh_rule& rule, const bound_lsh& found,
               const T* directions)
        : p_(p),
          leaf_(leaves_on_target<E>()),
          mask_(mask),
          rule_(rule),
          found_(found),
          directions_(directions),
          group_(p.heads / p.kv_heads),
          half_(rule.buckets / 2),
          stride_(stride(p.features)) {}

    static index stride(index features) { return rounded_up(features, most_pack_lanes); }
    static void draw(const lsh_rule& rule, index features, T* directions) {
        for (index row = 0; row < rule.rounds * (rule.buckets / 2); ++row)
            for (index f = 0; f < features; ++f)
                directions[row * stride(features) + f] = static_cast<T>(rule.normal(row * features + f));
    }

    std::size_t bytes() const {
        arena m;
        layout_in(m);
        return m.bytes();
    }

    // Task (batch, key head).
    void run(index task, void* scratch) const {
        arena pieces(scratch);
        const layout m = layout_in(pieces);
        const index b = task / p_.kv_heads;
        const index kv = task % p_.kv_heads;
        clear(m.start, rule_.rounds * (rule_.buckets + 1));
        clear(found_.set_of(b, kv * group_, 0, 0), rule_.rounds * found_.blocks * found_.set_words);
        for (index key = 0; key < p_.keys; key += lsh_block) take_keys(b, kv, key, m);
        for (index round = 0; round < rule_.rounds; ++round) sort_keys(b, kv, round, m);
        for (index h = kv * group_; h < (kv + 1) * group_; ++h)
            for (index query = 0; query < p_.queries; query += lsh_block) take_queries(b, h, query, m);
    }

private:
    struct layout {
        T* rows;              // (vector, feature), of length 1
        T* products;          // (vector, column)
        std::int32_t* hash;   // (round, vector)
        std::int32_t* order;  // (round, rank): positions of keys sorted by (bucket, position)
        std::int32_t* start;  // (round, bucket): ranks; first the keys of the buckets before
    };
    layout layout_in(arena& m) const {
        layout w;
        w.rows = m.take<T>(lsh_block * stride_);
        w.products = m.take<T>(lsh_block * decode_keys);
        w.hash = m.take<std::int32_t>(rule_.rounds * lsh_block);
        w.order = m.take<std::int32_t>(rule_.rounds * p_.keys);
        w.start = m.take<std::int32_t>(rule_.rounds * (rule_.buckets + 1));
        return w;
    }

    // Row i of m.rows over its length; in two steps, so that no square overflows. Zero stays zero.
    void normalise(const layout& m, index i) const {
        T* const x = m.rows + i * stride_;
        double largest = 0;
        for (index f = 0; f < p_.features; ++f) {
            const double a = (std::abs)(static_cast<double>(x[f]));
            if (!(a <= largest)) largest = a;
        }
        if (largest == 0) return;
        double sum = 0;
        for (index f = 0; f < p_.features; ++f) {
            const double a = static_cast<double>(x[f]) / largest;
            sum += a * a;
        }
        const double root = std::sqrt(sum);
        for (index f = 0; f < p_.features; ++f)
            x[f] = static_cast<T>(static_cast<double>(x[f]) / largest / root);
    }

    // The buckets of the rows, all rounds, to m.hash.
    void hash_rows(const layout& m) const {
        for (index round = 0; round < rule_.rounds; ++round) {
            T max[lsh_block];
            T min[lsh_block];
            std::int32_t at_max[lsh_block];
            std::int32_t at_min[lsh_block];
            for (index i = 0; i < lsh_block; ++i) {
                max[i] = constants<T>::lowest;
                min[i] = -constants<T>::lowest;
                at_max[i] = at_min[i] = 0;
            }
            for (index first = 0; first < half_; first += decode_keys) {
                const index count = least(decode_keys, half_ - first);
                const number_rows<T> d{directions_ + (round * half_ + first) * stride_, stride_};
                for (index i = 0; i < lsh_block; i += 4)
                    leaf_.row_scores[1](m.rows + i * stride_, stride_, d, count, p_.features,
                                        m.products + i * decode_keys);
                for (index i = 0; i < lsh_block; ++i)
                    for (index c = 0; c < count; ++c) {
                        const T x = m.products[i * decode_keys + c];
                        if (x > max[i]) {
                            max[i] = x;
                            at_max[i] = static_cast<std::int32_t>(first + c);
                        }
                        if (x < min[i]) {
                            min[i] = x;
                            at_min[i] = static_cast<std::int32_t>(half_ + first + c);
                        }
                    }
            }
            for (index i = 0; i < lsh_block; ++i)
                m.hash[round * lsh_block + i] = -min[i] > max[i] ? at_min[i] : at_max[i];
        }
    }

    // Which of `count` keys some query of the group sees.
    bit_word seen_keys(index b, index kv, index key, index count) const {
        const index head = kv * group_;
        const bit_word all = ~bit_word{0} >> (word_bits - count);
        const cover c = mask_.classify_any({b, head, 0, p_.queries, key, key + count}, group_);
        if (c != cover::mixed) return c == cover::full ? all : 0;
        bit_word seen = mask_.keys_seen_by(b, head, group_, p_.queries - 1, key, count);
        for (index i = 0; i < count; ++i)
            for (index h = head; h < head + group_ && (seen >> i & 1) == 0; ++h)
                if (mask_.seen_by_any(b, h, 0, p_.queries, key + i)) seen |= bit_word{1} << i;
        return seen;
    }

    void take_keys(index b, index kv, index key, const layout& m) const {
        const index count = least(lsh_block, p_.keys - key);
        const bit_word seen = seen_keys(b, kv, key, count);
        clear(m.rows, lsh_block * stride_);
        for (index i = 0; i < count; ++i) {
            if ((seen >> i & 1) != 0)
                leaf_.widen(p_.k.row(b, kv, key + i), 0, p_.k.stride[3], 1, p_.features, m.rows + i * stride_,
                            0);
            normalise(m, i);
        }
        hash_rows(m);
        for (index round = 0; round < rule_.rounds; ++round) {
            std::int32_t* const buckets =
                found_.key_bucket + found_.keys_of(b, kv * group_, round) * found_.key_row;
            bit_word* const set = found_.set_of(b, kv * group_, round, key / lsh_block);
            for (index i = 0; i < count; ++i) {
                const bool known = (seen >> i & 1) != 0;
                const std::int32_t bucket = m.hash[round * lsh_block + i];
                buckets[key + i] = known ? bucket : -1;
                if (!known) continue;
                ++m.start[round * (rule_.buckets + 1) + bucket + 1];
                set_bit(set, bucket);
            }
        }
    }

    // By counting, which keeps the positions of a bucket in order.
    void sort_keys(index b, index kv, index round, const layout& m) const {
        std::int32_t* const start = m.start + round * (rule_.buckets + 1);
        std::int32_t* const order = m.order + round * p_.keys;
        std::int32_t* const buckets =
            found_.key_bucket + found_.keys_of(b, kv * group_, round) * found_.key_row;
        for (index key = p_.keys; key < found_.key_row; ++key) buckets[key] = -1;
        for (index i = 0; i < rule_.buckets; ++i) start[i + 1] += start[i];
        // Each start moves to the next bucket's, and all of them one place on.
        for (index key = 0; key < p_.keys; ++key)
            if (buckets[key] >= 0) order[start[buckets[key]]++] = static_cast<std::int32_t>(key);
        for (index i = rule_.buckets; i > 0; --i) start[i] = start[i - 1];
        start[0] = 0;
    }

    void take_queries(index b, index h, index query, const layout& m) const {
        const index count = least(lsh_block, p_.queries - query);
        clear(m.rows, lsh_block * stride_);
        for (index i = 0; i < count; ++i) {
            leaf_.widen(p_.q.row(b, h, query + i), 0, p_.q.stride[3], 1, p_.features, m.rows + i * stride_,
                        0);
            normalise(m, i);
        }
        hash_rows(m);
        for (index round = 0; round < rule_.rounds; ++round) {
            const index row = found_.queries_of(b, h, round) * found_.query_row + query;
            // Past the last query: these lanes are not used.
            const index end = query + count == p_.queries ? found_.query_row - query : count;
            for (index i = 0; i < end; ++i) {
                found_.query_bucket[row + i] = i < count ? m.hash[round * lsh_block + i] : 0;
                found_.low[row + i] = 1;
                found_.high[row + i] = 0;
                if (i < count)
                    find_range(m.start + round * (rule_.buckets + 1), m.order + round * p_.keys,
                               found_.query_bucket[row + i], query + i + found_.shift, found_.low[row + i],
                               found_.high[row + i]);
            }
        }
    }

    // The first and last key of a bucket that lie in the chunk of position p or the one before.
    void find_range(const std::int32_t* start, const std::int32_t* order, std::int32_t bucket, index p,
                    std::int32_t& low, std::int32_t& high) const {
        const index known = start[rule_.buckets];
        const index begin = start[bucket];
        const index end = start[bucket + 1];
        if (begin == end) return;
        index behind = begin;  // the first key of the bucket behind p
        for (index step = end; behind < step;) {
            const index middle = behind + (step - behind) / 2;
            if (order[middle] <= p)
                behind = middle + 1;
            else
                step = middle;
        }
        const index length = (2 * known + rule_.buckets - 1) / rule_.buckets;
        const index chunk = (behind > 0 ? behind - 1 : 0) / length;
        const index from = (chunk - 1) * length > begin ? (chunk - 1) * length : begin;
        const index to = least((chunk + 1) * length, end);
        if (from >= to) return;
        low = order[from];
        high = order[to - 1];
    }

    const exact_inputs<E>& p_;
    const exact_leaves<E>& leaf_;
    const mask_ref& mask_;
    const lsh_rule& rule_;
    const bound_lsh& found_;
    const T* directions_;
    index group_;
    index half_;
    index stride_;
};

}  // namespace heed::inline HEED_ABI::detail
