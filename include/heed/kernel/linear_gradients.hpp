// SPDX-License-Identifier: MIT
// heed/kernel/linear_gradients.hpp: where the gradients of a call of linear attention come from and go to
#pragma once

#include <heed/kernel/linear_forward.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// Where a gradient goes: storage elements, or the type sums are kept in.
template <class E, class T>
struct gradient_table {
    strided<E> stored;
    strided<T> sums;
};

template <class E>
struct linear_gradients {
    using T = typename linear_problem<E>::T;

    strided<const E> dy;
    gradient_table<E, T> q;
    gradient_table<E, T> k;
    gradient_table<E, T> v;
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

    linear_flow(room<T>& memory, index feature_row, index value_row)
        : state(memory.take(feature_row * value_row)), normaliser(memory.take(feature_row)) {}
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
