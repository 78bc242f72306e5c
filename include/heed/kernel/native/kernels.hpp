// SPDX-License-Identifier: MIT
// heed/kernel/native/kernels.hpp: the leaves of native sparse attention, compiled for every target
#pragma once

#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/native/importance-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const native_leaves<T>& native_leaves_on_target() {
    HEED_RETURN_ON_TARGET(native_leaves<T>());
}
HEED_ONCE_FOR_SUMS(native_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
