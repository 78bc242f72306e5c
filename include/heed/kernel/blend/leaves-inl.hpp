// SPDX-License-Identifier: MIT
// heed/kernel/blend/leaves-inl.hpp: two tensors blended, the gradient of that, and the table of a target

#ifndef HEED_KERNEL_BLEND_LEAVES_INL
#define HEED_KERNEL_BLEND_LEAVES_INL

#include <heed/kernel/elementwise-inl.hpp>
#include <heed/kernel/rounded-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct blend_leaves {
    element_leaf<T> blend;      // {a, b}, {s, 1 - s} -> {s a + (1 - s) b}
    element_leaf<T> gradients;  // {sum, g, a, b}, {s, 1 - s} -> {sum + g (a - b), s g, (1 - s) g}
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/blend/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

struct blend_two {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* s) {
        y[0] = rounded(x[0] * s[0]) + rounded(x[1] * s[1]);
    }
};
struct blend_gradients {
    static constexpr int reads = 4, writes = 3;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* s) {
        y[0] = x[0] + rounded(x[1] * (x[2] - x[3]));
        y[1] = x[1] * s[0];
        y[2] = x[1] * s[1];
    }
};

template <class T>
const detail::blend_leaves<T>& blend_leaves() {
    static constexpr detail::blend_leaves<T> table{
        .blend = &elementwise<blend_two, T>,
        .gradients = &elementwise<blend_gradients, T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
