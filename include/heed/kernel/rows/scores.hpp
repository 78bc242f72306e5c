// SPDX-License-Identifier: MIT
// heed/kernel/rows/scores.hpp: all scores of a block of queries of one key/value head, as rows
//
// They come from the products of the exact kernels: tiled, with queries as lanes, turned to rows
// afterwards; or row by row for few queries. Tiles that the mask hides are neither read nor computed.
#pragma once

#include <heed/core/workspace.hpp>
#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/queries.hpp>
#include <heed/kernel/rows/kernels.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class rows_scores {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    // The rows of a block: `queries` of one head, then as many of the next.
    struct rows_at {
        index batch;
        index head;
        index query;
        index queries;
        index rows;
        index kv_head;
    };
    struct layout {
        rows_at where;
        index first = 0;  // keys [first, end) were visited
        index end = 0;
        T* query;              // (strip, feature, lane), or (row, feature); scaled
        T* padded;             // scratch for the last keys of a tile
        T* panel;              // a tile of scores: (key, lane), or (row, key)
        T* tile;               // a tile of keys or values, where they are converted
        T* scores;             // (row, key); later the weights, closed up
        std::int32_t* chosen;  // (row, kept)
        T* scratch;            // of the selection
        T* output;             // (row, value feature)
        T* upper;              // of the groups of keys before this one; nullptr where there is one
        T* scale;              // of a row's weights, 1 or sum_scale
        T* factor;             // of a row's output
        index* next;           // the first whose value is still to come
        std::size_t bytes;
    };

    // Of blocks of up to `rows` rows.
    rows_scores(const problem& p, index rows)
        : p_(p),
          leaf_(leaves_on_target<E>()),
          row_leaf_(row_leaves_on_target<T>()),
          rows_(rounded_up(rows, leaf_.pack_lanes)),
          lanes_(panel_packs * leaf_.pack_lanes),
          row_stride_(rounded_up(p.keys, most_pack_lanes) + 2 * select_slack),
          query_stride_(rounded_up(p.features, most_pack_lanes)),
          value_stride_(rounded_up(p.value_features, most_pack_lanes)) {}

    // Elements between rows of scores, and between rows of converted values.
    index row_stride() const { return row_stride_; }
    index value_stride() const { return value_stride_; }
    // Elements of a block's output, in whole packs.
    index output_size() const { return rounded_up(rows_ * p_.value_features, most_pack_lanes); }

    // Memory aligned to a cache line in pieces; without any it only counts.
    layout layout_in(void* scratch) const {
        layout m{};
        arena pieces(scratch);
        const index strips = (rows_ + lanes_ - 1) / lanes_;
        const index features = p_.features > value_stride_ ? p_.features : value_stride_;
        m.query = pieces.take<T>(query_stride_ * (strips * lanes_ > rows_ ? strips * lanes_ : rows_));
        m.padded = pieces.take<T>(row_group * p_.features);
        m.panel = pieces.take<T>(tile_keys * (lanes_ > 4 ? lanes_ : 4));
        m.tile = pieces.take<T>(tile_keys * features);
        m.scores = pieces.take<T>(rows_ * row_stride_);
        m.chosen = pieces.take<std::int32_t>(rows_ * row_stride_);
        m.scratch = pieces.take<T>(2 * row_stride_);
        m.output = pieces.take<T>(output_size());
        if (p_.keys > group_keys) m.upper = pieces.take<T>(output_size());
        m.scale = pieces.take<T>(rows_);
        m.factor = pieces.take<T>(rows_);
        m.next = pieces.take<index>(rows_);
        m.bytes = pieces.bytes();
        return m;
    }

    // Queries [begin, end) of one head.
    void score_queries(index b, index h, index begin, index end, layout& m) const {
        m.where = {b, h, begin, end - begin, end - begin, p_.kv_head(h)};
        const index strips = (end - begin + lanes_ - 1) / lanes_;
        for (index i = 0; i < strips; ++i) {
            const index first = begin + i * lanes_;
            queries_to_lanes(p_, leaf_, b, h, first, least(first + lanes_, end), packs_of(first, end),
                             m.query + i * query_stride_ * lanes_);
        }
        for (index key = 0; key < p_.keys; key += tile_keys) {
            tile here{b, h, begin, end, key, least(key + tile_keys, p_.keys)};
            const bool seen = p_.cover_of(here) != cover::empty;
            if (!visit(here, seen, m)) continue;
            key_tile<T> kv{};
            kv.padded = m.padded;
            kv.scores = m.panel;
            if (seen)
                kv.keys =
                    rows_of(leaf_, p_.k, b, m.where.kv_head, key, here.key_end - key, p_.features, m.tile);
            for (index i = 0; i < strips; ++i) {
                here.query_begin = begin + i * lanes_;
                here.query_end = least(here.query_begin + lanes_, end);
                score_strip(here, seen ? p_.cover_of(here) : cover::empty, kv,
                            m.query + i * query_stride_ * lanes_, m);
            }
        }
    }

    // All queries, a few, of the heads that share a key/value head: a key is read once for all of them.
    void score_heads(index b, index kv_head, layout& m) const {
        const index group = p_.heads / p_.kv_heads;
        m.where = {b, kv_head * group, 0, p_.queries, group * p_.queries, kv_head};
        for (index r = 0; r < m.where.rows; ++r) {
            const at row = row_id_of(m.where, r);
            query_to_row(p_, leaf_, b, row.head, row.query, m.query + r * query_stride_);
        }
        for (index key = 0; key < p_.keys; key += decode_keys) {
            const tile here{b, kv_head, 0, 1, key, least(key + decode_keys, p_.keys)};
            bool seen = false;
            for (index r = 0; r < m.where.rows && !seen; ++r)
                seen = cover_of(here, m.where, r) != cover::empty;
            if (!visit(here, seen, m)) continue;
            const index count = here.key_end - key;
            number_rows<T> k{};
            if (seen) k = rows_of(leaf_, p_.k, b, kv_head, key, count, p_.features, m.tile, p_.keys - key);
            for (index r = 0; r < m.where.rows; r += r + 4 <= m.where.rows ? 4 : 1) {
                const bool four = r + 4 <= m.where.rows;
                if (seen)
                    leaf_.row_scores[four](m.query + r * query_stride_, query_stride_, k, count, p_.features,
                                           m.panel);
                for (index i = r; i < r + (four ? 4 : 1); ++i)
                    score_row_of(here, i, count, m.panel + (i - r) * decode_keys, m);
            }
        }
    }

    at row_id_of(const rows_at& where, index r) const {
        return {static_cast<std::int32_t>(where.batch),
                static_cast<std::int32_t>(where.head + r / where.queries),
                static_cast<std::int32_t>(where.query + r % where.queries), 0};
    }

private:
    cover cover_of(const tile& here, const rows_at& where, index r) const {
        const at row = row_id_of(where, r);
        return p_.cover_of({here.batch, row.head, row.query, row.query + 1, here.key_begin, here.key_end});
    }
    int packs_of(index first, index end) const {
        const index w = leaf_.pack_lanes;
        const index packs = least((end - first + w - 1) / w, panel_packs);
        return static_cast<int>(packs < leaf_.fewest_packs ? leaf_.fewest_packs : packs);
    }

    // Keeps [first, end) of the keys that any row sees. False while nothing has been seen.
    static bool visit(const tile& here, bool seen, layout& m) {
        if (seen && m.end == 0) m.first = here.key_begin;
        if (seen) m.end = here.key_end;
        return m.end != 0;
    }

    static void hide(T* row, index count) {
        for (index i = 0; i < count; ++i) row[i] = minus_infinity<T>();
    }

    // A tile of keys against a strip of queries, into their rows.
    void score_strip(const tile& here, cover seen, const key_tile<T>& kv, const T* query, layout& m) const {
        const index w = leaf_.pack_lanes;
        const index count = here.key_end - here.key_begin;
        T* const rows = m.scores + (here.query_begin - m.where.query) * row_stride_ + here.key_begin;
        if (seen == cover::empty) {
            for (index r = 0; r < here.query_end - here.query_begin; ++r) hide(rows + r * row_stride_, count);
            return;
        }
        const int packs = packs_of(here.query_begin, here.query_end);
        T row_max[panel_packs * most_pack_lanes];
        for (T& x : row_max) x = minus_infinity<T>();
        leaf_.panel_scores[packs - 1](kv, 0, count, p_.features, query, row_max);
        // A square may be higher than what the products wrote.
        for (index key = count; key < rounded_up(count, w); ++key)
            for (index l = 0; l < lanes_; ++l) kv.scores[key * lanes_ + l] = 0;
        const score_function<T> change = seen == cover::mixed ? p_.score_masked : p_.score;
        if (change != nullptr) {
            const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(here.head),
                            static_cast<std::int32_t>(here.query_begin),
                            static_cast<std::int32_t>(here.key_begin)};
            change(p_.program, kv.scores, lanes_,
                   {corner, -1, 0, static_cast<std::int32_t>(here.query_end - here.query_begin) - 1,
                    static_cast<std::int32_t>(count)},
                   packs * w);
        }
        row_leaf_.to_rows(kv.scores, count, here.query_end - here.query_begin, change == nullptr, rows,
                          row_stride_);
    }

    // The same for one row, whose products stand in s.
    void score_row_of(const tile& here, index r, index count, T* s, layout& m) const {
        T* const row = m.scores + r * row_stride_ + here.key_begin;
        const cover seen = cover_of(here, m.where, r);
        if (seen == cover::empty) return hide(row, count);
        const index whole = rounded_up(count, leaf_.pack_lanes);
        // Lanes past the last key repeat its score: a score function works on whole packs.
        for (index i = count; i < whole; ++i) s[i] = s[count - 1];
        const score_function<T> change = seen == cover::mixed ? p_.score_masked : p_.score;
        if (change != nullptr) {
            at corner = row_id_of(m.where, r);
            corner.key = static_cast<std::int32_t>(here.key_begin);
            change(p_.program, s, 0, {corner, 0, -1, static_cast<std::int32_t>(count) - 1, 1}, whole);
        }
        for (index i = 0; i < count; ++i)
            row[i] = change == nullptr && is_minus_infinity(s[i]) ? constants<T>::lowest : s[i];
    }

    const problem& p_;
    const exact_leaves<E>& leaf_;
    const row_leaves<T>& row_leaf_;
    index rows_;
    index lanes_;
    index row_stride_;
    index query_stride_;
    index value_stride_;
};

}  // namespace heed::inline HEED_ABI::detail
