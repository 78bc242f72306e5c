// SPDX-License-Identifier: MIT
// heed/kernel/linear/matrix.hpp: small matrix products and triangular solves, compiled for every target
#pragma once

#include <heed/kernel/linear/matrix-inl.hpp>
#include <heed/kernel/linear/problem.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

// c (+ or -)= a b on the active target.
template <class T>
void multiply_on_target(const matrix_product<T>& p) {
    HEED_RETURN_ON_TARGET(multiply_whole_matrix(p));
}

}  // namespace heed::inline HEED_ABI::detail
