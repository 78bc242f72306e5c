// SPDX-License-Identifier: MIT
// heed/kernel/blend/kernels.hpp: the leaf of a blend's backward, compiled for every target; its forward is
// the blend of cummax attention's leaves
#pragma once

#include <heed/kernel/cummax/kernels.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

template <class T>
struct blend_leaves {
    cummax_leaf<T> part;  // {sum, g, a, b}, {s, 1 - s} -> {sum + g (a - b), s g, (1 - s) g}
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed

#define HEED_FOREACH <heed/kernel/blend/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

template <class T>
const blend_leaves<T>& blend_leaves_on_target() {
    HEED_RETURN_ON_TARGET(blend_leaves<T>())
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
