// SPDX-License-Identifier: MIT
// heed/kernel/linear/callable-inl.hpp: a callable as a feature map, compiled for a target
//
// As for score functions, the inner loop has a fixed trip count of one pack and works on local copies.

#ifndef HEED_KERNEL_LINEAR_CALLABLE_INL
#define HEED_KERNEL_LINEAR_CALLABLE_INL

#include <heed/kernel/linear/problem.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_REGION_OF_CALLABLES
#define HEED_FOREACH <heed/kernel/linear/callable-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class F, class T>
HEED_FLATTEN void map_callable(const void* context, const T* from, index from_row, T* to, index to_row,
                               index rows, index features) {
    constexpr int w = lanes_of<T>;
    const F f = *static_cast<const F*>(context);
    for (index r = 0; r < rows; ++r, from += from_row, to += to_row)
        for (index i = 0; i < features; i += w) {
            T before[w];
            T after[w];
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) before[l] = from[i + l];
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) after[l] = static_cast<T>(f(before[l]));
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) to[i + l] = i + l < features ? after[l] : T(0);
        }
}

template <class F, class T>
HEED_FLATTEN void callable_gradient(const void* context, const T* x, index x_row, const T*, T* dphi,
                                    index phi_row, T* dx, index dx_row, index rows, index features) {
    constexpr int w = lanes_of<T>;
    const F f = *static_cast<const F*>(context);
    for (index r = 0; r < rows; ++r, x += x_row, dphi += phi_row, dx += dx_row)
        for (index i = 0; i < features; i += w) {
            T before[w];
            T after[w];
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) before[l] = x[i + l];
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) after[l] = dphi[i + l] * static_cast<T>(f(before[l]));
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) dx[i + l] = after[l];
        }
}

template <class F, class T>
detail::feature_map_function<T> map_of_callable() {
    return &map_callable<F, T>;
}
template <class F, class T>
detail::feature_gradient_function<T> gradient_of_callable() {
    return &callable_gradient<F, T>;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
