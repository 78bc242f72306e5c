// SPDX-License-Identifier: MIT
// heed/kernel/linear/prepare.hpp: what some feature maps need before the first chunk
//
// Random features need their directions; a softmax over positions needs each feature's largest key and
// sum, from a pass over the keys. Both stand in the call's workspace.
#pragma once

#include <heed/core/device.hpp>
#include <heed/kernel/linear/maps.hpp>

namespace heed::inline HEED_ABI::detail {

// Where there are no pairs of a query and a key: rows of zeros, and a state that goes on as it came (or
// zero).
template <class E, class T>
void clear_rows(const linear_problem<E>& p, const linear_leaves<E>& leaves, const stored_or_sum<E, T>& to,
                index heads, index positions, index features) {
    const T zero[1] = {0};
    for (index b = 0; b < p.batch; ++b)
        for (index h = 0; h < heads; ++h)
            for (index i = 0; i < positions; ++i)
                for (index f = 0; f < features; ++f)
                    if (to.sums.data != nullptr)
                        to.sums.row(b, h, i)[f * to.sums.stride[3]] = 0;
                    else
                        leaves.write(zero, 0, nullptr, 1, 1, to.stored.row(b, h, i) + f * to.stored.stride[3],
                                     0, 0);
}
template <class E, class T>
void pass_state(const linear_problem<E>& p, const strided<const T>& from, const strided<T>& to) {
    if (to.data == nullptr) return;
    for (index b = 0; b < p.batch; ++b)
        for (index h = 0; h < p.kv_heads; ++h)
            for (index f = 0; f < p.features; ++f)
                for (index e = 0; e < p.state_columns(); ++e)
                    to.row(b, h, f)[e * to.stride[3]] =
                        from.data == nullptr ? T(0) : from.row(b, h, f)[e * from.stride[3]];
}

template <class E>
class linear_preparation {
public:
    using T = typename linear_problem<E>::T;

    linear_preparation(const linear_problem<E>& p, const linear_leaves<E>& leaves)
        : leaf_(leaves),
          input_row_(rounded_up(p.inputs, leaves.pack_lanes)),
          feature_row_(rounded_up(p.features, leaves.pack_lanes)) {
        if (p.random_features > 0) {
            head_ = cache_lines(sizeof(favor_context<E>));
            bytes_ = 2 * head_ + cache_lines(sizeof(T) * static_cast<std::size_t>(p.features * input_row_ +
                                                                                  input_row_ * feature_row_));
        } else if (p.over_positions) {
            head_ = cache_lines(sizeof(column_context<T>)) +
                    cache_lines(sizeof(T) * static_cast<std::size_t>(3 * feature_row_));
            bytes_ = head_ * static_cast<std::size_t>(p.batch * p.kv_heads) +
                     cache_lines(sizeof(T) * static_cast<std::size_t>(chunk_positions * input_row_));
        }
    }
    std::size_t bytes() const { return bytes_; }

    // Makes the problem's maps ready to be called, from bytes() of memory. One thread.
    void run(linear_problem<E>& p, char* base) const {
        if (p.random_features > 0) draw(p, base);
        if (p.over_positions) scan(p, base);
    }

private:
    void draw(linear_problem<E>& p, char* base) const {
        auto* const keys = ::new (base) favor_context<E>{};
        T* const numbers = reinterpret_cast<T*>(base + 2 * head_);
        *keys = {&leaf_,     numbers,      numbers + p.features * input_row_,
                 input_row_, feature_row_, p.features,
                 T(0),       T(0),         T(0),
                 false,      p.relative};
        draw_directions<E, T>(*keys, p.inputs, p.seed);
        auto* const queries = ::new (base + head_) favor_context<E>(*keys);
        queries->largest = p.normalised && !p.relative;
        p.key_map.context = keys;
        p.query_map.context = queries;
    }

    void scan(linear_problem<E>& p, char* base) const {
        p.key_map.context = base;
        p.key_map.head_bytes = head_;
        T* const rows = reinterpret_cast<T*>(base + head_ * static_cast<std::size_t>(p.batch * p.kv_heads));
        for (index head = 0; head < p.batch * p.kv_heads; ++head) {
            char* const here = base + head_ * static_cast<std::size_t>(head);
            T* const numbers = reinterpret_cast<T*>(here + cache_lines(sizeof(column_context<T>)));
            auto* const c =
                ::new (here) column_context<T>{numbers, numbers + feature_row_, numbers + 2 * feature_row_};
            for (index f = 0; f < feature_row_; ++f) {
                c->max[f] = minus_infinity<T>();
                c->inverse[f] = c->mean[f] = 0;
            }
            for (index first = 0; first < p.keys; first += chunk_positions) {
                const index count = chunk_length(p.keys, first);
                for (index i = 0; i < count * input_row_; ++i) rows[i] = 0;
                leaf_.widen(p.k.row(head / p.kv_heads, head % p.kv_heads, first), p.k.stride[2],
                            p.k.stride[3], count, p.inputs, rows, input_row_);
                leaf_.scan_columns(rows, input_row_, count, p.inputs, c->max, c->inverse);
            }
            for (index f = 0; f < p.features; ++f) c->inverse[f] = T(1) / c->inverse[f];
        }
    }

    const linear_leaves<E>& leaf_;
    index input_row_;
    index feature_row_;
    std::size_t head_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace heed::inline HEED_ABI::detail
