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

#include <heed/kernel/linear/gradients.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

template <class E>
class linear_backward {
public:
    using problem = linear_problem<E>;
    using T = typename problem::T;

    linear_backward(const problem& p, const linear_gradients<E>& g, const linear_leaves<E>& leaves,
                    room<T> memory = room<T>())
        : p_(p), g_(g), leaf_(leaves), to_(p, g, leaves), w_(leaves.pack_lanes), c_(p, leaves, memory) {
        flow_size_ = c_.feature_row * c_.value_row;
        out_ = memory.take(chunk_positions * c_.value_row);
        dq_ = memory.take(chunk_positions * c_.feature_row);
        earlier_ = memory.take(chunk_positions * c_.feature_row);
        later_ = p.decays == decay_of::nothing && !p.delta ? earlier_
                                                           : memory.take(chunk_positions * c_.feature_row);
        spare_ = memory.take(chunk_positions * c_.feature_row);
        dx_ = memory.take(chunk_positions * c_.input_row);
        du_ = memory.take(chunk_positions * c_.value_row);
        products_ = memory.take(chunk_positions * c_.pair_row);
        turned_values_ = memory.take(c_.value_row * c_.pair_row);
        turned_state_ = memory.take(flow_size_);
        added_ = memory.take(flow_size_);
        after_ = memory.take(flow_size_);
        added_normaliser_ = memory.take(c_.feature_row);
        after_normaliser_ = memory.take(c_.feature_row);
        inverse_ = memory.take(chunk_positions);
        slope_ = memory.take(chunk_positions);
        answer_ = p.ones() || p.delta ? memory.take(chunk_positions * c_.value_row) : nullptr;
        if (p.decays != decay_of::nothing) {
            db_ = memory.take(chunk_positions * c_.feature_row);
            db_end_ = memory.take(c_.feature_row);
        }
        bytes_ = memory.bytes();
    }

    std::size_t bytes() const { return bytes_; }
    linear_flow<T> flow_of(room<T>& memory) const { return {memory, c_.feature_row, c_.value_row}; }

    // R after the last position.
    void begin(index b, index h, const linear_flow<T>& r) const {
        clear(r.state, flow_size_);
        clear(r.normaliser, c_.feature_row);
        if (g_.final_gradient.data == nullptr) return;
        for (index f = 0; f < p_.features; ++f) {
            const T* const row = g_.final_gradient.row(b, h, f);
            const index stride = g_.final_gradient.stride[3];
            for (index e = 0; e < p_.columns(); ++e) r.state[f * c_.value_row + e] = row[e * stride];
            if (p_.separate()) r.normaliser[f] = row[p_.value_features * stride];
        }
    }

    // Chunk `link` of a causal sequence, from the state it began with; chunks come last to first.
    void run(index b, index h, index link, const T* state, const T* normaliser, const linear_flow<T>& r,
             chain_turn& turn) {
        const index first = link * chunk_positions;
        const index count = p_.keys - first < chunk_positions ? p_.keys - first : chunk_positions;
        load_keys(b, h, first, count, state);
        clear_sums(count);
        for (index head = h * p_.group(); head < (h + 1) * p_.group(); ++head)
            take_queries(b, head, first, count, state, normaliser);
        if (!turn.take()) return;
        if (first + count == p_.keys) begin(b, h, r);
        if (p_.delta) take_delta(r.state);
        copy(r.state, after_, flow_size_);
        copy(r.normaliser, after_normaliser_, c_.feature_row);
        pass_on(r);
        if (link == 0 && g_.initial.data != nullptr) to_.write_initial(b, h, r, c_.value_row);
        turn.pass();
        // States stand one after the other, each after its normaliser's predecessor.
        soon_state_ = link == 0
                          ? memory_span{}
                          : memory_span{reinterpret_cast<const char*>(state - flow_size_ - c_.feature_row),
                                        flow_size_ * static_cast<index>(sizeof(T))};
        finish_keys(b, h, first, count, state);
    }

    // The same in two steps where every query sees every key: a chunk of queries, then of keys.
    void run_queries(index b, index h, index first, index count, const T* state, const T* normaliser,
                     const linear_flow<T>& r, chain_turn& turn) {
        c_.rows = count;
        turn_state(state);
        clear_sums(count);
        for (index head = h * p_.group(); head < (h + 1) * p_.group(); ++head)
            take_queries(b, head, first, count, state, normaliser);
        if (!turn.take()) return;
        if (first == 0) begin(b, h, r);
        pass_on(r);
        if (p_.over_positions && first + count == p_.queries) mean_of_columns(b, h, state, r.state);
        turn.pass();
    }
    void run_keys(index b, index h, index first, index count, const linear_flow<T>& r) {
        c_.load_keys(b, h, first, count);
        clear_sums(count);
        copy(r.state, after_, flow_size_);
        copy(r.normaliser, after_normaliser_, c_.feature_row);
        finish_keys(b, h, first, count, nullptr);
    }

private:
    // The mean of dphi under the softmax over positions is <S, R>, feature by feature.
    void mean_of_columns(index b, index h, const T* state, const T* flow) const {
        const auto& c = *static_cast<const column_context<T>*>(p_.key_map.of_head(b * p_.kv_heads + h));
        leaf_.row_products(state, flow, c_.value_row, p_.features, c_.value_row, c.mean);
    }

    void load_keys(index b, index h, index first, index count, const T* state) {
        c_.load_keys(b, h, first, count);
        turn_state(state);
        if (p_.delta) {
            const index columns = c_.value_row / w_;
            leaf_.multiply({c_.early_keys, c_.feature_row, 1, state, c_.value_row, c_.values, c_.value_row,
                            count, p_.features, columns, -1});
            copy(c_.values, answer_, count * c_.value_row);
            leaf_.scale_rows(c_.values, c_.values, c_.value_row, c_.beta, count, c_.value_row);
            leaf_.scale_rows(c_.key_pairs, products_, c_.pair_row, c_.beta, count, c_.pair_row);
            leaf_.solve_lower(
                {products_, c_.pair_row, 1, nullptr, 0, c_.values, c_.value_row, count, count, columns});
            // V - K S - lower(K K^T) U
            leaf_.multiply_lower({c_.key_pairs, c_.pair_row, 1, c_.values, c_.value_row, answer_,
                                  c_.value_row, count, count, columns, -1});
            leaf_.scale_rows(c_.key_pairs, c_.key_pairs, c_.pair_row, c_.beta, count, c_.pair_row);
        }
        c_.transpose(c_.values, c_.value_row, count, c_.value_row, turned_values_, c_.pair_row);
    }
    void turn_state(const T* state) const {
        for (index f = 0; f < c_.feature_row; f += w_)
            for (index e = 0; e < c_.value_row; e += w_)
                leaf_.transpose(state + f * c_.value_row + e, c_.value_row,
                                turned_state_ + e * c_.feature_row + f, c_.feature_row, c_.filled(T(1)));
    }
    void clear_sums(index count) const {
        clear(du_, count * c_.value_row);
        clear(earlier_, count * c_.feature_row);
        clear(later_, count * c_.feature_row);
        clear(added_, flow_size_);
        clear(added_normaliser_, c_.feature_row);
        if (db_ != nullptr) {
            clear(db_, count * c_.feature_row);
            clear(db_end_, c_.feature_row);
        }
    }

    // One query head: its dQ, and what it adds to dU, dK and R.
    void take_queries(index b, index head, index first, index count, const T* state, const T* normaliser) {
        const index columns = c_.value_row / w_;
        const index wide = c_.feature_row / w_;
        const index value_row = c_.value_row;
        const index feature_row = c_.feature_row;
        c_.load_queries(b, head, first, count);
        c_.load_values(g_.dy, b, head, first, count, out_);
        if (p_.causal) c_.pair_scores(c_.queries, c_.pairs);
        if (!p_.normalised && p_.scale != T(1))
            leaf_.scale_rows(out_, out_, value_row, c_.filled(p_.scale), count, value_row);
        if (p_.ones()) normalise_outputs(count, state);

        // Causal chunks come last to first.
        const index next = p_.causal ? first - chunk_positions : first + chunk_positions;
        const memory_span soon_queries = c_.soon(p_.q, b, head, next, p_.queries, p_.inputs);
        const memory_span soon_outputs = c_.soon(g_.dy, b, head, next, p_.queries, p_.value_features);
        leaf_.multiply({out_,
                        value_row,
                        1,
                        turned_state_,
                        feature_row,
                        dq_,
                        feature_row,
                        count,
                        p_.columns(),
                        wide,
                        0,
                        {soon_queries, soon_outputs}});
        if (p_.decays != decay_of::nothing) c_.decay_rows_since_start(dq_, dq_);
        if (p_.causal)
            leaf_.multiply_to_lower({out_, value_row, 1, turned_values_, c_.pair_row, products_, c_.pair_row,
                                     count, p_.columns(), rounded(count)});
        if (p_.separate()) {
            if (p_.causal)
                leaf_.multiply_lower({products_, c_.pair_row, 1, c_.keys, feature_row, dq_, feature_row,
                                      count, count, wide, 1});
            normalise_gradients(count, normaliser);
            if (p_.causal)
                leaf_.multiply_upper({products_, 1, c_.pair_row, c_.queries, feature_row, earlier_,
                                      feature_row, count, count, wide, 1});
            leaf_.multiply(
                {slope_, 0, 1, c_.queries, feature_row, added_normaliser_, feature_row, 1, count, wide, 1});
        } else if (p_.causal) {
            c_.pair_gradient(products_, c_.queries, dq_, earlier_);
        }
        if (p_.causal)
            leaf_.multiply_upper(
                {c_.pairs, 1, c_.pair_row, out_, value_row, du_, value_row, count, count, columns, 1});
        const index keys_next = p_.causal ? next : -1;
        const memory_span soon_keys = c_.soon(p_.k, b, head / p_.group(), keys_next, p_.keys, p_.inputs);
        const memory_span soon_values =
            c_.soon(p_.v, b, head / p_.group(), keys_next, p_.keys, p_.value_features);
        leaf_.multiply({c_.decayed_queries,
                        1,
                        feature_row,
                        out_,
                        value_row,
                        added_,
                        value_row,
                        p_.features,
                        count,
                        columns,
                        1,
                        {soon_keys, soon_values}});
        if (db_ != nullptr) leaf_.add_products(c_.queries, dq_, count * feature_row, T(1), db_);
        to_.write_mapped(p_.query_map, 0, c_.queries, dq_, feature_row, count, c_, dx_, g_.q, b, head, first);
    }

    // Where z is a column of the state: D = [dO / den, -<dO, O> / den].
    void normalise_outputs(index count, const T* state) const {
        const index columns = c_.value_row / w_;
        leaf_.multiply({c_.decayed_queries, c_.feature_row, 1, state, c_.value_row, answer_, c_.value_row,
                        count, p_.features, columns});
        leaf_.multiply_lower({c_.pairs, c_.pair_row, 1, c_.values, c_.value_row, answer_, c_.value_row, count,
                              count, columns, 1});
        leaf_.row_products(out_, answer_, c_.value_row, count, c_.value_row, slope_);
        for (index i = 0; i < count; ++i)
            inverse_[i] = T(1) / (answer_[i * c_.value_row + p_.value_features] + p_.least_normaliser());
        leaf_.scale_rows(out_, out_, c_.value_row, inverse_, count, c_.value_row);
        for (index i = 0; i < count; ++i)
            out_[i * c_.value_row + p_.value_features] = -slope_[i] * inverse_[i] * inverse_[i];
    }
    // Where z stands apart: dq holds X.
    void normalise_gradients(index count, const T* normaliser) const {
        if (p_.causal)
            leaf_.normalisers(c_.queries, c_.keys, c_.feature_row, count, p_.features, normaliser, inverse_);
        else
            leaf_.multiply_row(c_.queries, c_.feature_row, normaliser, count, p_.features, inverse_);
        leaf_.row_products(c_.queries, dq_, c_.feature_row, count, c_.feature_row, slope_);
        for (index i = 0; i < count; ++i) {
            inverse_[i] = T(1) / (inverse_[i] + p_.least_normaliser());
            slope_[i] = -slope_[i] * inverse_[i] * inverse_[i];
        }
        leaf_.scale_rows(dq_, dq_, c_.feature_row, inverse_, count, c_.feature_row);
        leaf_.scale_rows(out_, out_, c_.value_row, inverse_, count, c_.value_row);
        if (p_.causal) {
            leaf_.add_running(dq_, c_.keys, c_.feature_row, count, p_.features, normaliser, slope_);
            leaf_.scale_shift_rows(products_, c_.pair_row, inverse_, slope_, count, c_.pair_row);
        } else {
            leaf_.multiply(
                {slope_, 1, 0, normaliser, 0, dq_, c_.feature_row, count, 1, c_.feature_row / w_, 1});
        }
    }

    // dU becomes W, R loses what the delta rule takes off.
    void take_delta(const T* after) {
        const index columns = c_.value_row / w_;
        leaf_.multiply({c_.decayed_keys, c_.feature_row, 1, after, c_.value_row, du_, c_.value_row, c_.rows,
                        p_.features, columns, 1});
        leaf_.solve_upper(
            {c_.key_pairs, c_.pair_row, 1, nullptr, 0, du_, c_.value_row, c_.rows, c_.rows, columns});
        leaf_.row_products(du_, answer_, c_.value_row, c_.rows, c_.value_row, slope_);
        leaf_.scale_rows(du_, du_, c_.value_row, c_.beta, c_.rows, c_.value_row);
        leaf_.multiply({c_.early_keys, 1, c_.feature_row, du_, c_.value_row, added_, c_.value_row,
                        p_.features, c_.rows, columns, -1});
    }
    void pass_on(const linear_flow<T>& r) const {
        if (p_.decays == decay_of::nothing)
            leaf_.accumulate(r.state, nullptr, added_, p_.features * c_.value_row);
        else
            leaf_.decay_rows(r.state, c_.value_row, c_.keep, added_, p_.features, c_.value_row);
        if (p_.separate()) leaf_.accumulate(r.normaliser, nullptr, added_normaliser_, c_.feature_row);
    }

    // dK, dV, and the gradients of decays and betas, once R is known.
    void finish_keys(index b, index h, index first, index count, const T* state) {
        const index columns = c_.value_row / w_;
        const index wide = c_.feature_row / w_;
        const index size = count * c_.feature_row;
        if (db_ != nullptr) end_of_decays(state);
        if (p_.delta) {
            // M = -lower(W U^T), W from both sides of its pairs, and W against the state before.
            leaf_.scale_rows(du_, out_, c_.value_row, c_.filled(T(-1)), count, c_.value_row);
            leaf_.multiply({out_, c_.value_row, 1, turned_state_, c_.feature_row, later_, c_.feature_row,
                            count, p_.columns(), wide});
            if (p_.decays != decay_of::nothing) c_.decay_rows_since_start(later_, later_);
            leaf_.multiply_to_lower({out_, c_.value_row, 1, turned_values_, c_.pair_row, products_,
                                     c_.pair_row, count, p_.columns(), rounded(count)});
            for (index i = 0; i < count; ++i) products_[i * c_.pair_row + i] = 0;
            c_.pair_gradient(products_, c_.keys, later_, earlier_);
        } else {
            leaf_.multiply({c_.decayed_keys, c_.feature_row, 1, after_, c_.value_row, du_, c_.value_row,
                            count, p_.features, columns, 1});
        }
        turn_state(after_);
        leaf_.multiply({c_.values,
                        c_.value_row,
                        1,
                        turned_state_,
                        c_.feature_row,
                        spare_,
                        c_.feature_row,
                        count,
                        p_.columns(),
                        wide,
                        0,
                        {soon_state_, {}}});
        if (p_.decays != decay_of::nothing) {
            c_.decay_rows_until_end(spare_, spare_);
            for (index i = 0; i < count; ++i)
                leaf_.add_products(c_.keys + i * c_.feature_row, spare_ + i * c_.feature_row, c_.feature_row,
                                   T(1), db_end_);
        }
        leaf_.accumulate(earlier_, nullptr, spare_, size);
        if (p_.separate())
            for (index i = 0; i < count; ++i)
                leaf_.accumulate(earlier_ + i * c_.feature_row, nullptr, after_normaliser_, c_.feature_row);
        if (db_ != nullptr) {
            leaf_.add_products(c_.keys, later_, size, T(1), db_);
            leaf_.add_products(c_.keys, earlier_, size, T(-1), db_);
            if (g_.decay.data != nullptr) to_.write_decays(db_, db_end_, c_.feature_row, b, h, first, count);
        }
        if (later_ != earlier_) leaf_.accumulate(earlier_, nullptr, later_, size);
        if (p_.delta && g_.beta.data != nullptr)
            for (index i = 0; i < count; ++i) *g_.beta.row(b, h, first + i) = slope_[i];
        to_.write(g_.v, b, h, first, du_, c_.value_row, count, p_.value_features);
        if (p_.key_map.gradient != nullptr) c_.load_input(p_.k, b, h, first, count);
        to_.write_mapped(p_.key_map, b * p_.kv_heads + h, c_.keys, earlier_, c_.feature_row, count, c_, dx_,
                         g_.k, b, h, first);
    }

    // <S', R> of the state after the chunk, but for its pairs.
    void end_of_decays(const T* state) const {
        for (index f = 0; f < p_.features; ++f) {
            T sum[1];
            leaf_.row_products(state + f * c_.value_row, after_ + f * c_.value_row, c_.value_row, 1,
                               c_.value_row, sum);
            db_end_[f] += c_.keep[f] * sum[0];
        }
    }
    index rounded(index count) const { return rounded_up(count, w_) / w_; }

    const problem& p_;
    const linear_gradients<E>& g_;
    const linear_leaves<E>& leaf_;
    linear_gradient_writer<E> to_;
    index w_;
    linear_chunk<E> c_;
    index flow_size_;
    T* out_;      // D (position, value feature)
    T* dq_;       // (position, feature)
    T* earlier_;  // dK of keys as the earlier of a pair
    T* later_;    // dK of keys as the later one
    T* spare_;
    T* dx_;  // (position, input)
    T* du_;
    T* products_;       // P, M (query, key)
    T* turned_values_;  // U^T
    T* turned_state_;   // S^T, later R^T
    T* added_;          // what the chunk adds to R
    T* after_;          // R after the chunk
    T* added_normaliser_;
    T* after_normaliser_;
    T* inverse_;           // 1 / den
    T* slope_;             // the gradient of den; of beta
    T* answer_;            // the outputs; of the delta rule V - K S - lower(K K^T) U
    T* db_ = nullptr;      // (position, feature)
    T* db_end_ = nullptr;  // (feature)
    memory_span soon_state_;
    std::size_t bytes_;
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
