// SPDX-License-Identifier: MIT
// heed/kernel/transpose-inl.hpp: a square of one pack by one pack, rows to columns, in memory

#ifndef HEED_KERNEL_TRANSPOSE_INL
#define HEED_KERNEL_TRANSPOSE_INL

#include <heed/core/index.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/transpose-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// to[j][i] = from[i][j] * factor[j]; rows are from_stride and to_stride apart.
template <class T>
HEED_NOINLINE void transpose_scaled(const T* from, index from_stride, T* to, index to_stride,
                                    const T* factor) {
    constexpr int w = lanes_of<T>;
    pack<T> square[w];
    HEED_UNROLL
    for (int i = 0; i < w; ++i) square[i] = load(from + i * from_stride);
    transpose<T>(square);
    HEED_UNROLL
    for (int i = 0; i < w; ++i) store(to + i * to_stride, square[i] * set<pack<T>>(factor[i]));
}
// The same; true when every number that it writes is finite.
template <class T>
HEED_NOINLINE bool transpose_finite(const T* from, index from_stride, T* to, index to_stride,
                                    const T* factor) {
    constexpr int w = lanes_of<T>;
    constexpr auto infinite = constants<T>::infinity_bits;
    pack<T> square[w];
    HEED_UNROLL
    for (int i = 0; i < w; ++i) square[i] = load(from + i * from_stride);
    transpose<T>(square);
    auto largest = bits_of(set<pack<T>>(0));
    HEED_UNROLL
    for (int i = 0; i < w; ++i) {
        const pack<T> x = square[i] * set<pack<T>>(factor[i]);
        const auto exponent = bits_of(x) & infinite;
        largest = exponent > largest ? exponent : largest;
        store(to + i * to_stride, x);
    }
    return !any(largest == infinite);
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
