// SPDX-License-Identifier: MIT
// heed/kernel/rows/kernels.hpp: the leaves of attention over rows of scores, compiled for every target
#pragma once

#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/rows/problem.hpp>
#include <heed/kernel/rows/rows-inl.hpp>
#include <heed/kernel/select/kernels.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const row_leaves<T>& row_leaves_on_target() {
    HEED_RETURN_ON_TARGET(row_leaves<T>());
}
HEED_ONCE_FOR_SUMS(row_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
