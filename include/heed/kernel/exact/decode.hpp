// SPDX-License-Identifier: MIT
// heed/kernel/exact/decode.hpp: few queries against many keys, at the speed of memory
//
// Lanes run over features. The query heads that share a key/value head are rows of one problem, so a key
// is read once for all of them. Keys are walked in parts of fixed size whose states (exact/decode_rows.hpp)
// merge in order, whichever thread made them. What a mask hides is asked for in spans before steps, once for
// all heads of a group where the mask answers them alike, and a step is cut to the keys that anybody sees: in
// whole packs of lanes, so that every sum keeps its lane and its bits.
#pragma once

#include <heed/kernel/exact/decode_rows.hpp>
#include <heed/kernel/exact/queries.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class exact_decode : public decode_rows<E> {
public:
    using typename decode_rows<E>::T;
    using decode_rows<E>::decode_rows, decode_rows<E>::clear, decode_rows<E>::clear_like,
        decode_rows<E>::merge, decode_rows<E>::scale_overflowed;

    // Bytes of scratch for a part: queries, scores, scores once more, factors, converted keys and values.
    std::size_t bytes() const {
        return static_cast<std::size_t>(rows_ * (q_stride_ + 2 * decode_keys + most_pack_lanes) +
                                        decode_keys * (p_.features + p_.value_features)) *
               sizeof(T);
    }

    // The rows of a key/value head, scaled, to the scratch that their walks need.
    void begin(index b, index kv_head, void* memory) const {
        const room m = room_in(memory);
        for (index r = 0; r < rows_; ++r) {
            const place at_row = place_of(kv_head, r);
            query_to_row(p_, leaf_, b, at_row.head, at_row.query, m.query + r * q_stride_);
        }
    }
    // Adds keys [key_begin, key_end) to a state, for the rows that begin() left in the scratch.
    void add(index b, index kv_head, index key_begin, index key_end, T* state, void* memory) const {
        const room m = room_in(memory);
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
                    void* memory) const {
        for (index key = key_begin; key < key_end; key += decode_part_keys) {
            const bool first = key == key_begin;
            if (!first) clear_like(piece, state);
            add(b, kv_head, key, least(key + decode_part_keys, key_end), first ? state : piece, memory);
            if (!first) merge(state, piece);
        }
    }
    // All rows of a key/value head against the keys that tiles(take) hands to take(begin, end): up to
    // decode_keys at a time, and the same ones however often it is asked.
    template <class Tiles>
    void run(index b, index kv_head, T* state, T* piece, void* memory, const Tiles& tiles) const {
        begin(b, kv_head, memory);
        clear(state);
        const room m = room_in(memory);
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
    using decode_rows<E>::p_, decode_rows<E>::leaf_, decode_rows<E>::rows_, decode_rows<E>::q_stride_;
    using typename decode_rows<E>::place;
    using decode_rows<E>::place_of, decode_rows<E>::cover_of, decode_rows<E>::first_of, decode_rows<E>::seen,
        decode_rows<E>::trim, decode_rows<E>::block_of;
    static constexpr index span_keys = 8 * decode_keys;
    static constexpr index piece_steps = decode_part_keys / decode_keys;

    struct room {
        T* query;   // (row, feature), scaled
        T* scores;  // (row, key)
        T* hidden;  // the scores before the exponential
        T* keep;    // what a row's output is multiplied with
        T* keys;    // a step's keys and values, where they are converted
        T* values;
    };
    room room_in(void* memory) const {
        room m;
        m.query = static_cast<T*>(memory);
        m.scores = m.query + rows_ * q_stride_;
        m.hidden = m.scores + rows_ * decode_keys;
        m.keep = m.hidden + rows_ * decode_keys;
        m.keys = m.keep + rows_ * most_pack_lanes;
        m.values = m.keys + decode_keys * p_.features;
        return m;
    }
    // The part of a tile that anybody sees, added to the state.
    void take(tile here, const room& m, T* state) const {
        const cover any = seen(here);
        if (any == cover::empty) return;
        if (any == cover::mixed && !p_.visit_all) trim(here);
        if (here.key_begin < here.key_end) step(here, m, state);
    }

    // The keys of a tile for all rows; four rows at a time, the rest one by one.
    void step(const tile& here, const room& m, T* state) const {
        const index count = here.key_end - here.key_begin;
        const index columns = p_.value_features;
        scores_of(here, m);
        const number_rows<T> v = rows_of(leaf_, p_.v, here.batch, here.head, here.key_begin, count, columns,
                                         m.values, there(p_.v, here));
        bool changed = false;
        for (index r = 0; r < rows_; ++r) {
            T* const s = m.scores + r * decode_keys;
            // Lanes past the last key repeat its score, as block_of repeats its place: a score function and
            // dropout work on whole packs, and must not be given what nobody wrote.
            for (index i = count; i < rounded_up(count, leaf_.pack_lanes); ++i) s[i] = s[count - 1];
            changed = change_row(here, r, s) || changed;
        }
        // Where a mask or a score function may hide keys, their values must be harmless or stay out.
        const bool careful = changed && !leaf_.all_finite(v.data, v.stride, count, columns);
        for (index x = 0; careful && x < rows_ * decode_keys; ++x) m.hidden[x] = m.scores[x];
        const T* const scale = state + 2 * rows_;
        bool again = false;
        for (index r = 0; r < rows_; ++r) {
            T* const s = m.scores + r * decode_keys;
            if (p_.probability == nullptr) {
                leaf_.row_softmax(s, count, !changed, state[r], state[rows_ + r], m.keep[r]);
            } else {
                const index lanes = rounded_up(count, leaf_.pack_lanes);
                if (!changed) keep_seen(s, lanes);
                p_.probability(p_.program, s, 0, block_of(here, r), lanes);
                state[r] = 0;
                state[rows_ + r] = m.keep[r] = 1;
            }
            if (p_.drop != nullptr)
                p_.drop(p_.program, s, 0, block_of(here, r), rounded_up(count, leaf_.pack_lanes));
            if (scale[r] == T(1)) continue;
            again = true;
            for (index i = 0; i < count; ++i) s[i] *= scale[r];
        }
        if (p_.observe_rows != nullptr && !again) p_.observe_rows(p_.observer, here, rows_, m.scores, state);
        T* const output = state + 3 * rows_;
        if (careful) {
            for (index r = 0; r < rows_; ++r)
                leaf_.row_visible_outputs(m.scores + r * decode_keys, m.hidden + r * decode_keys, v, count, 0,
                                          columns, output + r * columns, m.keep[r]);
            return;
        }
        for (index r = 0; r < rows_; r += r + 4 <= rows_ ? 4 : 1)
            leaf_.row_outputs[r + 4 <= rows_](m.scores + r * decode_keys, v, count, columns,
                                              output + r * columns, m.keep + r);
    }

    // Rows that follow the first key of a tile in memory: those of its head, and of later ones where heads
    // follow each other.
    index there(const strided<const E>& x, const tile& here) const {
        const index later = x.stride[1] == p_.keys * x.stride[2] ? p_.kv_heads - 1 - here.head : 0;
        return p_.keys - here.key_begin + later * p_.keys;
    }

    // Products of all rows with the keys of a tile, which are read where they stand if they can be.
    void scores_of(const tile& here, const room& m) const {
        const index count = here.key_end - here.key_begin;
        if (std::is_same_v<E, T> && p_.k.stride[2] == 1 && p_.k.stride[3] != 1) {
            const T* const k = reinterpret_cast<const T*>(p_.k.row(here.batch, here.head, here.key_begin));
            for (index r = 0; r < rows_; r += 4)
                leaf_.transposed_scores(m.query + r * q_stride_, q_stride_, least(rows_ - r, 4), k,
                                        p_.k.stride[3], count, p_.features, m.scores + r * decode_keys);
            return;
        }
        const number_rows<T> k = rows_of(leaf_, p_.k, here.batch, here.head, here.key_begin, count,
                                         p_.features, m.keys, there(p_.k, here));
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
            const place at_row = place_of(here.head, r);
            T* const to = p_.weights.row(here.batch, at_row.head, at_row.query);
            for (index i = 0; i < count; ++i) to[(here.key_begin + i) * p_.weights.stride[3]] = s[i];
        }
        return change != nullptr || part == cover::empty;
    }
};

}  // namespace heed::inline HEED_ABI::detail
