// SPDX-License-Identifier: MIT
// heed/kernel/linear/chunk_rows.hpp: a chunk of one head: its features, values and decays
//
// Everything stands in scratch rows padded with zeros to whole packs. Where decays are given, b is their
// sum from the chunk's start (logarithms): of one number a position here, of one for each feature in
// decays.hpp, of exponents in relative.hpp.
#pragma once

#include <heed/kernel/linear/decays.hpp>
#include <heed/kernel/linear/long_sum.hpp>
#include <heed/kernel/linear/relative.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class chunk_rows {
public:
    using problem = linear_problem<E>;
    using T = typename problem::T;

    // With room for `positions`, up to chunk_positions; none for pairs where a position stands alone.
    chunk_rows(const problem& p, const linear_leaves<E>& leaves, arena& scratch,
               index positions = chunk_positions)
        : by_feature(leaves), p_(p), leaf_(leaves), w_(leaves.pack_lanes) {
        input_row = rounded_up(p.inputs, w_);
        feature_row = rounded_up(p.features, w_);
        value_row = rounded_up(p.columns(), w_);
        pair_row = rounded_up(positions, w_);
        const index depth = positions > 1 ? pair_row : 1;
        const index others = positions > 1 ? pair_row : 0;
        input = scratch.take<T>(depth * input_row);
        keys = scratch.take<T>(depth * feature_row);
        transposed_keys = scratch.take<T>(feature_row * others);
        values = scratch.take<T>(depth * value_row);
        queries = scratch.take<T>(depth * feature_row);
        pairs = scratch.take<T>(others * pair_row);
        constant = scratch.take<T>(pair_row);
        if (p.decays == decay_of::head) {
            high = scratch.take<T>(pair_row);
            low = scratch.take<T>(pair_row);
            since_start = scratch.take<T>(pair_row);
            until_end = scratch.take<T>(pair_row);
        }
        if (p.scaled()) {
            decayed_keys = scratch.take<T>(depth * feature_row);
            decayed_queries = scratch.take<T>(depth * feature_row);
            keep = scratch.take<T>(feature_row);
        } else {
            decayed_keys = keys;
            decayed_queries = queries;
        }
        if (p.relative) {
            level = scratch.take<T>(feature_row);
            shift = scratch.take<T>(feature_row);
            grow = scratch.take<T>(feature_row);
        }
        if (segmented()) {
            by_feature.take(scratch, feature_row, positions);
            near_keys = scratch.take<T>(depth * feature_row);
            near_transposed = scratch.take<T>(feature_row * pair_row);
            near_rows = scratch.take<T>(depth * feature_row);
            weights = scratch.take<T>(others * feature_row);
            spare = scratch.take<T>(others * feature_row);
        }
        if (p.delta) {
            beta = scratch.take<T>(pair_row);
            early_keys = p.decays == decay_of::nothing ? keys : scratch.take<T>(depth * feature_row);
            key_pairs = scratch.take<T>(others * pair_row);
        }
    }

    // Keys, values and decays of positions [first, first + count).
    void load_keys(index b, index h, index first, index count) {
        rows = count;
        load(p_.k, b, h, first, count, p_.key_map, b * p_.kv_heads + h, keys);
        if (p_.decays == decay_of::feature) load_steps(b, h, first, count);
        if (p_.relative) by_feature.bind_exponents(keys, near_keys, count);
        transpose(segmented() ? near_keys : keys, feature_row, count, feature_row, transposed_keys, pair_row);
        load_values(p_.v, b, h, first, count, values);
        if (p_.ones())
            for (index i = 0; i < count; ++i) values[i * value_row + p_.value_features] = 1;
        if (p_.decays == decay_of::head) sum_positions(b, h, first, count);
        if (p_.relative)
            by_feature.carry_to_end(near_keys, decayed_keys);
        else if (p_.decays != decay_of::nothing)
            decay_rows_until_end(keys, decayed_keys);
        if (p_.delta) {
            double numbers[chunk_positions];
            p_.beta.read(p_.beta.context, b, h, first, count, 0, 1, numbers);
            for (index i = 0; i < count; ++i) beta[i] = static_cast<T>(numbers[i]);
            if (p_.decays != decay_of::nothing) decay_rows_since_start(keys, early_keys);
        }
    }

    // The same of a position that stands alone: no pairs, and decays that are single steps.
    void load_one(index b, index h) {
        rows = 1;
        load(p_.k, b, h, 0, 1, p_.key_map, b * p_.kv_heads + h, keys);
        load_values(p_.v, b, h, 0, 1, values);
        if (p_.ones()) values[p_.value_features] = 1;
        if (p_.delta) beta[0] = static_cast<T>(first_of(p_.beta, b, h));
        if (p_.decays == decay_of::head) {
            clear(high, pair_row);
            clear(low, pair_row);
            long_sum().add(first_of(p_.decay, b, h), high[0], low[0]);
            const T nothing = 0;
            leaf_.decay_factors({high, low}, {&nothing, &nothing}, pair_row, since_start);
            keep[0] = since_start[0];
        } else if (p_.decays == decay_of::feature) {
            if (const T* const steps = p_.decay.template row<T>(b, h, 0))
                leaf_.decays_of_steps(steps, p_.features, keep);
            else
                load_steps(b, h, 0, 1);
        }
        if (p_.delta) decay_one(keys, early_keys, 1);
    }
    // to = x e^g for rows that read the state of a position that stands alone.
    void decay_one(const T* x, T* to, index count) const {
        if (p_.decays == decay_of::nothing) return;
        for (index r = 0; r < count; ++r, x += feature_row, to += feature_row)
            if (p_.decays == decay_of::head)
                leaf_.scale_rows(x, to, feature_row, keep, 1, feature_row);
            else
                leaf_.multiply_elements(x, keep, feature_row, to);
    }
    void load_mapped(const strided<const E>& x, index b, index h, index count, const feature_map_leaf<T>& map,
                     T* to) const {
        load(x, b, h, 0, count, map, 0, to);
    }

    // Queries of one head, mapped; the same decayed since the chunk's start.
    void load_queries(index b, index h, index first, index count) {
        rows = count;
        load(p_.q, b, h, first, count, p_.query_map, 0, queries);
        if (p_.decays != decay_of::nothing) decay_rows_since_start(queries, decayed_queries);
    }

    // Keys or queries as they are, before the map.
    void load_input(const strided<const E>& x, index b, index h, index first, index count) const {
        leaf_.widen(x.row(b, h, first), x.stride[2], x.stride[3], count, p_.inputs, input, input_row);
        clear_columns(input, input_row, p_.inputs, count);
    }

    void load_values(const strided<const E>& x, index b, index h, index first, index count, T* to) const {
        leaf_.widen(x.row(b, h, first), x.stride[2], x.stride[3], count, p_.value_features, to, value_row);
        clear_columns(to, value_row, p_.value_features, count);
    }

    // to = x e^b, row by row.
    void decay_rows_since_start(const T* x, T* to) const {
        if (p_.decays == decay_of::feature)
            by_feature.scale_since_start(x, to);
        else
            leaf_.scale_rows(x, to, feature_row, since_start, rows, feature_row);
    }
    // to = x e^(b_end - b), row by row.
    void decay_rows_until_end(const T* x, T* to) const {
        if (p_.decays == decay_of::feature)
            by_feature.scale_until_end(x, to);
        else
            leaf_.scale_rows(x, to, feature_row, until_end, rows, feature_row);
    }

    // Rows of x, to columns; `to` has as many rows as x has columns.
    void transpose(const T* x, index x_row, index count, index columns, T* to, index to_row) const {
        const T* const ones = filled(T(1));
        T* const rows_end = const_cast<T*>(x) + count * x_row;
        for (index i = 0; i < (rounded_up(count, w_) - count) * x_row; ++i) rows_end[i] = 0;
        for (index i = 0; i < count; i += w_)
            for (index f = 0; f < columns; f += w_)
                leaf_.transpose(x + i * x_row + f, x_row, to + f * to_row + i, to_row, ones);
    }

    // A number for each position, the same.
    const T* filled(T x) const {
        for (index i = 0; i < pair_row; ++i) constant[i] = x;
        return constant;
    }

    index input_row;  // elements from one row to the next
    index feature_row;
    index value_row;
    index pair_row;
    index rows = 0;
    feature_decays<E> by_feature;
    T* input;            // (position, input): keys or queries before the map
    T* keys;             // (position, feature)
    T* transposed_keys;  // (feature, position)
    T* values;           // (position, value feature)
    T* queries;          // (position, feature)
    T* pairs;            // (query, key)
    T* high = nullptr;   // b, (position); of heads, as what follows
    T* low = nullptr;
    T* since_start = nullptr;  // e^b
    T* until_end = nullptr;    // e^(b_end - b)
    T* keep = nullptr;         // e^b_end, (feature)
    T* decayed_keys;           // keys e^(b_end - b)
    T* decayed_queries;        // queries e^b
    T* beta = nullptr;         // (position)
    T* early_keys = nullptr;   // keys e^b
    T* key_pairs = nullptr;    // <k_i, k_j> e^(b_i - b_j), strictly lower
    T* level = nullptr;        // of the state, h + log z; of relative features, as what follows (feature)
    T* shift = nullptr;        // its h
    T* grow = nullptr;         // what is added to it times that

protected:
    bool segmented() const { return p_.relative || p_.decays == decay_of::feature; }
    void load(const strided<const E>& x, index b, index h, index first, index count,
              const feature_map_leaf<T>& map, index head, T* to) const {
        if (map.map == nullptr) {
            leaf_.widen(x.row(b, h, first), x.stride[2], x.stride[3], count, p_.inputs, to, feature_row);
            clear_columns(to, feature_row, p_.inputs, count);
        } else {
            load_input(x, b, h, first, count);
            map.map(map.of_head(head), input, input_row, to, feature_row, count, p_.inputs);
        }
    }

    static double first_of(const number_source& numbers, index b, index h) {
        double x[1];
        numbers.read(numbers.context, b, h, 0, 1, 0, 1, x);
        return x[0];
    }

    // b in two parts, and what follows from it.
    void sum_positions(index b, index h, index first, index count) {
        double steps[chunk_positions];
        p_.decay.read(p_.decay.context, b, h, first, count, 0, 1, steps);
        long_sum sum;
        for (index i = 0; i < pair_row; ++i) {
            if (i < count)
                sum.add(steps[i], high[i], low[i]);
            else
                high[i] = low[i] = 0;
        }
        const T nothing = 0;
        leaf_.decay_factors({high, low}, {&nothing, &nothing}, pair_row, since_start);
        // From the end back: e^(b_end - b) = 1 / e^(b - b_end) would overflow.
        for (index i = 0; i < pair_row; ++i) {
            constant[i] = -high[i];
            until_end[i] = -low[i];
        }
        const T end = -high[count - 1];
        const T end_low = -low[count - 1];
        leaf_.decay_factors({constant, until_end}, {&end, &end_low}, pair_row, until_end);
        for (index f = 0; f < feature_row; ++f) keep[f] = since_start[count - 1];
    }
    // The decays of each feature, as rows.
    void load_steps(index b, index h, index first, index count) {
        const T* low_steps = nullptr;
        if (std::is_same_v<T, float> && p_.decay.read_floats != nullptr) {
            p_.decay.read_floats(p_.decay.context, b, h, first, count, p_.features,
                                 reinterpret_cast<float*>(near_rows), feature_row);
        } else {
            constexpr index some = 64;  // features at a time, so that they stand on the stack
            double steps[some];
            for (index i = 0; i < count; ++i)
                for (index f0 = 0; f0 < p_.features; f0 += some) {
                    const index n = least(p_.features - f0, some);
                    p_.decay.read(p_.decay.context, b, h, first + i, 1, f0, n, steps);
                    for (index f = 0; f < n; ++f) {
                        const double step = steps[f] < min_log_decay ? min_log_decay : steps[f];
                        T& high_step = near_rows[i * feature_row + f0 + f];
                        high_step = static_cast<T>(step);
                        near_transposed[i * feature_row + f0 + f] =
                            static_cast<T>(step - static_cast<double>(high_step));
                    }
                }
            if constexpr (std::is_same_v<T, float>) {
                low_steps = near_transposed;
                clear_columns(near_transposed, feature_row, p_.features, count);
            }
        }
        clear_columns(near_rows, feature_row, p_.features, count);
        by_feature.bind(near_rows, low_steps, keys, near_keys, count);
        by_feature.keep(keep);
    }

    const problem& p_;
    const linear_leaves<E>& leaf_;
    index w_;
    T* constant;
    T* near_keys = nullptr;        // keys e^(r - b), by feature: seen from their segment's reference
    T* near_transposed = nullptr;  // the same by columns, and scratch of as much
    T* near_rows = nullptr;        // queries e^(b - r)
    T* weights = nullptr;
    T* spare = nullptr;
};

}  // namespace heed::inline HEED_ABI::detail
