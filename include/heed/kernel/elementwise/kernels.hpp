// SPDX-License-Identifier: MIT
// heed/kernel/elementwise/kernels.hpp: the elementwise leaves, compiled for every target
#pragma once

#include <heed/kernel/elementwise/leaves-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const elementwise_leaves<T>& elementwise_leaves_on_target() {
    HEED_RETURN_ON_TARGET(elementwise_leaves<T>());
}
HEED_ONCE_FOR_SUMS(elementwise_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
