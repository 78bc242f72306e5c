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

#include <heed/core/arena.hpp>
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

    // A block of up to `queries` queries; scratch for it is bytes() long and aligned to a cache line.
    exact_block(const problem& p, const exact_leaves<E>& leaves, index queries)
        : c_{p, leaves}, cuts_(p.grain, queries, leaves.pack_lanes, leaves.fewest_packs) {
        strips_ = cuts_.count(queries);
        tile_rows_ = rounded_up(least(p.keys, tile_keys), row_group);
        query_size_ = rounded_up(p.features, c_.w) * c_.lanes;
        output_size_ = strip_output_size(c_);
        padded_size_ = rounded_up(row_group * p.features, c_.w);
    }

    std::size_t bytes() const {
        arena counted;
        layout_in(counted);
        return counted.bytes();
    }

    // Queries [query_begin, query_end) of one head against all keys.
    void run(index b, index h, index query_begin, index query_end, void* scratch) const {
        const problem& p = c_.p;
        walk(b, h, query_begin, query_end, scratch, [&](const auto& take) {
            for (index key = 0; key < p.keys; key += tile_keys) {
                const index seen_from = p.first_of({b, h, query_begin, query_end, key, p.keys});
                if (seen_from >= p.keys) break;
                key = seen_from / tile_keys * tile_keys;
                take(key, least(key + tile_keys, p.keys), key / group_keys);
            }
        });
    }

    // The same against the keys that tiles(take) hands to take(key_begin, key_end): up to tile_keys at a
    // time, and the same ones however often it is called.
    template <class Tiles>
    void run(index b, index h, index query_begin, index query_end, void* scratch, const Tiles& tiles) const {
        walk(b, h, query_begin, query_end, scratch, [&](const auto& take) {
            index handed = 0;
            tiles([&](index begin, index end) { take(begin, end, handed++ / group_tiles); });
        });
    }

private:
    struct layout {
        strip<T>* strips;
        key_tile<T> kv;
        T *keys, *values;  // of a tile, where they are converted
        T* value_tail;     // (key, feature of a group)
    };
    layout layout_in(arena& scratch) const {
        const problem& p = c_.p;
        layout m{};
        scratch.take(m.strips, strips_);
        for (index i = 0; i < strips_; ++i) {
            const strip<T> t = strip_in(scratch);
            if (m.strips != nullptr) m.strips[i] = t;
        }
        scratch.take(m.kv.scores, tile_rows_ * c_.lanes);
        scratch.take(m.kv.hidden,
                     p.score_masked == nullptr && p.score == nullptr ? 0 : tile_rows_ * c_.lanes);
        scratch.take(m.kv.padded, padded_size_);
        scratch.take(m.value_tail, p.value_features % row_group == 0 ? 0 : tile_rows_ * row_group);
        scratch.take(m.keys, p.pages == nullptr && stands_in_rows<T>(p.k) ? 0 : tile_rows_ * p.features);
        scratch.take(m.values,
                     p.pages == nullptr && stands_in_rows<T>(p.v) ? 0 : tile_rows_ * p.value_features);
        return m;
    }
    bool has_groups() const { return c_.p.keys > group_keys; }
    strip<T> strip_in(arena& scratch) const {
        strip<T> t{};
        scratch.take(t.query, query_size_);
        scratch.take(t.output, output_size_);
        scratch.take(t.row_max, c_.lanes);
        scratch.take(t.row_sum, c_.lanes);
        scratch.take(t.scale, c_.lanes);
        if (has_groups()) {
            scratch.take(t.upper, output_size_);
            scratch.take(t.upper_max, c_.lanes);
            scratch.take(t.upper_sum, c_.lanes);
        }
        return t;
    }

    // tiles(take) hands out take(key_begin, key_end, group).
    template <class Tiles>
    void walk(index b, index h, index query_begin, index query_end, void* scratch, const Tiles& tiles) const {
        arena pieces(scratch);
        layout m = layout_in(pieces);
        const index count = cuts_.count(query_end - query_begin);
        for (index i = 0; i < count; ++i) {
            strip<T>& t = m.strips[i];
            const strip_cuts::piece piece = cuts_.piece_at(i, query_end - query_begin);
            t.begin = query_begin + piece.begin;
            t.end = query_begin + piece.end;
            t.packs = piece.packs;
            begin_strip(b, h, t);
        }
        bool again = false;
        const auto each_strip = [&](const auto& f) {
            for (index i = 0; i < count; ++i)
                if (!again || is_scaled(m.strips[i])) f(m.strips[i]);
        };
        bool grouped = false;
        bool overflowed = false;
        do {
            again = overflowed;
            index at_group = -1;
            tiles([&](index key_begin, index key_end, index group) {
                tile here{b, h, query_begin, query_end, key_begin, key_end};
                if (c_.p.cover_of(here) == cover::empty) return;
                if (has_groups() && group != at_group && at_group >= 0) {
                    grouped = true;
                    each_strip([&](const strip<T>& t) { carry_strip(c_, t); });
                }
                at_group = group;
                load_keys(here, m);
                each_strip([&](const strip<T>& t) {
                    here.query_begin = t.begin;
                    here.query_end = t.end;
                    const cover seen = c_.p.cover_of(here);
                    if (seen != cover::empty) take_tile(t, here, seen, m.kv, again);
                });
            });
            overflowed = false;
            each_strip([&](const strip<T>& t) {
                if (grouped) carry_strip(c_, t);
                strip<T> whole = t;
                if (grouped) {
                    whole.output = t.upper;
                    whole.row_sum = t.upper_sum;
                }
                // Sums that overflowed are seen as they are written, and written again from smaller ones.
                if (!write_strip(c_, b, h, whole) && !again && c_.p.probability == nullptr &&
                    scale_overflowed(c_, t, grouped))
                    overflowed = true;
            });
        } while (overflowed);
    }

    // The empty state, and the queries to (feature, lane), times the scale; lanes past the last are zero.
    void begin_strip(index b, index h, const strip<T>& t) const {
        for (index l = 0; l < c_.lanes; ++l) t.scale[l] = 1;
        clear_strip(c_, t);
        queries_to_lanes(c_.p, c_.leaf, b, h, t.begin, t.end, t.packs, t.query);
    }
    // The keys and values of a tile, and the value features that do not fill a group.
    void load_keys(const tile& here, layout& m) const {
        const problem& p = c_.p;
        const index n = p.value_features;
        const index count = here.key_end - here.key_begin;
        const index head = p.kv_head(here.head);
        if (p.pages != nullptr) {
            const key_pages<T>& from = *p.pages;
            m.kv.keys = {m.keys, p.features};
            m.kv.values = {m.values, n};
            from.widen(from.keys, here.batch, head, here.key_begin, count, p.features, m.keys, p.features);
            from.widen(from.values, here.batch, head, here.key_begin, count, n, m.values, n);
        } else {
            m.kv.keys = rows_of(c_.leaf, p.k, here.batch, head, here.key_begin, count, p.features, m.keys);
            m.kv.values = rows_of(c_.leaf, p.v, here.batch, head, here.key_begin, count, n, m.values);
        }
        m.kv.finite = -1;
        m.kv.value_tail = {m.value_tail, row_group};
        const index whole = n / row_group * row_group;
        if (whole == n) return;
        for (index r = 0; r < count; ++r)
            for (index f = 0; f < row_group; ++f)
                m.value_tail[r * row_group + f] =
                    whole + f < n ? m.kv.values.data[r * m.kv.values.stride + whole + f] : T(0);
    }

    // One tile of keys against one strip; `again` when its weights are scaled.
    void take_tile(strip<T> t, tile here, cover seen, key_tile<T>& kv, bool again) const {
        const auto& [p, leaf, w, strip_lanes] = c_;
        index first = 0;
        index end = here.key_end - here.key_begin;
        if (seen == cover::mixed && !p.visit_all) {
            const bool narrower = trim_queries(p, leaf, here, t);
            trim_keys(p, here, first, end);
            if (first >= end) return;
            if (narrower || end - first < here.key_end - here.key_begin)
                seen = p.cover_of({here.batch, here.head, here.query_begin, here.query_end,
                                   here.key_begin + first, here.key_begin + end});
            if (seen == cover::empty) return;
        }
        const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(here.head),
                        static_cast<std::int32_t>(here.query_begin),
                        static_cast<std::int32_t>(here.key_begin + first)};
        const score_function<T> change = seen == cover::mixed ? p.score_masked : p.score;
        T* const s = kv.scores + first * strip_lanes;
        const index rows = end - first;
        const lane_block scores{corner, -1, 0, static_cast<std::int32_t>(t.end - t.begin) - 1,
                                static_cast<std::int32_t>(rows)};
        const int lanes = t.packs * static_cast<int>(w);

        T row_max[panel_packs * most_pack_lanes];
        T rescale[panel_packs * most_pack_lanes];
        bool overflow = false;
        for (int l = 0; l < lanes; ++l) row_max[l] = t.row_max[l];
        leaf.panel_scores[t.packs - 1](kv, first, end, p.features, t.query, row_max);
        if (change != nullptr) change(p.program, s, strip_lanes, scores, lanes);
        for (int l = 0; l < lanes; ++l) overflow = overflow || is_minus_infinity(row_max[l]);
        if (change != nullptr || overflow)
            leaf.panel_max(s, rows, t.packs, t.row_max, row_max, change == nullptr);
        if (p.weights.data != nullptr) write_scores(c_, here, first, end, kv.scores);

        // Where a mask or a score function may hide keys, their values must be harmless or stay out.
        bool skip_hidden = false;
        if (change != nullptr) {
            if (kv.finite < 0)
                kv.finite = leaf.all_finite(kv.values.data, kv.values.stride, here.key_end - here.key_begin,
                                            p.value_features);
            skip_hidden = kv.finite == 0;
            if (skip_hidden)
                for (index x = first * strip_lanes; x < end * strip_lanes; ++x) kv.hidden[x] = kv.scores[x];
        }
        if (p.probability == nullptr) {
            leaf.panel_softmax(s, first, rows, t.packs, t.row_max, row_max, t.row_sum, rescale);
            for (int l = 0; l < lanes; ++l) t.row_max[l] = row_max[l];
        } else {
            if (change == nullptr)
                for (index r = 0; r < rows; ++r) keep_seen(s + r * strip_lanes, lanes);
            p.probability(p.program, s, strip_lanes, scores, lanes);
            for (int l = 0; l < lanes; ++l) t.row_max[l] = 0;
            for (int l = 0; l < lanes; ++l) rescale[l] = 1;
        }
        if (p.observe != nullptr && !again)
            p.observe(p.observer, here, first, end, kv.scores, strip_lanes, row_max);
        if (p.drop != nullptr) p.drop(p.program, s, strip_lanes, scores, lanes);
        if (again)
            for (index r = 0; r < rows; ++r)
                for (int l = 0; l < lanes; ++l) s[r * strip_lanes + l] *= t.scale[l];
        if (skip_hidden)
            leaf.visible_outputs(kv, first, end, p.value_features, t.output, rescale, t.packs);
        else
            leaf.panel_outputs[t.packs - 1](kv, first, end, p.value_features, t.output, rescale);
    }

    strip_context<E> c_;
    strip_cuts cuts_;
    index strips_;
    index tile_rows_;  // of scores, whole groups
    index query_size_;
    index output_size_;
    index padded_size_;
};

}  // namespace heed::inline HEED_ABI::detail
