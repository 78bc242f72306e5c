// SPDX-License-Identifier: MIT
// heed/kernel/multiply_add-inl.hpp: the innermost step of every product: numbers times packs of lanes

#ifndef HEED_KERNEL_MULTIPLY_ADD_INL
#define HEED_KERNEL_MULTIPLY_ADD_INL

#include <heed/core/index.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/multiply_add-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// sums[r][j] += a[r * row_stride] * panel[j]
template <class T, int Rows, int Packs>
HEED_INLINE void add_products(const T* a, index row_stride, const T* panel, pack<T> (&sums)[Rows][Packs]) {
    pack<T> x[Packs];
    HEED_UNROLL
    for (int j = 0; j < Packs; ++j) x[j] = load(panel + j * lanes_of<T>);
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        const pack<T> s = set<pack<T>>(a[r * row_stride]);
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = s * x[j] + sums[r][j];
    }
}

template <int Rows, int Packs, class V>
HEED_INLINE void clear(V (&sums)[Rows][Packs]) {
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = set<V>(0);
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
