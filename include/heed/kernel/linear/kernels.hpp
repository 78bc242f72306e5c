// SPDX-License-Identifier: MIT
// heed/kernel/linear/kernels.hpp: the linear leaves, compiled for every target
#pragma once

#include <heed/kernel/linear/callable-inl.hpp>
#include <heed/kernel/linear/matrix.hpp>
#include <heed/kernel/linear/table-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
const linear_leaves<E>& linear_leaves_on_target() {
    HEED_RETURN_ON_TARGET(linear_leaves<E>());
}
HEED_ONCE_FOR_ELEMENTS(linear_leaves_on_target);

template <class F, class T>
feature_map_function<T> callable_map_on_target() {
    HEED_RETURN_ON_TARGET(map_of_callable<F, T>());
}
template <class F, class T>
feature_gradient_function<T> callable_gradient_on_target() {
    HEED_RETURN_ON_TARGET(gradient_of_callable<F, T>());
}

}  // namespace heed::inline HEED_ABI::detail
