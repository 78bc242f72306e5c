// SPDX-License-Identifier: MIT
// heed/kernel/select/kernels.hpp: the passes of selection, compiled for every target
#pragma once

#include <heed/kernel/select/passes-inl.hpp>
#include <heed/kernel/select/problem.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const select_leaves<T>& select_leaves_on_target() {
    HEED_RETURN_ON_TARGET(select_leaves<T>());
}
HEED_ONCE_FOR_SUMS(select_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
