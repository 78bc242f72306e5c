// SPDX-License-Identifier: MIT
// heed/kernel/sparse/polynomial.hpp: the rows of polynomial_softmax, compiled for every target
#pragma once

#include <heed/kernel/sparse/polynomial-inl.hpp>
#include <heed/kernel/sparse/rows.hpp>
#include <heed/simd/dispatch.hpp>
#include <heed/sparse/exponential.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
polynomial_leaves<T> polynomial_leaves_on_target() {
    HEED_RETURN_ON_TARGET(polynomial_leaves<T>());
}
HEED_ONCE_FOR_SUMS(polynomial_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
