// SPDX-License-Identifier: MIT
// heed/kernel/cummax/kernels.hpp: the cummax leaves, compiled for every target
#pragma once

#include <heed/kernel/cummax/problem.hpp>
#include <heed/kernel/cummax/table-inl.hpp>
#include <heed/kernel/elementwise/kernels.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
const cummax_leaves<E>& cummax_leaves_on_target() {
    HEED_RETURN_ON_TARGET(cummax_leaves<E>());
}
HEED_ONCE_FOR_ELEMENTS(cummax_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
