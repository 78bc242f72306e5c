// SPDX-License-Identifier: MIT
// heed/kernel/dense/kernels.hpp: the leaves of the dense product, compiled for every target
#pragma once

#include <heed/kernel/dense/problem.hpp>
#include <heed/kernel/dense/table-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const dense_leaves<T>& dense_leaves_on_target() {
    HEED_RETURN_ON_TARGET(dense_leaves<T>());
}
HEED_ONCE_FOR_SUMS(dense_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
