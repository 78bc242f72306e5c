// SPDX-License-Identifier: MIT
// heed/kernel/exact/decode.hpp: few queries against many keys, at the speed of memory
//
// Lanes run over features. The query heads that share a key/value head are rows of one problem, so a key
// is read once for all of them. A state is (max, sum, scale, output) for each row, laid out m[rows], l[rows],
// c[rows], o[rows][value feature]: o is c times the sum of weights times values, c = 1 but where that sum
// overflowed. Keys are walked in parts of fixed size whose states merge in order, whichever thread made
// them. What a mask hides is asked for in spans before steps, once for all heads of a group
// where the mask answers them alike, and a step is cut to the keys that anybody sees: in whole packs of
// lanes, so that every sum keeps its lane and its bits.
#pragma once

#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/queries.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class exact_decode {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    exact_decode(const problem& p, const exact_leaves<E>& leaves) : exact_decode(p, leaves, 0, p.queries) {}
    // Queries [first, first + queries) alone.
    exact_decode(const problem& p, const exact_leaves<E>& leaves, index first, index queries)
        : p_(p),
          leaf_(leaves),
          first_query_(first),
          queries_(queries),
          group_(p.heads / p.kv_heads),
          rows_(group_ * queries),
          asked_(p.group_sees_alike ? queries : rows_),
          q_stride_(rounded_up(p.features, most_pack_lanes)) {}

    index rows() const { return rows_; }

    // Numbers of a state.
    index state_size() const { return rows_ * (3 + p_.value_features); }
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
    // The state of no keys, its scales 1 or those of another state.
    void clear(T* state) const {
        for (index r = 0; r < rows_; ++r) state[2 * rows_ + r] = 1;
        clear_like(state, state);
    }
    void clear_like(T* state, const T* other) const {
        for (index r = 0; r < rows_; ++r) {
            state[r] = minus_infinity<T>();
            state[rows_ + r] = 0;
            state[2 * rows_ + r] = other[2 * rows_ + r];
        }
        for (index x = 3 * rows_; x < state_size(); ++x) state[x] = 0;
    }
    // Empties a state of which some row's sums have overflowed, and gives such rows a scale that keeps them
    // finite: true when the keys are to be added once more, the same ones in the same order.
    bool scale_overflowed(T* state) const {
        const index n = p_.value_features;
        const T* const output = state + 3 * rows_;
        if (p_.probability != nullptr || leaf_.all_finite(output, 0, 1, rows_ * n)) return false;
        bool any = false;
        for (index r = 0; r < rows_; ++r)
            if (state[2 * rows_ + r] == T(1) && !leaf_.all_finite(output + r * n, 0, 1, n)) {
                state[2 * rows_ + r] = sum_scale<T>;
                any = true;
            }
        if (any) clear_like(state, state);
        return any;
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

    // Adds another part of the keys, of the same scales, to a state.
    void merge(T* state, const T* part_) const {
        for (index r = 0; r < rows_; ++r) {
            if (part_[rows_ + r] == T(0)) continue;  // it saw none of them
            const T most = part_[r] > state[r] ? part_[r] : state[r];
            const T safe = is_minus_infinity(most) ? T(0) : most;
            const T keep = scalar::exp_of_negative(state[r] - safe);
            const T take = scalar::exp_of_negative(part_[r] - safe);
            state[r] = most;
            state[rows_ + r] = state[rows_ + r] * keep + part_[rows_ + r] * take;
            T* const o = state + 3 * rows_ + r * p_.value_features;
            const T* const x = part_ + 3 * rows_ + r * p_.value_features;
            for (index f = 0; f < p_.value_features; ++f) o[f] = o[f] * keep + x[f] * take;
        }
    }

    // A finished state to the caller's output, log-sum-exp and weights.
    void finish(index b, index kv_head, T* state) const {
        for (index r = 0; r < rows_; ++r) {
            const place at_row = place_of(kv_head, r);
            const T factor =
                finish_row(p_, leaf_, b, at_row.head, at_row.query, true, state[r], state[rows_ + r]);
            T* const o = state + 3 * rows_ + r * p_.value_features;
            write_output(p_, leaf_, b, at_row.head, at_row.query, o, factor, state[2 * rows_ + r], o);
        }
    }

private:
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
    struct place {
        index head;
        index query;
    };
    place place_of(index kv_head, index r) const {
        // Divisions are a good part of a call of a few scores.
        if (queries_ == 1) return {kv_head * group_ + r, first_query_};
        if (group_ == 1) return {kv_head, first_query_ + r};
        return {kv_head * group_ + r / queries_, first_query_ + r % queries_};
    }
    // A row's part of a tile whose head is the key/value head.
    cover cover_of(const tile& here, index r) const {
        const place at_row = place_of(here.head, r);
        return p_.cover_of(
            {here.batch, at_row.head, at_row.query, at_row.query + 1, here.key_begin, here.key_end});
    }
    // No row sees a key of the tile before this one.
    index first_of(const tile& here) const {
        index first = here.key_end;
        for (index r = 0; r < asked_ && first > here.key_begin; ++r) {
            const place at_row = place_of(here.head, r);
            const index mine = p_.first_of(
                {here.batch, at_row.head, at_row.query, at_row.query + 1, here.key_begin, here.key_end});
            first = mine < first ? mine : first;
        }
        return first;
    }
    // Empty when no row sees a key of the tile, or what the first row that may look at it sees. Rows are
    // (head, query): those of the first head answer for all where heads see alike.
    cover seen(const tile& here) const {
        for (index r = 0; r < asked_; ++r) {
            const cover c = cover_of(here, r);
            if (c != cover::empty) return c;
        }
        return cover::empty;
    }
    // A mixed step without the packs that no row sees, on both ends.
    void trim(tile& here) const {
        tile part_ = here;
        for (; here.key_begin < here.key_end; here.key_begin = part_.key_end) {
            part_.key_begin = here.key_begin;
            part_.key_end = least(here.key_begin + most_pack_lanes, here.key_end);
            if (seen(part_) != cover::empty) break;
        }
        for (; here.key_begin < here.key_end; here.key_end = part_.key_begin) {
            const index count = here.key_end - here.key_begin;
            part_.key_begin = here.key_begin + (count - 1) / most_pack_lanes * most_pack_lanes;
            part_.key_end = here.key_end;
            if (seen(part_) != cover::empty) break;
        }
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
                leaf_.turned_scores(m.query + r * q_stride_, q_stride_, least(rows_ - r, 4), k,
                                    p_.k.stride[3], count, p_.features, m.scores + r * decode_keys);
            return;
        }
        const number_rows<T> k = rows_of(leaf_, p_.k, here.batch, here.head, here.key_begin, count,
                                         p_.features, m.keys, there(p_.k, here));
        for (index r = 0; r < rows_; r += r + 4 <= rows_ ? 4 : 1)
            leaf_.row_scores[r + 4 <= rows_](m.query + r * q_stride_, q_stride_, k, count, p_.features,
                                             m.scores + r * decode_keys);
    }

    lane_block block_of(const tile& here, index r) const {
        const place at_row = place_of(here.head, r);
        const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(at_row.head),
                        static_cast<std::int32_t>(at_row.query), static_cast<std::int32_t>(here.key_begin)};
        return {corner, 0, -1, static_cast<std::int32_t>(here.key_end - here.key_begin) - 1, 1};
    }

    // Masks, score functions and written scores on one row. True when keys may be hidden.
    bool change_row(const tile& here, index r, T* s) const {
        const index count = here.key_end - here.key_begin;
        const cover seen = cover_of(here, r);
        const score_function<T> change = seen == cover::mixed ? p_.score_masked : p_.score;
        if (seen == cover::empty)
            for (index i = 0; i < count; ++i) s[i] = minus_infinity<T>();
        else if (change != nullptr)
            change(p_.program, s, 0, block_of(here, r), rounded_up(count, leaf_.pack_lanes));
        if (p_.weights.data != nullptr) {
            const place at_row = place_of(here.head, r);
            T* const to = p_.weights.row(here.batch, at_row.head, at_row.query);
            for (index i = 0; i < count; ++i) to[(here.key_begin + i) * p_.weights.stride[3]] = s[i];
        }
        return change != nullptr || seen == cover::empty;
    }

    const problem& p_;
    const exact_leaves<E>& leaf_;
    index first_query_;
    index queries_;
    index group_;  // query heads of a key/value head
    index rows_;
    index asked_;
    index q_stride_;
};

}  // namespace heed::inline HEED_ABI::detail
