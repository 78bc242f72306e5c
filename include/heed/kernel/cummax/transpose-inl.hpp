// SPDX-License-Identifier: MIT
// heed/kernel/cummax/transpose-inl.hpp: tensors whose positions are neighbours in memory, to rows of scratch
// and back
//
// In squares of packs, a pack of features at a time and along the positions: as many runs of memory as a pack
// has lanes, each from its start to its end, every line used whole. Column by column, rows a power of two
// apart would push each other out of the cache before their lines were used up.

#ifndef HEED_KERNEL_CUMMAX_TRANSPOSE_INL
#define HEED_KERNEL_CUMMAX_TRANSPOSE_INL

#include <heed/kernel/convert-inl.hpp>
#include <heed/kernel/lanes-inl.hpp>

#define HEED_FOREACH <heed/kernel/cummax/transpose-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class T, class E>
HEED_INLINE pack<T> load_widened(const E* p, index left) {
    constexpr int w = lanes_of<T>;
    if constexpr (sizeof(E) == sizeof(T)) {
        return load_or(p, left, T(0));
    } else {
        T t[w];
        if (left >= w) {
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) t[l] = widen(p[l]);
        } else {
            for (int l = 0; l < w; ++l) t[l] = l < left ? widen(p[l]) : T(0);
        }
        return load(t);
    }
}
template <class T, class E>
HEED_INLINE void store_narrowed(E* p, index left, pack<T> x) {
    constexpr int w = lanes_of<T>;
    if constexpr (sizeof(E) == sizeof(T)) {
        store_some(p, left, x);
    } else {
        T t[w];
        store(t, x);
        if (left >= w) {
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) narrow(t[l], p[l]);
        } else {
            for (index l = 0; l < left; ++l) narrow(t[l], p[l]);
        }
    }
}

// to[t][f] = from[f][t]; whole packs of features are written.
template <class E, class T>
HEED_NOINLINE void transpose_in(const E* from, index feature_stride, index positions, index features, T* to,
                                index to_stride) {
    constexpr int w = lanes_of<T>;
    for (index f = 0; f < features; f += w)
        for (index t = 0; t < positions; t += w) {
            pack<T> square[w];
            HEED_UNROLL
            for (int i = 0; i < w; ++i)
                square[i] = f + i < features
                                ? load_widened<T>(from + (f + i) * feature_stride + t, positions - t)
                                : set<pack<T>>(0);
            transpose<T>(square);
            HEED_UNROLL
            for (int i = 0; i < w; ++i)
                if (t + i < positions) store(to + (t + i) * to_stride + f, square[i]);
        }
}
// to[f][t] = from[t][f]
template <class T, class E>
HEED_NOINLINE void transpose_out(const T* from, index from_stride, index positions, index features, E* to,
                                 index feature_stride) {
    constexpr int w = lanes_of<T>;
    for (index f = 0; f < features; f += w)
        for (index t = 0; t < positions; t += w) {
            pack<T> square[w];
            HEED_UNROLL
            for (int i = 0; i < w; ++i)
                square[i] = t + i < positions ? load_or(from + (t + i) * from_stride + f, features - f, T(0))
                                              : set<pack<T>>(0);
            transpose<T>(square);
            HEED_UNROLL
            for (int i = 0; i < w; ++i)
                if (f + i < features)
                    store_narrowed<T>(to + (f + i) * feature_stride + t, positions - t, square[i]);
        }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
