// SPDX-License-Identifier: MIT
// heed/kernel/linear/kernels.hpp: the linear leaves, compiled for every target
#pragma once

#include <heed/kernel/linear/matrix.hpp>

#define HEED_FOREACH <heed/kernel/linear/all-inl.hpp>
#include <heed/simd/foreach_target.hpp>

#define HEED_REGION_OF_CALLABLES
#define HEED_FOREACH <heed/kernel/linear/callable-inl.hpp>
#include <heed/simd/foreach_target.hpp>

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
