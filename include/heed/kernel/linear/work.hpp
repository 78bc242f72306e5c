// SPDX-License-Identifier: MIT
// heed/kernel/linear/work.hpp: what the backward of a chunk works on
#pragma once

#include <heed/kernel/linear/gradients.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
struct gradient_work {
    using T = typename linear_problem<E>::T;

    gradient_work(const linear_problem<E>& p_, const linear_gradients<E>& g_, const linear_leaves<E>& leaves,
                  arena& scratch)
        : p(p_), g(g_), leaf(leaves), writer(p_, g_, leaves), w(leaves.pack_lanes), c(p_, leaves, scratch) {
        flow_size = c.feature_row * c.value_row;
        out = scratch.take<T>(chunk_positions * c.value_row);
        dq = scratch.take<T>(chunk_positions * c.feature_row);
        earlier = scratch.take<T>(chunk_positions * c.feature_row);
        later = p.decays == decay_of::nothing && !p.delta ? earlier
                                                          : scratch.take<T>(chunk_positions * c.feature_row);
        spare = scratch.take<T>(chunk_positions * c.feature_row);
        dx = scratch.take<T>(chunk_positions * c.input_row);
        du = scratch.take<T>(chunk_positions * c.value_row);
        products = scratch.take<T>(chunk_positions * c.pair_row);
        transposed_values = scratch.take<T>(c.value_row * c.pair_row);
        transposed_state = scratch.take<T>(flow_size);
        added = scratch.take<T>(flow_size);
        after = scratch.take<T>(flow_size);
        added_normaliser = scratch.take<T>(c.feature_row);
        after_normaliser = scratch.take<T>(c.feature_row);
        inverse = scratch.take<T>(chunk_positions);
        slope = scratch.take<T>(chunk_positions);
        answer = p.ones() || p.delta ? scratch.take<T>(chunk_positions * c.value_row) : nullptr;
        if (p.decays != decay_of::nothing) {
            db = scratch.take<T>(chunk_positions * c.feature_row);
            db_end = scratch.take<T>(c.feature_row);
        }
    }

    void transpose_state(const T* state) const {
        for (index f = 0; f < c.feature_row; f += w)
            for (index e = 0; e < c.value_row; e += w)
                leaf.transpose(state + f * c.value_row + e, c.value_row,
                               transposed_state + e * c.feature_row + f, c.feature_row, c.filled(T(1)));
    }
    void clear_sums(index count) const {
        clear(du, count * c.value_row);
        clear(earlier, count * c.feature_row);
        clear(later, count * c.feature_row);
        clear(added, flow_size);
        clear(added_normaliser, c.feature_row);
        if (db != nullptr) {
            clear(db, count * c.feature_row);
            clear(db_end, c.feature_row);
        }
    }
    index packs(index n) const { return rounded_up(n, w) / w; }

    const linear_problem<E>& p;
    const linear_gradients<E>& g;
    const linear_leaves<E>& leaf;
    linear_gradient_writer<E> writer;
    index w;
    linear_chunk<E> c;
    index flow_size;
    T* out;      // D (position, value feature)
    T* dq;       // (position, feature)
    T* earlier;  // dK of keys as the earlier of a pair
    T* later;    // dK of keys as the later one
    T* spare;
    T* dx;  // (position, input)
    T* du;
    T* products;           // P, M (query, key)
    T* transposed_values;  // U^T
    T* transposed_state;   // S^T, later R^T
    T* added;              // what the chunk adds to R
    T* after;              // R after the chunk
    T* added_normaliser;
    T* after_normaliser;
    T* inverse;           // 1 / den
    T* slope;             // the gradient of den; of beta
    T* answer;            // the outputs; of the delta rule V - K S - lower(K K^T) U
    T* db = nullptr;      // (position, feature)
    T* db_end = nullptr;  // (feature)
};

}  // namespace heed::inline HEED_ABI::detail
