// SPDX-License-Identifier: MIT
// heed/kernel/blend/kernels.hpp: the leaves of a blend of two tensors, compiled for every target
#pragma once

#include <heed/kernel/elementwise.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct blend_leaves {
    element_leaf<T> blend;      // {a, b}, {s, 1 - s} -> {s a + (1 - s) b}
    element_leaf<T> gradients;  // {sum, g, a, b}, {s, 1 - s} -> {sum + g (a - b), s g, (1 - s) g}
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/blend/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const blend_leaves<T>& blend_leaves_on_target() {
    HEED_RETURN_ON_TARGET(blend_leaves<T>());
}
HEED_ONCE_FOR_SUMS(blend_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
