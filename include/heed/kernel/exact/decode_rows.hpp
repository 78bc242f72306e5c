// SPDX-License-Identifier: MIT
// heed/kernel/exact/decode_rows.hpp: the rows of a decode: where they stand, what they see, and their state
//
// The query heads that share a key/value head are rows of one problem. A state is (max, sum, scale, output)
// for each row, laid out m[rows], l[rows], c[rows], o[rows][value feature]: o is c times the sum of weights
// times values, c = 1 but where that sum overflowed.
#pragma once

#include <heed/kernel/exact/finish.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class decode_rows {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    decode_rows(const problem& p, const exact_leaves<E>& leaves) : decode_rows(p, leaves, 0, p.queries) {}
    // Queries [first, first + queries) alone.
    decode_rows(const problem& p, const exact_leaves<E>& leaves, index first, index queries)
        : p_(p),
          leaf_(leaves),
          first_query_(first),
          queries_(queries),
          group_(p.heads / p.kv_heads),
          rows_(group_ * queries),
          mask_rows_(p.group_sees_alike ? queries : rows_),
          q_stride_(rounded_up(p.features, most_pack_lanes)) {}

    index rows() const { return rows_; }
    // Numbers of a state.
    index state_size() const { return rows_ * (3 + p_.value_features); }

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

    // Adds another part of the keys, of the same scales, to a state.
    void merge(T* state, const T* part) const {
        for (index r = 0; r < rows_; ++r) {
            if (part[rows_ + r] == T(0)) continue;  // it saw none of them
            const T row_max = part[r] > state[r] ? part[r] : state[r];
            const T safe = is_minus_infinity(row_max) ? T(0) : row_max;
            const T rescale = scalar::exp_of_negative(state[r] - safe);
            const T take = scalar::exp_of_negative(part[r] - safe);
            state[r] = row_max;
            state[rows_ + r] = state[rows_ + r] * rescale + part[rows_ + r] * take;
            T* const o = state + 3 * rows_ + r * p_.value_features;
            const T* const x = part + 3 * rows_ + r * p_.value_features;
            for (index f = 0; f < p_.value_features; ++f) o[f] = o[f] * rescale + x[f] * take;
        }
    }

    // A finished state to the caller's output, log-sum-exp and weights.
    void finish(index b, index kv_head, T* state) const {
        for (index r = 0; r < rows_; ++r) {
            const row_id at_row = row_id_of(kv_head, r);
            const T factor =
                finish_row(p_, leaf_, b, at_row.head, at_row.query, true, state[r], state[rows_ + r]);
            T* const o = state + 3 * rows_ + r * p_.value_features;
            write_output(p_, leaf_, b, at_row.head, at_row.query, o, factor, state[2 * rows_ + r], o);
        }
    }

protected:
    struct row_id {
        index head;
        index query;
    };
    row_id row_id_of(index kv_head, index r) const {
        // Divisions are a good part of a call of a few scores.
        if (queries_ == 1) return {kv_head * group_ + r, first_query_};
        if (group_ == 1) return {kv_head, first_query_ + r};
        return {kv_head * group_ + r / queries_, first_query_ + r % queries_};
    }
    // A row's part of a tile whose head is the key/value head.
    cover cover_of(const tile& here, index r) const {
        const row_id at_row = row_id_of(here.head, r);
        return p_.cover_of(
            {here.batch, at_row.head, at_row.query, at_row.query + 1, here.key_begin, here.key_end});
    }
    // No row sees a key of the tile before this one.
    index first_of(const tile& here) const {
        index first = here.key_end;
        for (index r = 0; r < mask_rows_ && first > here.key_begin; ++r) {
            const row_id at_row = row_id_of(here.head, r);
            const index mine = p_.first_of(
                {here.batch, at_row.head, at_row.query, at_row.query + 1, here.key_begin, here.key_end});
            first = mine < first ? mine : first;
        }
        return first;
    }
    // Empty when no row sees a key of the tile, or what the first row that may look at it sees. Rows are
    // (head, query): those of the first head answer for all where heads see alike.
    cover seen(const tile& here) const {
        for (index r = 0; r < mask_rows_; ++r) {
            const cover c = cover_of(here, r);
            if (c != cover::empty) return c;
        }
        return cover::empty;
    }
    // A mixed step without the packs that no row sees, on both ends.
    void trim(tile& here) const {
        tile part = here;
        for (; here.key_begin < here.key_end; here.key_begin = part.key_end) {
            part.key_begin = here.key_begin;
            part.key_end = least(here.key_begin + most_pack_lanes, here.key_end);
            if (seen(part) != cover::empty) break;
        }
        for (; here.key_begin < here.key_end; here.key_end = part.key_begin) {
            const index count = here.key_end - here.key_begin;
            part.key_begin = here.key_begin + (count - 1) / most_pack_lanes * most_pack_lanes;
            part.key_end = here.key_end;
            if (seen(part) != cover::empty) break;
        }
    }

    lane_block block_of(const tile& here, index r) const {
        const row_id at_row = row_id_of(here.head, r);
        const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(at_row.head),
                        static_cast<std::int32_t>(at_row.query), static_cast<std::int32_t>(here.key_begin)};
        return {corner, 0, -1, static_cast<std::int32_t>(here.key_end - here.key_begin) - 1, 1};
    }

    const problem& p_;
    const exact_leaves<E>& leaf_;
    index first_query_;
    index queries_;
    index group_;  // query heads of a key/value head
    index rows_;
    index mask_rows_;
    index q_stride_;
};

}  // namespace heed::inline HEED_ABI::detail
