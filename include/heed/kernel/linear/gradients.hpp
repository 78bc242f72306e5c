// SPDX-License-Identifier: MIT
// heed/kernel/linear/gradients.hpp: where the gradients of a call of linear attention come from and go to
#pragma once

#include <heed/kernel/linear/forward.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
struct linear_gradients {
    using T = typename linear_problem<E>::T;

    stored_or_sum<const E, const T> dy;
    stored_or_sum<E, T> q;
    stored_or_sum<E, T> k;
    stored_or_sum<E, T> v;
    strided<T> decay;                 // (batch, kv_head, position, feature or 1)
    strided<T> beta;                  // (batch, kv_head, position)
    strided<T> initial;               // (batch, kv_head, feature, value feature), written
    strided<const T> final_gradient;  // read
};

// What flows back from later positions into the state of one head.
template <class T>
struct linear_flow {
    T* state;       // R (feature, value feature)
    T* normaliser;  // (feature)

    linear_flow(arena& scratch, index feature_row, index value_row)
        : state(scratch.take<T>(feature_row * value_row)), normaliser(scratch.take<T>(feature_row)) {}
};

// Writes what a chunk has found.
template <class E>
class linear_gradient_writer {
public:
    using T = typename linear_problem<E>::T;

    linear_gradient_writer(const linear_problem<E>& p, const linear_gradients<E>& g,
                           const linear_leaves<E>& leaves)
        : p_(p), g_(g), leaf_(leaves) {}

    // The gradients of the logarithms from those of their sums, db (position, feature) and at the end.
    void write_decays(const T* db, const T* db_end, index row, index b, index h, index first,
                      index count) const {
        const bool each = p_.decays == decay_of::feature;
        double all = 0;
        for (index f = 0; f < p_.features; ++f) {
            double sum = static_cast<double>(db_end[f]);
            for (index i = count - 1; i >= 0 && each; --i) {
                sum += static_cast<double>(db[i * row + f]);
                g_.decay.row(b, h, first + i)[f * g_.decay.stride[3]] = static_cast<T>(sum);
            }
            all += sum;
        }
        for (index i = count - 1; i >= 0 && !each; --i) {
            for (index f = 0; f < p_.features; ++f) all += static_cast<double>(db[i * row + f]);
            *g_.decay.row(b, h, first + i) = static_cast<T>(all);
        }
    }

    void write_initial(index b, index h, const linear_flow<T>& r, index value_row) const {
        for (index f = 0; f < p_.features; ++f) {
            T* const to = g_.initial.row(b, h, f);
            const index stride = g_.initial.stride[3];
            for (index e = 0; e < p_.columns(); ++e) to[e * stride] = r.state[f * value_row + e];
            if (p_.separate()) to[p_.value_features * stride] = r.normaliser[f];
        }
    }

    // Back through a feature map whose inputs stand in c.input, by way of dx, and out.
    void write_mapped(const feature_map_leaf<T>& map, index head, const T* phi, T* dphi, index row,
                      index count, const linear_chunk<E>& c, T* dx, const stored_or_sum<E, T>& to, index b,
                      index h, index first) const {
        if (map.map == nullptr) return write(to, b, h, first, dphi, row, count, p_.inputs);
        map.gradient(map.of_head(head), c.input, c.input_row, phi, dphi, row, dx, c.input_row, count,
                     p_.inputs);
        write(to, b, h, first, dx, c.input_row, count, p_.inputs);
    }
    void write(const stored_or_sum<E, T>& to, index b, index h, index first, const T* from, index row,
               index count, index n) const {
        write_to(to, leaf_, b, h, first, from, row, nullptr, count, n);
    }

private:
    const linear_problem<E>& p_;
    const linear_gradients<E>& g_;
    const linear_leaves<E>& leaf_;
};

}  // namespace heed::inline HEED_ABI::detail
