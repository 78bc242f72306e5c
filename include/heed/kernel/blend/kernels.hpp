// SPDX-License-Identifier: MIT
// heed/kernel/blend/kernels.hpp: the leaves of a blend of two tensors, compiled for every target
#pragma once

#include <heed/kernel/blend/leaves-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const blend_leaves<T>& blend_leaves_on_target() {
    HEED_RETURN_ON_TARGET(blend_leaves<T>());
}
HEED_ONCE_FOR_SUMS(blend_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
