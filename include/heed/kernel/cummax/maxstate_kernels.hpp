// SPDX-License-Identifier: MIT
// heed/kernel/cummax/maxstate_kernels.hpp: the leaves of maxstate and maxstate_super, compiled for every
// target
#pragma once

#include <heed/kernel/cummax/kernels.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct maxstate_leaves {
    cummax_leaf<T> source;     // {o, a1}, factor -> {(o + a1) factor}
    cummax_leaf<T> output;     // {e, a1, a2} -> {(e + a2) e + a1}
    cummax_leaf<T> gradients;  // {g, e, a2} -> {da2, de}
    cummax_leaf<T> routed;     // {du, g}, factor -> {do, da1}

    cummax_leaf<T> super_output;     // {a, b, c, d, e}, alphas -> {y}
    cummax_leaf<T> super_gradients;  // {g, a, b, c, d, e}, alphas -> {da, db, dc, dd, de}
    cummax_leaf<T> super_alphas;     // {s1, s2, s3, g, a, b, d, e} -> {s1, s2, s3}
    cummax_leaf<T> add;              // {sum, x}, factor -> {sum + x factor}
    cummax_leaf<T> multiply_add;     // {sum, x, y} -> {sum + x y}
    cummax_leaf<T> multiply;         // {x, y} -> {x y}
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/cummax/maxstate-inl.hpp>
#include <heed/simd/foreach_target.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const maxstate_leaves<T>& maxstate_leaves_on_target() {
    HEED_RETURN_ON_TARGET(maxstate_leaves<T>());
}
HEED_ONCE_FOR_SUMS(maxstate_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
