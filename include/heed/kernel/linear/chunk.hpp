// SPDX-License-Identifier: MIT
// heed/kernel/linear/chunk.hpp: a chunk of one head: its features, values, decays, and products of pairs
//
// Everything stands in scratch rows padded with zeros to whole packs. Where decays are given, b is their
// sum from the chunk's start (logarithms), and a pair (i, j), j <= i, is multiplied by e^(b_i - b_j): every
// exponent is a difference that runs forward in time, so decays never overflow.
#pragma once

#include <heed/kernel/linear/kernels.hpp>
#include <heed/kernel/linear/long_sum.hpp>
#include <heed/kernel/room.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

template <class E>
class linear_chunk {
public:
    using problem = linear_problem<E>;
    using T = typename problem::T;

    // With room for `positions`, up to chunk_positions; none for pairs where a position stands alone.
    linear_chunk(const problem& p, const linear_leaves<E>& leaves, room<T>& memory,
                 index positions = chunk_positions)
        : p_(p), leaf_(leaves), w_(leaves.pack_lanes) {
        input_row = rounded_up(p.inputs, w_);
        feature_row = rounded_up(p.features, w_);
        value_row = rounded_up(p.columns(), w_);
        pair_row = rounded_up(positions, w_);
        const index depth = positions > 1 ? pair_row : 1;
        const index others = positions > 1 ? pair_row : 0;
        input = memory.take(depth * input_row);
        keys = memory.take(depth * feature_row);
        turned = memory.take(feature_row * others);
        values = memory.take(depth * value_row);
        queries = memory.take(depth * feature_row);
        pairs = memory.take(others * pair_row);
        constant = memory.take(pair_row);
        const index sums =
            p.decays == decay_of::feature ? depth * feature_row : (p.decays == decay_of::head ? pair_row : 0);
        if (sums != 0) {
            high = memory.take(sums);
            low = memory.take(sums);
            last_high = memory.take(feature_row);
            last_low = memory.take(feature_row);
            since_start = memory.take(pair_row);
            until_end = memory.take(pair_row);
            decayed_keys = memory.take(depth * feature_row);
            decayed_queries = memory.take(depth * feature_row);
            keep = memory.take(feature_row);
        } else {
            decayed_keys = keys;
            decayed_queries = queries;
        }
        if (p.decays == decay_of::feature) {
            near_keys = memory.take(others * feature_row);
            near_turned = memory.take(feature_row * others);
            near_queries = memory.take(others > 0 ? sub_chunk * feature_row : 0);
        }
        if (p.delta) {
            beta = memory.take(pair_row);
            early_keys = p.decays == decay_of::nothing ? keys : memory.take(depth * feature_row);
            key_pairs = memory.take(others * pair_row);
        }
    }

    // Keys, values and decays of positions [first, first + count).
    void load_keys(index b, index h, index first, index count) {
        rows = count;
        load(p_.k, b, h, first, count, p_.key_map, b * p_.kv_heads + h, keys);
        transpose(keys, feature_row, count, feature_row, turned, pair_row);
        load_values(p_.v, b, h, first, count, values);
        if (p_.ones())
            for (index i = 0; i < count; ++i) values[i * value_row + p_.value_features] = 1;
        if (p_.decays != decay_of::nothing) load_decays(b, h, first, count);
        if (p_.delta) {
            double numbers[chunk_positions];
            p_.beta.read(p_.beta.context, b, h, first, count, 0, 1, numbers);
            for (index i = 0; i < count; ++i) beta[i] = static_cast<T>(numbers[i]);
            if (p_.decays != decay_of::nothing) decay_rows_since_start(keys, early_keys);
            pair_scores(keys, key_pairs);
            for (index i = 0; i < count; ++i) key_pairs[i * pair_row + i] = 0;
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
            leaf_.decay_elements(nullptr, {high, low}, {nullptr, nullptr}, pair_row, T(1), 1, pair_row,
                                 since_start);
            keep[0] = since_start[0];
        } else if (p_.decays == decay_of::feature) {
            if (const T* const steps = p_.decay.template row<T>(b, h, 0))
                leaf_.decays_of_steps(steps, p_.features, keep);
            else
                sum_features(b, h, 0, 1);
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
        if (p_.decays == decay_of::feature) {
            leaf_.decay_elements(x, {high, low}, {nullptr, nullptr}, feature_row, T(1), rows, feature_row,
                                 to);
        } else {
            leaf_.scale_rows(x, to, feature_row, since_start, rows, feature_row);
        }
    }
    // to = x e^(b_end - b), row by row.
    void decay_rows_until_end(const T* x, T* to) const {
        if (p_.decays == decay_of::feature) {
            leaf_.decay_elements(x, {high, low}, {last_high, last_low}, feature_row, T(-1), rows, feature_row,
                                 to);
        } else {
            leaf_.scale_rows(x, to, feature_row, until_end, rows, feature_row);
        }
    }

    // a_ij = <x_i, k_j> e^(b_i - b_j) for j <= i; above the diagonal it is undefined.
    void pair_scores(const T* x, T* a) const {
        if (p_.decays != decay_of::feature) {
            leaf_.multiply_to_lower({x, feature_row, 1, turned, pair_row, a, pair_row, rows, p_.features,
                                     rounded_up(rows, w_) / w_});
            if (p_.decays == decay_of::head) leaf_.decay_lower(a, pair_row, rows, high, low);
            return;
        }
        clear(a, rows * pair_row);  // right of the diagonal nothing is written below
        for (index i = 0; i < rows; i += sub_chunk) {
            const index count = least(sub_chunk, rows - i);
            if (i > 0) {
                near_part(x, i, count);
                transpose(near_keys, feature_row, i, feature_row, near_turned, pair_row);
                leaf_.multiply({near_queries, feature_row, 1, near_turned, pair_row, a + i * pair_row,
                                pair_row, count, p_.features, rounded_up(i, w_) / w_});
            }
            // Reductions of rows write no padding, so the block's own columns come last.
            const index at = i * feature_row;
            leaf_.diagonal(x + at, keys + at, {high + at, low + at}, feature_row, count, feature_row,
                           a + i * pair_row + i, pair_row);
        }
    }

    // out += lower(Q K^T e^(b_i - b_j)) U for the queries loaded last.
    void add_pairs_to(T* out, const memory_span& soon = {}) const {
        pair_scores(queries, pairs);
        leaf_.multiply_lower({pairs,
                              pair_row,
                              1,
                              values,
                              value_row,
                              out,
                              value_row,
                              rows,
                              rows,
                              value_row / w_,
                              1,
                              {soon, {}}});
    }
    // The values less what the state answers for the keys become the solution U.
    void solve_values() const {
        leaf_.scale_rows(values, values, value_row, beta, rows, value_row);
        leaf_.scale_lower(key_pairs, pair_row, beta, nullptr, rows);
        leaf_.solve_lower(
            {key_pairs, pair_row, 1, nullptr, 0, values, value_row, rows, rows, value_row / w_});
    }
    // The keys' sum, for z.
    void sum_keys(T* sum) const {
        leaf_.multiply({filled(T(1)), 0, 1, keys, feature_row, sum, feature_row, 1, rows, feature_row / w_});
    }
    // Rows [first, first + count) of a query head's output, times a factor each.
    void write_rows(index b, index head, index first, index count, const T* out, const T* factor) const {
        if (p_.y_sum.data != nullptr)
            leaf_.write_sums(out, value_row, factor, count, p_.value_features, p_.y_sum.row(b, head, first),
                             p_.y_sum.stride[2], p_.y_sum.stride[3]);
        else
            leaf_.write(out, value_row, factor, count, p_.value_features, p_.y.row(b, head, first),
                        p_.y.stride[2], p_.y.stride[3]);
    }

    // dx_i += sum_j da_ij k_j e^(b_i - b_j), dk_j += sum_i da_ij x_i e^(b_i - b_j); da is overwritten.
    void pair_gradient(T* da, const T* x, T* dx, T* dk) const {
        if (p_.decays != decay_of::feature) {
            if (p_.decays == decay_of::head) leaf_.decay_lower(da, pair_row, rows, high, low);
            const index columns = feature_row / w_;
            leaf_.multiply_lower(
                {da, pair_row, 1, keys, feature_row, dx, feature_row, rows, rows, columns, 1});
            leaf_.multiply_upper({da, 1, pair_row, x, feature_row, dk, feature_row, rows, rows, columns, 1});
            return;
        }
        for (index i = 0; i < rows; i += sub_chunk) {
            const index count = least(sub_chunk, rows - i);
            const index at = i * feature_row;
            leaf_.diagonal_gradient(da + i * pair_row + i, pair_row, x + at, keys + at, {high + at, low + at},
                                    feature_row, count, feature_row, dx + at, dk + at);
            if (i == 0) continue;
            near_part(x, i, count);
            // Both products come back with the decays between them and the sub-chunk's start.
            const index columns = feature_row / w_;
            T* const back = near_turned;
            leaf_.multiply({da + i * pair_row, pair_row, 1, near_keys, feature_row, back, feature_row, count,
                            i, columns});
            leaf_.decay_elements(back, {high + at, low + at}, before(i), feature_row, T(1), count,
                                 feature_row, back);
            leaf_.accumulate(dx + at, nullptr, back, count * feature_row);
            leaf_.multiply({da + i * pair_row, 1, pair_row, near_queries, feature_row, back, feature_row, i,
                            count, columns});
            for (index j = 0; j < i; ++j)
                leaf_.decay_elements(back + j * feature_row, {high + j * feature_row, low + j * feature_row},
                                     before(i), feature_row, T(-1), 1, feature_row, back + j * feature_row);
            leaf_.accumulate(dk, nullptr, back, i * feature_row);
        }
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
    T* input;           // (position, input): keys or queries before the map
    T* keys;            // (position, feature)
    T* turned;          // (feature, position)
    T* values;          // (position, value feature)
    T* queries;         // (position, feature)
    T* pairs;           // (query, key)
    T* high = nullptr;  // b, (position) or (position, feature)
    T* low = nullptr;
    T* last_high = nullptr;  // b at the chunk's end, (feature)
    T* last_low = nullptr;
    T* since_start = nullptr;  // e^b, (position); of heads
    T* until_end = nullptr;    // e^(b_end - b)
    T* keep = nullptr;         // e^b_end, (feature)
    T* decayed_keys;           // keys e^(b_end - b)
    T* decayed_queries;        // queries e^b
    T* beta = nullptr;         // (position)
    T* early_keys = nullptr;   // keys e^b
    T* key_pairs = nullptr;    // <k_i, k_j> e^(b_i - b_j), strictly lower

private:
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
    void load_decays(index b, index h, index first, index count) {
        if (p_.decays == decay_of::feature)
            sum_features(b, h, first, count);
        else
            sum_positions(b, h, first, count);
        decay_rows_until_end(keys, decayed_keys);
    }
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
        leaf_.decay_elements(nullptr, {high, low}, {nullptr, nullptr}, pair_row, T(1), 1, pair_row,
                             since_start);
        for (index i = 0; i < pair_row; ++i) {
            constant[i] = high[count - 1];
            until_end[i] = low[count - 1];
        }
        leaf_.decay_elements(nullptr, {high, low}, {constant, until_end}, pair_row, T(-1), 1, pair_row,
                             until_end);
        for (index f = 0; f < feature_row; ++f) keep[f] = since_start[count - 1];
    }
    void sum_features(index b, index h, index first, index count) {
        clear(high, count * feature_row);
        clear(low, count * feature_row);
        constexpr index some = 64;  // features at a time, so that their sums stand on the stack
        for (index f0 = 0; f0 < p_.features; f0 += some) {
            const index n = least(p_.features - f0, some);
            long_sum sums[some];
            double steps[some];
            for (index i = 0; i < count; ++i) {
                p_.decay.read(p_.decay.context, b, h, first + i, 1, f0, n, steps);
                const index at = i * feature_row + f0;
                for (index f = 0; f < n; ++f) sums[f].add(steps[f], high[at + f], low[at + f]);
            }
        }
        copy(high + (count - 1) * feature_row, last_high, feature_row);
        copy(low + (count - 1) * feature_row, last_low, feature_row);
        leaf_.decay_elements(nullptr, {last_high, last_low}, {nullptr, nullptr}, feature_row, T(1), 1,
                             feature_row, keep);
    }
    // The queries of a sub-chunk since its start, and the keys before it until there.
    void near_part(const T* x, index i, index count) const {
        const index at = i * feature_row;
        leaf_.decay_elements(x + at, {high + at, low + at}, before(i), feature_row, T(1), count, feature_row,
                             near_queries);
        leaf_.decay_elements(keys, {high, low}, before(i), feature_row, T(-1), i, feature_row, near_keys);
    }
    log_sums<T> before(index i) const { return {high + (i - 1) * feature_row, low + (i - 1) * feature_row}; }

    const problem& p_;
    const linear_leaves<E>& leaf_;
    index w_;
    T* constant;
    T* near_keys = nullptr;
    T* near_turned = nullptr;
    T* near_queries = nullptr;
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
