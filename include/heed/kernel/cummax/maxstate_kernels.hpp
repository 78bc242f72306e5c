// SPDX-License-Identifier: MIT
// heed/kernel/cummax/maxstate_kernels.hpp: the leaves of maxstate and maxstate_super, compiled for every
// target
#pragma once

#include <heed/kernel/cummax/kernels.hpp>
#include <heed/kernel/cummax/maxstate-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const maxstate_leaves<T>& maxstate_leaves_on_target() {
    HEED_RETURN_ON_TARGET(maxstate_leaves<T>());
}
HEED_ONCE_FOR_SUMS(maxstate_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
