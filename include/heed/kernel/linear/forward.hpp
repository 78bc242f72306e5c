// SPDX-License-Identifier: MIT
// heed/kernel/linear/forward.hpp: linear attention, chunk by chunk
//
//     O = (Q e^b) S + lower(Q K^T e^(b_i - b_j)) U         S' = e^b_end S + (K e^(b_end - b))^T U
//     U = V, or with the delta rule the solution of (I + beta lower(K K^T …)) U = beta (V - (K e^b) S)
//     y = O / (Q z + 1e-10), z the running sum of the keys, when normalised
//
// A chunk prepares what needs no state, takes the state over, updates it and passes it on. Cost for each
// position: 4 features d_v + chunk (features + d_v), half of the second for what lies above the diagonal
// saved; memory: scratch of one chunk a thread. A sum over a million chunks keeps its compensation.
// Source: the chunkwise form of Yang et al. (arXiv 2312.06635, 2406.06484, 2412.06464).
#pragma once

#include <heed/core/chain.hpp>
#include <heed/kernel/linear/chunk.hpp>

namespace heed::inline HEED_ABI::detail {

// The state of one head: S (feature, value feature), z (feature), and what their sums lost.
template <class T>
struct head_state {
    T* state;
    T* normaliser;
    T* state_lost;
    T* normaliser_lost;

    head_state(arena& scratch, index features, index feature_row, index value_row) {
        state = scratch.take<T>(features * value_row);
        normaliser = scratch.take<T>(feature_row);
        state_lost = scratch.take<T>(features * value_row);
        normaliser_lost = scratch.take<T>(feature_row);
    }
};

template <class E>
class linear_forward {
public:
    using problem = linear_problem<E>;
    using T = typename problem::T;

    linear_forward(const problem& p, const linear_leaves<E>& leaves, arena scratch = arena())
        : p_(p),
          leaf_(leaves),
          w_(leaves.pack_lanes),
          c_(p, leaves, scratch),
          size_(p.features * c_.value_row),
          added_(scratch.take<T>(size_)),
          start_(scratch.take<T>(size_)),
          added_normaliser_(scratch.take<T>(c_.feature_row)),
          start_normaliser_(scratch.take<T>(c_.feature_row)),
          output_(scratch.take<T>(chunk_positions * c_.value_row)),
          total_(scratch.take<T>(chunk_positions)),
          bytes_(scratch.bytes()) {}

    std::size_t bytes() const { return bytes_; }
    head_state<T> state_in(arena& scratch) const {
        return {scratch, p_.features, c_.feature_row, c_.value_row};
    }

    // Chunk `link` of a causal sequence; false when the chain has ended. With `alone` no other thread
    // works on this state.
    bool run(index b, index h, index link, const head_state<T>& m, chain_turn& turn, bool alone) {
        const index first = link * chunk_positions;
        const index count = chunk_length(p_.keys, first);
        prepare(b, h, first, count);
        if (!turn.take()) return false;
        if (link == 0) begin(b, h, m);
        if (p_.delta) solve(m.state);
        if (alone) {
            write_outputs(b, h, first, count, m.state, m.normaliser);
        } else {
            copy(m.state, start_, size_);
            copy(m.normaliser, start_normaliser_, c_.feature_row);
        }
        update(m);
        if (first + count == p_.keys && p_.last.data != nullptr) write_state(b, h, m);
        turn.pass();
        if (!alone) write_outputs(b, h, first, count, start_, start_normaliser_);
        return true;
    }

    // The same without outputs: the state before the chunk goes to `state` and `normaliser`, whole packs of
    // rows, for the backward.
    void keep_state(index b, index h, index link, const head_state<T>& m, chain_turn& turn, T* state,
                    T* normaliser) {
        const index first = link * chunk_positions;
        prepare(b, h, first, chunk_length(p_.keys, first));
        if (!turn.take()) return;
        if (link == 0) begin(b, h, m);
        if (p_.delta) solve(m.state);
        copy_state(m, state, normaliser);
        update(m);
        turn.pass();
    }
    void copy_state(const head_state<T>& m, T* state, T* normaliser) const {
        copy(m.state, state, size_);
        clear(state + size_, (c_.feature_row - p_.features) * c_.value_row);
        copy(m.normaliser, normaliser, c_.feature_row);
    }
    index state_size() const { return c_.feature_row * c_.value_row; }
    index normaliser_size() const { return c_.feature_row; }

    // The state before the first chunk.
    void begin(index b, index h, const head_state<T>& m) const {
        clear(m.state, size_);
        clear(m.state_lost, size_);
        clear(m.normaliser, c_.feature_row);
        clear(m.normaliser_lost, c_.feature_row);
        for (index f = 0; p_.relative && f < c_.feature_row; ++f) m.normaliser[f] = no_exponent<T>;
        if (p_.initial.data == nullptr) return;
        for (index f = 0; f < p_.features; ++f) {
            const T* const row = p_.initial.row(b, h, f);
            const index stride = p_.initial.stride[3];
            T* const to = m.state + f * c_.value_row;
            if (stride == 1) copy(row, to, p_.columns());
            for (index e = 0; stride != 1 && e < p_.columns(); ++e) to[e] = row[e * stride];
            if (p_.separate()) m.normaliser[f] = row[p_.value_features * stride];
            if (p_.initial_shift.data != nullptr)
                m.normaliser[f] = *p_.initial_shift.row(b, h, f);
            else if (p_.relative)
                m.normaliser[f] = read_relative(to, p_.value_features);
            else if (p_.coded_initial) {
                const T z = row[p_.value_features * stride];
                if (p_.ones() && z < 0) to[p_.value_features] = 1;
                read_absolute(z, to, p_.columns());
            }
        }
    }

    // What a chunk adds to the state and to z, without a state of its own.
    void prepare(index b, index h, index first, index count) {
        c_.load_keys(b, h, first, count);
        soon_keys_ = soon_rows(p_.k, b, h, first + count, p_.keys, p_.inputs);
        if (!p_.causal) soon_values_ = soon_rows(p_.v, b, h, first + count, p_.keys, p_.value_features);
        if (!p_.delta) add_pairs(c_.values);
        if (p_.separate()) c_.sum_keys(added_normaliser_);
    }
    void update(const head_state<T>& m) const {
        const index columns = c_.value_row;
        if (p_.delta) add_pairs(c_.values);
        if (p_.relative) {
            c_.grow_state(m.normaliser);
            leaf_.decay_rows(m.state, columns, c_.keep, nullptr, p_.features, columns);
            leaf_.decay_rows(m.state_lost, columns, c_.keep, nullptr, p_.features, columns);
            leaf_.decay_rows(added_, columns, c_.grow, nullptr, p_.features, columns);
            leaf_.accumulate(m.state, m.state_lost, added_, size_);
        } else if (p_.decays == decay_of::nothing) {
            leaf_.accumulate(m.state, p_.delta ? nullptr : m.state_lost, added_, size_);
            leaf_.accumulate(m.normaliser, m.normaliser_lost, added_normaliser_,
                             p_.normalised ? c_.feature_row : 0);
        } else {
            leaf_.decay_rows(m.state, columns, c_.keep, added_, p_.features, columns);
        }
    }

    // The state after the last chunk, to where the call wants it.
    void write_state(index b, index h, const head_state<T>& m) const {
        for (index f = 0; f < p_.features; ++f) {
            T* const row = p_.last.row(b, h, f);
            const index stride = p_.last.stride[3];
            const T* from = m.state + f * c_.value_row;
            if (p_.last_shift.data != nullptr) {
                *p_.last_shift.row(b, h, f) = m.normaliser[f];
            } else if (p_.relative) {
                copy(from, output_, p_.columns());
                write_relative(output_, p_.value_features, m.normaliser[f]);
                from = output_;
            }
            if (stride == 1) copy(from, row, p_.columns());
            for (index e = 0; stride != 1 && e < p_.columns(); ++e) row[e * stride] = from[e];
            if (p_.separate()) row[p_.value_features * stride] = m.normaliser[f];
        }
    }

    // Rows [first, first + count) of the query heads that share a key head.
    void write_outputs(index b, index h, index first, index count, const T* state, const T* normaliser) {
        const index columns = c_.value_row / w_;
        const index keys_here = c_.rows;
        if (p_.relative) c_.place_state(state, normaliser);
        for (index g = 0; g < p_.group(); ++g) {
            const index head = h * p_.group() + g;
            c_.load_queries(b, head, first, count);
            if (p_.relative) c_.place_queries();
            leaf_.multiply({c_.decayed_queries,
                            c_.feature_row,
                            1,
                            state,
                            c_.value_row,
                            output_,
                            c_.value_row,
                            count,
                            p_.features,
                            columns,
                            0,
                            {soon_rows(p_.q, b, head, first + count, p_.queries, p_.inputs),
                             soon_rows(p_.y, b, head, first, p_.queries, p_.value_features)}});
            if (p_.causal)
                c_.add_pairs_to(output_, soon_rows(p_.v, b, h, first + count, p_.keys, p_.value_features));
            const T* factor = p_.scale == T(1) ? nullptr : c_.filled(p_.scale);
            if (p_.normalised) {
                normalise(count, normaliser);
                factor = total_;
            }
            c_.write_rows(b, head, first, count, output_, factor);
        }
        c_.rows = keys_here;
    }

private:
    // added = (K e^(b_end - b))^T U
    void add_pairs(const T* u) const {
        leaf_.multiply({c_.decayed_keys,
                        1,
                        c_.feature_row,
                        u,
                        c_.value_row,
                        added_,
                        c_.value_row,
                        p_.features,
                        c_.rows,
                        c_.value_row / w_,
                        0,
                        {soon_keys_, soon_values_}});
    }
    // The values become the solution U.
    void solve(const T* state) const {
        const index columns = c_.value_row / w_;
        leaf_.multiply({c_.early_keys, c_.feature_row, 1, state, c_.value_row, c_.values, c_.value_row,
                        c_.rows, p_.features, columns, -1});
        c_.solve_values();
    }

    // total = 1 / (q z + 1e-10)
    void normalise(index count, const T* normaliser) {
        if (p_.ones())
            for (index i = 0; i < count; ++i) total_[i] = output_[i * c_.value_row + p_.value_features];
        else if (p_.causal)
            leaf_.normalisers(c_.queries, c_.keys, c_.feature_row, count, p_.features, normaliser, total_);
        else
            leaf_.multiply_row(c_.queries, c_.feature_row, normaliser, count, p_.features, total_);
        for (index i = 0; i < count; ++i) total_[i] = p_.inverse_of(total_[i]);
    }

    const problem& p_;
    const linear_leaves<E>& leaf_;
    index w_;
    linear_chunk<E> c_;
    index size_;
    T* added_;
    T* start_;
    T* added_normaliser_;
    T* start_normaliser_;
    T* output_;
    T* total_;
    memory_span soon_keys_;
    memory_span soon_values_;
    std::size_t bytes_;
};

}  // namespace heed::inline HEED_ABI::detail
