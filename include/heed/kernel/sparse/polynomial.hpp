// SPDX-License-Identifier: MIT
// heed/kernel/sparse/polynomial.hpp: the rows of polynomial_softmax, compiled for every target
#pragma once

#include <heed/kernel/sparse/rows.hpp>
#include <heed/sparse/exponential.hpp>

namespace heed::inline HEED_ABI::detail {

// Without and with the table.
template <class T>
struct polynomial_leaves {
    void (*forward[2])(const T* x, index n, T* y, const exponential_numbers<T>& e);
    void (*backward[2])(const T* dy, const T* x, index n, T* dx, T* weights, const exponential_numbers<T>& e);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/sparse/polynomial-inl.hpp>
#include <heed/simd/foreach_target.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
polynomial_leaves<T> polynomial_leaves_on_target() {
    HEED_RETURN_ON_TARGET(polynomial_leaves<T>());
}
HEED_ONCE_FOR_SUMS(polynomial_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
