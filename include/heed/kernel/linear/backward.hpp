// SPDX-License-Identifier: MIT
// heed/kernel/linear/backward.hpp: the gradients of a chunk of linear attention
//
// With D = dO (over the normaliser, times the scale), P = lower(D U^T), R the gradient of the state after
// the chunk, A = lower(Q K^T …), and every pair and row decayed as in the forward:
//
//     dQ = D S^T + P K         dU = A^T D + K R         dK = U R^T + P^T Q         R' = Q^T D + e^b_end R
//     linear rules: dV = dU.   Delta rules: Y solves (I + beta lower(K K^T …))^T Y = dU, W = beta Y,
//         dV = W,  M = -lower(W U^T),  dK += M K + M^T K - W S^T,  R' -= K^T W,
//         dbeta = <Y, V - K S - lower(K K^T …) U>
//     decays: db = <q, dq> + <k, dk as the later of a pair> - <k, dk as the earlier>, dg its sum from the
//         end, which begins with <S', R> of the state after the chunk
//     normaliser: delta = -<q, X> / den^2 with X = dQ before the division is the gradient of den,
//         dQ = X / den + delta z,  P += delta by rows,  dK += the sum of delta q over later positions
//
// Source: own derivation of the chunkwise form from the recurrent gradients; checked against those.
#pragma once

#include <heed/kernel/linear/backward_queries.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class linear_backward {
public:
    using problem = linear_problem<E>;
    using T = typename problem::T;

    linear_backward(const problem& p, const linear_gradients<E>& g, const linear_leaves<E>& leaves,
                    arena scratch = arena())
        : x_(p, g, leaves, scratch) {
        bytes_ = scratch.bytes();
    }

    std::size_t bytes() const { return bytes_; }
    linear_flow<T> flow_of(arena& scratch) const { return {scratch, x_.c.feature_row, x_.c.value_row}; }

    // R after the last position, where the state is `last`.
    void begin(index b, index h, const linear_flow<T>& r, const head_state<T>& last) const {
        clear(r.state, x_.flow_size);
        clear(r.normaliser, x_.c.feature_row);
        if (x_.g.final_gradient.data == nullptr) return;
        for (index f = 0; f < x_.p.features; ++f) {
            const T* const row = x_.g.final_gradient.row(b, h, f);
            const index stride = x_.g.final_gradient.stride[3];
            for (index e = 0; e < x_.p.columns(); ++e) r.state[f * x_.c.value_row + e] = row[e * stride];
            if (x_.p.separate()) r.normaliser[f] = row[x_.p.value_features * stride];
            if (x_.p.relative)
                gradient_of_written(r.state + f * x_.c.value_row, last.state + f * x_.c.value_row,
                                    x_.p.value_features, last.normaliser[f]);
        }
    }

    // Chunk `link` of a causal sequence, from the state it began with; chunks come last to first.
    void run(index b, index h, index link, const T* state, const T* normaliser, const linear_flow<T>& r,
             const head_state<T>& last, chain_turn& turn) {
        const index first = link * chunk_positions;
        const index count = chunk_length(x_.p.keys, first);
        load_keys(b, h, first, count, state);
        if (x_.p.relative) {
            x_.c.place_state(state, normaliser);
            grow_keys(normaliser);
        }
        x_.clear_sums(count);
        for (index head = h * x_.p.group(); head < (h + 1) * x_.p.group(); ++head)
            take_queries(x_, b, head, first, count, state, normaliser);
        if (!turn.take()) return;
        if (first + count == x_.p.keys) begin(b, h, r, last);
        if (x_.p.delta) take_delta(r.state);
        copy(r.state, x_.after, x_.flow_size);
        copy(r.normaliser, x_.after_normaliser, x_.c.feature_row);
        pass_on(r);
        if (link == 0 && x_.g.initial.data != nullptr) {
            for (index f = 0; f < x_.p.features; ++f) {
                T* const gradient = r.state + f * x_.c.value_row;
                const T* const sums = state + f * x_.c.value_row;
                if (x_.p.relative)
                    gradient_of_read(gradient, sums, x_.p.value_features, normaliser[f]);
                else if (x_.p.coded_initial && x_.p.initial.data != nullptr)
                    gradient_of_absolute(
                        gradient, sums, x_.p.value_features,
                        x_.p.initial.row(b, h, f)[x_.p.value_features * x_.p.initial.stride[3]]);
            }
            x_.writer.write_initial(b, h, r, x_.c.value_row);
        }
        turn.pass();
        // States stand one after the other, each after its normaliser's predecessor.
        soon_state_ =
            link == 0 ? memory_span{}
                      : memory_span{reinterpret_cast<const char*>(state - x_.flow_size - x_.c.feature_row),
                                    x_.flow_size * static_cast<index>(sizeof(T))};
        finish_keys(b, h, first, count, state);
    }

    // The same in two steps where every query sees every key: a chunk of queries, then of keys.
    void run_queries(index b, index h, index first, index count, const T* state, const T* normaliser,
                     const linear_flow<T>& r, chain_turn& turn) {
        x_.c.rows = count;
        x_.transpose_state(state);
        if (x_.p.relative) x_.c.place_state(state, normaliser);
        x_.clear_sums(count);
        for (index head = h * x_.p.group(); head < (h + 1) * x_.p.group(); ++head)
            take_queries(x_, b, head, first, count, state, normaliser);
        if (!turn.take()) return;
        if (first == 0) {
            clear(r.state, x_.flow_size);
            clear(r.normaliser, x_.c.feature_row);
        }
        pass_on(r);
        if (x_.p.over_positions && first + count == x_.p.queries) mean_of_columns(b, h, state, r.state);
        turn.pass();
    }
    void run_keys(index b, index h, index first, index count, const T* normaliser, const linear_flow<T>& r) {
        x_.c.load_keys(b, h, first, count);
        if (x_.p.relative) grow_keys(normaliser);
        x_.clear_sums(count);
        copy(r.state, x_.after, x_.flow_size);
        copy(r.normaliser, x_.after_normaliser, x_.c.feature_row);
        finish_keys(b, h, first, count, nullptr);
    }

private:
    // The keys as the state after the chunk sees them, and what is kept of the one before.
    void grow_keys(const T* shifts) const {
        T* const after = x_.added_normaliser;  // not needed where z is a column
        copy(shifts, after, x_.p.features);
        x_.c.grow_state(after);
        x_.leaf.scale_elements(x_.c.decayed_keys, nullptr, x_.c.grow, nullptr, x_.c.feature_row, x_.c.rows,
                               x_.c.feature_row, x_.c.decayed_keys);
    }
    // The mean of dphi under the softmax over positions is <S, R>, feature by feature.
    void mean_of_columns(index b, index h, const T* state, const T* flow) const {
        const auto& c = *static_cast<const column_context<T>*>(x_.p.key_map.of_head(b * x_.p.kv_heads + h));
        x_.leaf.row_products(state, flow, x_.c.value_row, x_.p.features, x_.c.value_row, c.mean);
    }

    void load_keys(index b, index h, index first, index count, const T* state) {
        x_.c.load_keys(b, h, first, count);
        x_.transpose_state(state);
        if (x_.p.delta) {
            const index columns = x_.c.value_row / x_.w;
            x_.leaf.multiply({x_.c.early_keys, x_.c.feature_row, 1, state, x_.c.value_row, x_.c.values,
                              x_.c.value_row, count, x_.p.features, columns, -1});
            copy(x_.c.values, x_.answer, count * x_.c.value_row);
            x_.leaf.scale_rows(x_.c.values, x_.c.values, x_.c.value_row, x_.c.beta, count, x_.c.value_row);
            copy(x_.c.key_pairs, x_.products, count * x_.c.pair_row);
            x_.leaf.scale_lower(x_.products, x_.c.pair_row, x_.c.beta, nullptr, count);
            x_.leaf.solve_lower({x_.products, x_.c.pair_row, 1, nullptr, 0, x_.c.values, x_.c.value_row,
                                 count, count, columns});
            // V - K S - lower(K K^T) U
            x_.leaf.multiply_lower({x_.c.key_pairs, x_.c.pair_row, 1, x_.c.values, x_.c.value_row, x_.answer,
                                    x_.c.value_row, count, count, columns, -1});
            x_.leaf.scale_lower(x_.c.key_pairs, x_.c.pair_row, x_.c.beta, nullptr, count);
        }
        x_.c.transpose(x_.c.values, x_.c.value_row, count, x_.c.value_row, x_.transposed_values,
                       x_.c.pair_row);
    }
    // dU becomes W, R loses what the delta rule takes off.
    void take_delta(const T* after) {
        const index columns = x_.c.value_row / x_.w;
        x_.leaf.multiply({x_.c.decayed_keys, x_.c.feature_row, 1, after, x_.c.value_row, x_.du,
                          x_.c.value_row, x_.c.rows, x_.p.features, columns, 1});
        x_.leaf.solve_upper({x_.c.key_pairs, x_.c.pair_row, 1, nullptr, 0, x_.du, x_.c.value_row, x_.c.rows,
                             x_.c.rows, columns});
        x_.leaf.row_products(x_.du, x_.answer, x_.c.value_row, x_.c.rows, x_.c.value_row, x_.slope);
        x_.leaf.scale_rows(x_.du, x_.du, x_.c.value_row, x_.c.beta, x_.c.rows, x_.c.value_row);
        x_.leaf.multiply({x_.c.early_keys, 1, x_.c.feature_row, x_.du, x_.c.value_row, x_.added,
                          x_.c.value_row, x_.p.features, x_.c.rows, columns, -1});
    }
    void pass_on(const linear_flow<T>& r) const {
        if (!x_.p.scaled() || !x_.p.causal)
            x_.leaf.accumulate(r.state, nullptr, x_.added, x_.p.features * x_.c.value_row);
        else
            x_.leaf.decay_rows(r.state, x_.c.value_row, x_.c.keep, x_.added, x_.p.features, x_.c.value_row);
        if (x_.p.separate()) x_.leaf.accumulate(r.normaliser, nullptr, x_.added_normaliser, x_.c.feature_row);
    }

    // dK, dV, and the gradients of decays and betas, once R is known.
    void finish_keys(index b, index h, index first, index count, const T* state) {
        const index columns = x_.c.value_row / x_.w;
        const index wide = x_.c.feature_row / x_.w;
        const index size = count * x_.c.feature_row;
        if (x_.db != nullptr) end_of_decays(state);
        if (x_.p.delta) {
            // M = -lower(W U^T), W from both sides of its pairs, and W against the state before.
            x_.leaf.scale_rows(x_.du, x_.out, x_.c.value_row, x_.c.filled(T(-1)), count, x_.c.value_row);
            x_.leaf.multiply({x_.out, x_.c.value_row, 1, x_.transposed_state, x_.c.feature_row, x_.later,
                              x_.c.feature_row, count, x_.p.columns(), wide});
            if (x_.p.decays != decay_of::nothing) x_.c.decay_rows_since_start(x_.later, x_.later);
            x_.leaf.multiply_to_lower({x_.out, x_.c.value_row, 1, x_.transposed_values, x_.c.pair_row,
                                       x_.products, x_.c.pair_row, count, x_.p.columns(), x_.packs(count)});
            for (index i = 0; i < count; ++i) x_.products[i * x_.c.pair_row + i] = 0;
            x_.c.pair_gradient(x_.products, x_.c.keys, x_.later, x_.earlier);
        } else {
            x_.leaf.multiply({x_.c.decayed_keys, x_.c.feature_row, 1, x_.after, x_.c.value_row, x_.du,
                              x_.c.value_row, count, x_.p.features, columns, 1});
        }
        x_.transpose_state(x_.after);
        x_.leaf.multiply({x_.c.values,
                          x_.c.value_row,
                          1,
                          x_.transposed_state,
                          x_.c.feature_row,
                          x_.spare,
                          x_.c.feature_row,
                          count,
                          x_.p.columns(),
                          wide,
                          0,
                          {soon_state_, {}}});
        if (x_.p.relative)
            x_.leaf.scale_elements(x_.spare, x_.c.decayed_keys, nullptr, nullptr, x_.c.feature_row, count,
                                   x_.c.feature_row, x_.spare);
        if (x_.p.decays != decay_of::nothing) {
            x_.c.decay_rows_until_end(x_.spare, x_.spare);
            for (index i = 0; i < count; ++i)
                x_.leaf.add_products(x_.c.keys + i * x_.c.feature_row, x_.spare + i * x_.c.feature_row,
                                     x_.c.feature_row, T(1), x_.db_end);
        }
        x_.leaf.accumulate(x_.earlier, nullptr, x_.spare, size);
        if (x_.p.separate())
            for (index i = 0; i < count; ++i)
                x_.leaf.accumulate(x_.earlier + i * x_.c.feature_row, nullptr, x_.after_normaliser,
                                   x_.c.feature_row);
        if (x_.db != nullptr) {
            x_.leaf.add_products(x_.c.keys, x_.later, size, T(1), x_.db);
            x_.leaf.add_products(x_.c.keys, x_.earlier, size, T(-1), x_.db);
            if (x_.g.decay.data != nullptr)
                x_.writer.write_decays(x_.db, x_.db_end, x_.c.feature_row, b, h, first, count);
        }
        if (x_.later != x_.earlier) x_.leaf.accumulate(x_.earlier, nullptr, x_.later, size);
        if (x_.p.delta && x_.g.beta.data != nullptr)
            for (index i = 0; i < count; ++i) *x_.g.beta.row(b, h, first + i) = x_.slope[i];
        x_.writer.write(x_.g.v, b, h, first, x_.du, x_.c.value_row, count, x_.p.value_features);
        if (x_.p.key_map.gradient != nullptr) x_.c.load_input(x_.p.k, b, h, first, count);
        x_.writer.write_mapped(x_.p.key_map, b * x_.p.kv_heads + h, x_.c.keys, x_.earlier, x_.c.feature_row,
                               count, x_.c, x_.dx, x_.g.k, b, h, first);
    }

    // <S', R> of the state after the chunk, but for its pairs.
    void end_of_decays(const T* state) const {
        for (index f = 0; f < x_.p.features; ++f) {
            T sum[1];
            x_.leaf.row_products(state + f * x_.c.value_row, x_.after + f * x_.c.value_row, x_.c.value_row, 1,
                                 x_.c.value_row, sum);
            x_.db_end[f] += x_.c.keep[f] * sum[0];
        }
    }
    gradient_work<E> x_;
    memory_span soon_state_;
    std::size_t bytes_;
};

}  // namespace heed::inline HEED_ABI::detail
