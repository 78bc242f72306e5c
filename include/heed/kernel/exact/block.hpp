// SPDX-License-Identifier: MIT
// heed/kernel/exact/block.hpp: a block of queries of one head against all its keys, tile by tile
//
//     m' = max(m, max s)    p = e^(s - m')    a = e^(m - m')    l = a l + sum p    O = a O + p V
//
// Lanes run over queries. A block is a few strips, each of up to three packs of queries, kept transposed:
// (feature, query); so are its scores, (key, query), and its output, (value feature, query). Keys and
// values are then read as single numbers, straight from the caller's memory in whatever order it has:
// nothing is packed, the maximum and the sum of a row never cross lanes, and a lane's arithmetic is the
// same wherever it stands. Sums of a tile start at zero and are added once, and so are those of a group of
// tiles, so that a million tiles do not drift. Where a sum overflows, of values near the largest number, the
// strip is walked once more with smaller weights. Tiles that the mask hides are neither read nor converted,
// and of one that it hides in part only the packs of queries and the groups of keys in the middle that see
// each other are multiplied.
#pragma once

#include <heed/kernel/exact/queries.hpp>
#include <heed/kernel/exact/strip_results.hpp>
#include <heed/kernel/exact/strip_sums.hpp>
#include <heed/kernel/exact/trim.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class exact_block {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    // A block of up to `queries` queries; memory for it is bytes() long and aligned to a cache line.
    exact_block(const problem& p, const exact_leaves<E>& leaves, index queries)
        : p_(p),
          leaf_(leaves),
          w_(leaves.pack_lanes),
          lanes_(panel_packs * leaves.pack_lanes),
          cuts_(p.grain, queries, leaves.pack_lanes, leaves.fewest_packs),
          sums_(p, leaves),
          results_(p, leaves) {
        const index tile_rows = rounded_up(p.keys < tile_keys ? p.keys : tile_keys, row_group);
        strips_ = cuts_.count(queries);
        query_size_ = rounded_up(p.features, w_) * lanes_;
        output_size_ = sums_.output_size();
        scores_size_ = tile_rows * lanes_;
        hidden_size_ = p.score_masked == nullptr && p.score == nullptr ? 0 : scores_size_;
        padded_size_ = rounded_up(row_group * p.features, w_);
        tail_size_ = p.value_features % row_group == 0 ? 0 : tile_rows * row_group;
        key_size_ = p.pages == nullptr && direct(p.k) ? 0 : tile_rows * p.features;
        value_size_ = p.pages == nullptr && direct(p.v) ? 0 : tile_rows * p.value_features;
        upper_size_ = p.keys > group_keys ? output_size_ + 2 * lanes_ : 0;
    }

    std::size_t bytes() const {
        return static_cast<std::size_t>(strips_ * strip_size() + scores_size_ + hidden_size_ + padded_size_ +
                                        tail_size_ + key_size_ + value_size_) *
               sizeof(T);
    }

    // Queries [query_begin, query_end) of one head against all keys.
    void run(index b, index h, index query_begin, index query_end, void* memory) const {
        walk(b, h, query_begin, query_end, memory, [&](const auto& take) {
            for (index key = 0; key < p_.keys; key += tile_keys) {
                const index seen_from = p_.first_of({b, h, query_begin, query_end, key, p_.keys});
                if (seen_from >= p_.keys) break;
                key = seen_from / tile_keys * tile_keys;
                take(key, least(key + tile_keys, p_.keys), key / group_keys);
            }
        });
    }

    // The same against the keys that tiles(take) hands to take(key_begin, key_end): up to tile_keys at a
    // time, and the same ones however often it is asked.
    template <class Tiles>
    void run(index b, index h, index query_begin, index query_end, void* memory, const Tiles& tiles) const {
        walk(b, h, query_begin, query_end, memory, [&](const auto& take) {
            index handed = 0;
            tiles([&](index begin, index end) { take(begin, end, handed++ / group_tiles); });
        });
    }

private:
    // tiles(take) hands out take(key_begin, key_end, group).
    template <class Tiles>
    void walk(index b, index h, index query_begin, index query_end, void* memory, const Tiles& tiles) const {
        T* const base = static_cast<T*>(memory);
        key_tile<T> kv{};
        kv.scores = base + strips_ * strip_size();
        kv.hidden = kv.scores + scores_size_;
        kv.padded = kv.hidden + hidden_size_;
        T* const tail = kv.padded + padded_size_;
        T* const keys = tail + tail_size_;
        T* const values = keys + key_size_;
        const index count = cuts_.count(query_end - query_begin);
        for (index i = 0; i < count; ++i) begin_strip(b, h, strip_at(base, i, query_begin, query_end));
        bool again = false;
        const auto each_strip = [&](const auto& f) {
            for (index i = 0; i < count; ++i) {
                const strip<T> t = strip_at(base, i, query_begin, query_end);
                if (!again || sums_.is_scaled(t)) f(t);
            }
        };
        bool grouped = false;
        bool overflowed = false;
        do {
            again = overflowed;
            index at_group = -1;
            tiles([&](index key_begin, index key_end, index group) {
                tile here{b, h, query_begin, query_end, key_begin, key_end};
                if (p_.cover_of(here) == cover::empty) return;
                if (upper_size_ > 0 && group != at_group && at_group >= 0) {
                    grouped = true;
                    each_strip([&](const strip<T>& t) { sums_.carry(t); });
                }
                at_group = group;
                bring_keys(here, kv, keys, values, tail);
                each_strip([&](const strip<T>& t) {
                    here.query_begin = t.begin;
                    here.query_end = t.end;
                    const cover seen = p_.cover_of(here);
                    if (seen != cover::empty) take_tile(t, here, seen, kv, again);
                });
            });
            overflowed = false;
            each_strip([&](const strip<T>& t) {
                if (grouped) sums_.carry(t);
                strip<T> whole = t;
                if (grouped) {
                    whole.output = t.upper;
                    whole.sum = t.upper_sum;
                }
                // Sums that overflowed are seen as they are written, and written again from smaller ones.
                if (!results_.write(b, h, whole) && !again && p_.probability == nullptr &&
                    sums_.scale_overflowed(t, grouped))
                    overflowed = true;
            });
        } while (overflowed);
    }

    template <class X>
    static bool direct(const strided<X>& x) {
        return stands_in_rows<T>(x);
    }
    index strip_size() const { return query_size_ + output_size_ + 3 * lanes_ + upper_size_; }
    strip<T> strip_at(T* base, index i, index query_begin, index query_end) const {
        const strip_cuts::piece piece = cuts_.piece_at(i, query_end - query_begin);
        strip<T> t;
        t.begin = query_begin + piece.begin;
        t.end = query_begin + piece.end;
        t.packs = piece.packs;
        t.query = base + i * strip_size();
        t.output = t.query + query_size_;
        t.most = t.output + output_size_;
        t.sum = t.most + lanes_;
        t.scale = t.sum + lanes_;
        t.upper = t.upper_most = t.upper_sum = nullptr;
        if (upper_size_ > 0) {
            t.upper = t.scale + lanes_;
            t.upper_most = t.upper + output_size_;
            t.upper_sum = t.upper_most + lanes_;
        }
        return t;
    }

    // The empty state, and the queries to (feature, lane), times the scale; lanes past the last are zero.
    void begin_strip(index b, index h, const strip<T>& t) const {
        for (index l = 0; l < lanes_; ++l) t.scale[l] = 1;
        sums_.clear(t);
        queries_to_lanes(p_, leaf_, b, h, t.begin, t.end, t.packs, t.query);
    }
    // The keys and values of a tile, and the value features that do not fill a group.
    void bring_keys(const tile& here, key_tile<T>& kv, T* keys, T* values, T* tail) const {
        const index count = here.key_end - here.key_begin;
        const index head = p_.kv_head(here.head);
        if (p_.pages != nullptr) {
            const key_pages<T>& from = *p_.pages;
            kv.keys = {keys, p_.features};
            kv.values = {values, p_.value_features};
            from.widen(from.keys, here.batch, head, here.key_begin, count, p_.features, keys, p_.features);
            from.widen(from.values, here.batch, head, here.key_begin, count, p_.value_features, values,
                       p_.value_features);
        } else {
            kv.keys = rows_of(leaf_, p_.k, here.batch, head, here.key_begin, count, p_.features, keys);
            kv.values = rows_of(leaf_, p_.v, here.batch, head, here.key_begin, count, p_.value_features, values);
        }
        kv.finite = -1;
        kv.value_tail = {tail, row_group};
        const index whole = p_.value_features / row_group * row_group;
        if (whole == p_.value_features) return;
        for (index r = 0; r < count; ++r)
            for (index f = 0; f < row_group; ++f)
                tail[r * row_group + f] =
                    whole + f < p_.value_features ? kv.values.data[r * kv.values.stride + whole + f] : T(0);
    }

    // One tile of keys against one strip; `again` when its weights are scaled.
    void take_tile(strip<T> t, tile here, cover seen, key_tile<T>& kv, bool again) const {
        index first = 0;
        index end = here.key_end - here.key_begin;
        if (seen == cover::mixed && !p_.visit_all) {
            const bool narrower = trim_queries(p_, leaf_, here, t);
            trim_keys(p_, here, first, end);
            if (first >= end) return;
            if (narrower || end - first < here.key_end - here.key_begin)
                seen = p_.cover_of({here.batch, here.head, here.query_begin, here.query_end,
                                    here.key_begin + first, here.key_begin + end});
            if (seen == cover::empty) return;
        }
        const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(here.head),
                        static_cast<std::int32_t>(here.query_begin),
                        static_cast<std::int32_t>(here.key_begin + first)};
        const score_function<T> change = seen == cover::mixed ? p_.score_masked : p_.score;
        T* const s = kv.scores + first * lanes_;
        const index rows = end - first;
        const lane_block scores{corner, -1, 0, static_cast<std::int32_t>(t.end - t.begin) - 1,
                                static_cast<std::int32_t>(rows)};
        const int lanes = t.packs * static_cast<int>(w_);

        T most[panel_packs * most_pack_lanes];
        T keep[panel_packs * most_pack_lanes];
        bool overflow = false;
        for (int l = 0; l < lanes; ++l) most[l] = t.most[l];
        leaf_.panel_scores[t.packs - 1](kv, first, end, p_.features, t.query, most);
        if (change != nullptr) change(p_.program, s, lanes_, scores, lanes);
        for (int l = 0; l < lanes; ++l) overflow = overflow || is_minus_infinity(most[l]);
        if (change != nullptr || overflow)
            leaf_.panel_largest(s, rows, t.packs, t.most, most, change == nullptr);
        if (p_.weights.data != nullptr) results_.write_scores(here, first, end, kv.scores);

        // Where a mask or a score function may hide keys, their values must be harmless or stay out.
        bool careful = false;
        if (change != nullptr) {
            if (kv.finite < 0)
                kv.finite = leaf_.all_finite(kv.values.data, kv.values.stride, here.key_end - here.key_begin,
                                             p_.value_features);
            careful = kv.finite == 0;
            if (careful)
                for (index x = first * lanes_; x < end * lanes_; ++x) kv.hidden[x] = kv.scores[x];
        }
        if (p_.probability == nullptr) {
            leaf_.panel_softmax(s, first, rows, t.packs, t.most, most, t.sum, keep);
            for (int l = 0; l < lanes; ++l) t.most[l] = most[l];
        } else {
            if (change == nullptr)
                for (index r = 0; r < rows; ++r) keep_seen(s + r * lanes_, lanes);
            p_.probability(p_.program, s, lanes_, scores, lanes);
            for (int l = 0; l < lanes; ++l) t.most[l] = 0;
            for (int l = 0; l < lanes; ++l) keep[l] = 1;
        }
        if (p_.observe != nullptr && !again)
            p_.observe(p_.observer, here, first, end, kv.scores, lanes_, most);
        if (p_.drop != nullptr) p_.drop(p_.program, s, lanes_, scores, lanes);
        if (again)
            for (index r = 0; r < rows; ++r)
                for (int l = 0; l < lanes; ++l) s[r * lanes_ + l] *= t.scale[l];
        if (careful)
            leaf_.visible_outputs(kv, first, end, p_.value_features, t.output, keep, t.packs);
        else
            leaf_.panel_outputs[t.packs - 1](kv, first, end, p_.value_features, t.output, keep);
    }

    const problem& p_;
    const exact_leaves<E>& leaf_;
    index w_;
    index lanes_;
    strip_cuts cuts_;
    strip_sums<E> sums_;
    strip_results<E> results_;
    index strips_;
    index query_size_;
    index output_size_;
    index scores_size_;
    index hidden_size_;
    index padded_size_;
    index tail_size_;
    index key_size_;
    index value_size_;
    index upper_size_;
};

}  // namespace heed::inline HEED_ABI::detail
