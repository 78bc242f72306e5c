// SPDX-License-Identifier: MIT
// heed/kernel/exact/decode.hpp: few queries against many keys, at the speed of memory
//
// Lanes run over features. The query heads that share a key/value head are rows of one problem, so a key
// is read once for all of them. Keys are walked in parts of fixed size whose states (exact/decode_rows.hpp)
// merge in order, whichever thread made them. What a mask hides is asked for in spans before steps, once for
// all heads of a group where the mask answers them alike, and a step is cut to the keys that anybody sees: in
// whole packs of lanes, so that every sum keeps its lane and its bits.
#pragma once

#include <heed/core/arena.hpp>
#include <heed/kernel/exact/decode_rows.hpp>
#include <heed/kernel/exact/queries.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class exact_decode : public decode_rows<E> {
public:
    using typename decode_rows<E>::T;
    using decode_rows<E>::decode_rows, decode_rows<E>::clear, decode_rows<E>::clear_like,
        decode_rows<E>::merge, decode_rows<E>::scale_overflowed;

    // Of scratch for a part.
    std::size_t bytes() const {
        arena counted;
        layout_in(counted);
        return counted.bytes();
    }

    // The rows of a key/value head, scaled, to the scratch that their walks need.
    void begin(index b, index kv_head, void* scratch) const {
        const layout m = layout_at(scratch);
        for (index r = 0; r < rows_; ++r) {
            const row_id at_row = row_id_of(kv_head, r);
            query_to_row(p_, leaf_, b, at_row.head, at_row.query, m.query + r * q_stride_);
        }
    }
    // Adds keys [key_begin, key_end) to a state, for the rows that begin() left in the scratch.
    void add(index b, index kv_head, index key_begin, index key_end, T* state, void* scratch) const {
        const layout m = layout_at(scratch);
        for (index span = key_begin; span < key_end; span += span_keys) {
            // On to the span of the next key that anybody sees.
            const index first = first_of({b, kv_head, 0, 1, span, key_end});
            if (first >= key_end) return;
            span += (first - span) / span_keys * span_keys;
            const index span_end = span + span_keys < key_end ? span + span_keys : key_end;
            if (p_.classify != nullptr && seen({b, kv_head, 0, 1, span, span_end}) == cover::empty) continue;
            for (index key = span; key < span_end; key += decode_keys)
                take({b, kv_head, 0, 1, key, key + decode_keys < span_end ? key + decode_keys : span_end}, m,
                     state);
        }
    }
    // The same to an empty state, so many keys at a time: long parts are sums of sums, in `piece`.
    void add_pieces(index b, index kv_head, index key_begin, index key_end, T* state, T* piece,
                    void* scratch) const {
        for (index key = key_begin; key < key_end; key += decode_part_keys) {
            const bool first = key == key_begin;
            if (!first) clear_like(piece, state);
            add(b, kv_head, key, least(key + decode_part_keys, key_end), first ? state : piece, scratch);
            if (!first) merge(state, piece);
        }
    }
    // All rows of a key/value head against the keys that tiles(take) hands to take(begin, end): up to
    // decode_keys at a time, and the same ones however often it is asked.
    template <class Tiles>
    void run(index b, index kv_head, T* state, T* piece, void* scratch, const Tiles& tiles) const {
        begin(b, kv_head, scratch);
        clear(state);
        const layout m = layout_at(scratch);
        do {
            index handed = 0;
            tiles([&](index key_begin, index key_end) {
                T* const to = handed < piece_steps ? state : piece;
                if (handed % piece_steps == 0 && handed > 0) {
                    if (handed > piece_steps) merge(state, piece);
                    clear_like(piece, state);
                }
                ++handed;
                take({b, kv_head, 0, 1, key_begin, key_end}, m, to);
            });
            if (handed > piece_steps) merge(state, piece);
        } while (scale_overflowed(state));
    }

private:
    using decode_rows<E>::p_, decode_rows<E>::leaf_, decode_rows<E>::mask_rows_, decode_rows<E>::rows_,
        decode_rows<E>::q_stride_;
    using typename decode_rows<E>::row_id;
    using decode_rows<E>::row_id_of, decode_rows<E>::cover_of, decode_rows<E>::first_of, decode_rows<E>::seen,
        decode_rows<E>::trim, decode_rows<E>::block_of;
    static constexpr index span_keys = 8 * decode_keys;
    // Keys of a step: so few that they and their values stay in the first-level cache while both are read.
    const index step_ =
        step_keys(p_.pages != nullptr ? p_.pages->keys.row : p_.features * static_cast<index>(sizeof(E)));
    static index step_keys(index bytes) {
        return bytes >= 512 ? fewest_step_keys : bytes >= 256 ? 32 : decode_keys;
    }
    static constexpr index piece_steps = decode_part_keys / decode_keys;

    struct layout {
        T* query;    // (row, feature), scaled
        T* scores;   // (row, key)
        T* hidden;   // the scores before the exponential
        T* rescale;  // what a row's output is multiplied with
        T* keys;     // a step's keys and values, where they are converted
        T* values;
    };
    layout layout_in(arena& scratch) const {
        layout m;
        scratch.take(m.query, rows_ * q_stride_);
        scratch.take(m.scores, rows_ * decode_keys);
        scratch.take(m.hidden, rows_ * decode_keys);
        scratch.take(m.rescale, rows_);
        scratch.take(m.keys, decode_keys * p_.features);
        scratch.take(m.values, decode_keys * p_.value_features);
        return m;
    }
    layout layout_at(void* scratch) const {
        arena pieces(scratch);
        return layout_in(pieces);
    }
    // The part of a tile that anybody sees, added to the state in steps.
    void take(tile here, const layout& m, T* state) const {
        const cover any = seen(here);
        if (any == cover::empty) return;
        // Does every row see all of it? Where one answers for all, it has said so.
        const bool full = any == cover::full && mask_rows_ == 1;
        const index first = here.key_begin;
        if (any == cover::mixed && !p_.visit_all) trim(here);
        const index end = here.key_end;
        while (here.key_begin < end) {
            here.key_end = least(first + (here.key_begin - first) / step_ * step_ + step_, end);
            step(here, full, m, state);
            here.key_begin = here.key_end;
        }
    }

    // The keys of a step for all rows, which may be known to see them all; four rows at a time, the rest one
    // by one.
    void step(const tile& here, bool full, const layout& m, T* state) const {
        const index count = here.key_end - here.key_begin;
        const index columns = p_.value_features;
        scores_of(here, m);
        // Lanes past the last key repeat its score, as block_of repeats its position: what works on whole
        // packs must not be given what was never written.
        const index lanes = rounded_up(count, leaf_.pack_lanes);
        for (index r = 0; r < rows_ && lanes > count; ++r) {
            T* const s = m.scores + r * decode_keys;
            for (index i = count; i < lanes; ++i) s[i] = s[count - 1];
        }
        bool changed = false;
        if (!full || p_.score != nullptr || p_.weights.data != nullptr)
            for (index r = 0; r < rows_; ++r)
                changed = change_row(here, r, m.scores + r * decode_keys) || changed;
        // Where a mask or a score function may hide keys, their values must be harmless or stay out.
        // They are read as they are stored either way, so that a row's bits do not depend on what others see.
        const bool as_stored = stand(p_.v);
        const stored_rows stored = as_stored ? values_of(here) : stored_rows{};
        number_rows<T> v{};
        if (changed || !as_stored) v = widened_values(here, m.values);
        const bool skip_hidden = changed && !leaf_.all_finite(v.data, v.stride, count, columns);
        for (index x = 0; skip_hidden && x < rows_ * decode_keys; ++x) m.hidden[x] = m.scores[x];
        const T* const scale = state + 2 * rows_;
        bool again = false;
        if (p_.probability == nullptr)
            leaf_.rows_softmax(m.scores, rows_, count, !changed, state, state + rows_, m.rescale);
        for (index r = 0; r < rows_; ++r) {
            T* const s = m.scores + r * decode_keys;
            if (p_.probability != nullptr) {
                if (!changed) keep_seen(s, lanes);
                p_.probability(p_.program, s, 0, block_of(here, r), lanes);
                state[r] = 0;
                state[rows_ + r] = m.rescale[r] = 1;
            }
            if (p_.drop != nullptr) p_.drop(p_.program, s, 0, block_of(here, r), lanes);
            if (scale[r] == T(1)) continue;
            again = true;
            for (index i = 0; i < count; ++i) s[i] *= scale[r];
        }
        if (p_.observe_rows != nullptr && !again) p_.observe_rows(p_.observer, here, rows_, m.scores, state);
        T* const output = state + 3 * rows_;
        if (skip_hidden) {
            for (index r = 0; r < rows_; ++r)
                leaf_.row_visible_outputs(m.scores + r * decode_keys, m.hidden + r * decode_keys, v, count, 0,
                                          columns, output + r * columns, m.rescale[r]);
            return;
        }
        for (index r = 0; r < rows_; r += r + 4 <= rows_ ? 4 : 1) {
            const bool four = r + 4 <= rows_;
            if (as_stored)
                reader().outputs[four](m.scores + r * decode_keys, stored, count, columns,
                                       output + r * columns, m.rescale + r);
            else
                leaf_.row_outputs[four](m.scores + r * decode_keys, v, count, columns, output + r * columns,
                                        m.rescale + r);
        }
    }

    // Can rows be read where they stand, in a tensor or in pages?
    bool stand(const strided<const E>& x) const { return p_.pages != nullptr || stands_in_rows<E>(x); }
    const stored_leaves<T>& reader() const { return p_.pages != nullptr ? *p_.pages->leaves : leaf_.stored; }
    // The keys of a step where they stand, while its values are fetched; and its values, while the next keys
    // are.
    stored_rows keys_of(const tile& here) const {
        stored_rows rows = keys_at(here, here.key_begin);
        if (stand(p_.v)) fetch_beside(rows, values_at(here, here.key_begin));
        return rows;
    }
    stored_rows values_of(const tile& here) const {
        stored_rows rows = values_at(here, here.key_begin);
        if (stand(p_.k) && here.key_end + step_ <= p_.keys) fetch_beside(rows, keys_at(here, here.key_end));
        return rows;
    }
    static void fetch_beside(stored_rows& rows, const stored_rows& soon) {
        rows.soon = soon.data;
        rows.soon_stride = soon.stride;
    }
    stored_rows keys_at(const tile& here, index key) const {
        if (p_.pages != nullptr) return p_.pages->rows(p_.pages->keys, here.batch, here.head, key);
        return rows_at(p_.k, here, key);
    }
    stored_rows values_at(const tile& here, index key) const {
        if (p_.pages != nullptr) return p_.pages->rows(p_.pages->values, here.batch, here.head, key);
        return rows_at(p_.v, here, key);
    }
    static stored_rows rows_at(const strided<const E>& x, const tile& here, index key) {
        return {reinterpret_cast<const std::byte*>(x.row(here.batch, here.head, key)),
                x.stride[2] * static_cast<index>(sizeof(E))};
    }
    number_rows<T> widened_values(const tile& here, T* to) const {
        const index count = here.key_end - here.key_begin;
        const index columns = p_.value_features;
        if (p_.pages == nullptr)
            return rows_of(leaf_, p_.v, here.batch, here.head, here.key_begin, count, columns, to);
        reader().widen(values_at(here, here.key_begin), count, columns, to, columns);
        return {to, columns};
    }

    // Products of all rows with the keys of a tile, which are read where they stand if they can be.
    void scores_of(const tile& here, const layout& m) const {
        const index count = here.key_end - here.key_begin;
        if (std::is_same_v<E, T> && p_.pages == nullptr && p_.k.stride[2] == 1 && p_.k.stride[3] != 1) {
            const T* const k = reinterpret_cast<const T*>(p_.k.row(here.batch, here.head, here.key_begin));
            for (index r = 0; r < rows_; r += 4)
                leaf_.transposed_scores(m.query + r * q_stride_, q_stride_, least(rows_ - r, 4), k,
                                        p_.k.stride[3], count, p_.features, m.scores + r * decode_keys);
            return;
        }
        if (stand(p_.k)) {
            const stored_rows k = keys_of(here);
            for (index r = 0; r < rows_; r += r + 4 <= rows_ ? 4 : 1)
                reader().scores[r + 4 <= rows_](m.query + r * q_stride_, q_stride_, k, count, p_.features,
                                                m.scores + r * decode_keys);
            return;
        }
        const number_rows<T> k =
            rows_of(leaf_, p_.k, here.batch, here.head, here.key_begin, count, p_.features, m.keys);
        for (index r = 0; r < rows_; r += r + 4 <= rows_ ? 4 : 1)
            leaf_.row_scores[r + 4 <= rows_](m.query + r * q_stride_, q_stride_, k, count, p_.features,
                                             m.scores + r * decode_keys);
    }

    // Masks, score functions and written scores on one row. True when keys may be hidden.
    bool change_row(const tile& here, index r, T* s) const {
        const index count = here.key_end - here.key_begin;
        const cover part = cover_of(here, r);
        const score_function<T> change = part == cover::mixed ? p_.score_masked : p_.score;
        if (part == cover::empty)
            for (index i = 0; i < count; ++i) s[i] = minus_infinity<T>();
        else if (change != nullptr)
            change(p_.program, s, 0, block_of(here, r), rounded_up(count, leaf_.pack_lanes));
        if (p_.weights.data != nullptr) {
            const row_id at_row = row_id_of(here.head, r);
            T* const to = p_.weights.row(here.batch, at_row.head, at_row.query);
            for (index i = 0; i < count; ++i) to[(here.key_begin + i) * p_.weights.stride[3]] = s[i];
        }
        return change != nullptr || part == cover::empty;
    }
};

}  // namespace heed::inline HEED_ABI::detail
