// SPDX-License-Identifier: MIT
// heed/kernel/sparse/precision-inl.hpp: rows of numbers as two planes of small integers, and their products
//
// x = step (16 high + low), step = max |x| / 119, high in [-7, 7], low in [-8, 7]: 119 = 16 * 7 + 7 is the
// largest number whose two halves are both signed and fit into four bits. A quotient is rounded to the
// nearest whole number, halves away from zero. Sums of products are whole numbers, exact in float up to a
// thousand features.
//
// A tile of 64 keys holds four features of each key, then the next four: a pack of 32-bit lanes is four
// features of 16 (8, 4) keys, taken apart by shifts, and no sum crosses lanes.

#ifndef HEED_KERNEL_SPARSE_PRECISION_INL
#define HEED_KERNEL_SPARSE_PRECISION_INL

#include <heed/core/index.hpp>
#include <heed/mask/concept.hpp>
#include <heed/simd/pack-inl.hpp>

namespace heed::inline HEED_ABI::detail {

// A query in all its bits: whole numbers, and what a product of them is multiplied with.
template <class T>
struct split_query {
    const T* numbers;
    T factor;
};

template <class T>
struct split_leaves {
    T (*split)(const T* x, index n, index padded, signed char* high, signed char* low);
    // Of a tile, from the high plane, and from both.
    void (*scores[2])(const split_query<T>& q, const signed char* high, const signed char* low,
                      const T* steps, index padded, T* scores);
    // The largest of a tile of scores and row_max.
    T (*row_max)(const T* scores, T row_max);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/sparse/precision-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Writes `padded` of each plane; gives the step: 0 for a row of zeros, NaN for one that is not finite.
template <class T>
HEED_NOINLINE T split_row(const T* x, index n, index padded, signed char* high, signed char* low) {
    using C = constants<T>;
    T largest = 0;
    bool finite = true;
    for (index i = 0; i < n; ++i) {
        const T size = detail::scalar::float_of(detail::scalar::bits_of(x[i]) & ~C::sign_bit);
        finite = finite && (detail::scalar::bits_of(x[i]) & C::infinity_bits) != C::infinity_bits;
        largest = size > largest ? size : largest;
    }
    const T step = largest / T(119);
    const T quiet = detail::scalar::float_of(C::infinity_bits | (C::infinity_bits >> 1));
    const bool usable = finite && step > T(0);
    for (index i = 0; i < padded; ++i) {
        int whole = 0;
        if (i < n && usable) {
            const T y = x[i] / step;
            const T by = y < T(0) ? T(-0.5) : T(0.5);
            whole = static_cast<int>(y + by);
            // A denormal step is coarse.
            whole = whole > 119 ? 119 : whole < -119 ? -119 : whole;
        }
        const int upper = (whole + 8) >> 4;
        high[i] = static_cast<signed char>(upper);
        low[i] = static_cast<signed char>(whole - 16 * upper);
    }
    return finite ? (usable ? step : T(0)) : quiet;
}

// Byte `Which` of four of each key, as numbers.
template <int Which, class T>
HEED_INLINE pack<T> byte_of(const signed char* four) {
    if constexpr (sizeof(T) == sizeof(std::int32_t)) {
        const auto n = bits_of(load(reinterpret_cast<const T*>(four)));
        return to_float((n << (24 - 8 * Which)) >> 24);
    } else {
        T t[lanes_of<T>];
        for (int l = 0; l < lanes_of<T>; ++l) t[l] = static_cast<T>(four[4 * l + Which]);
        return load(static_cast<const T*>(t));
    }
}
// sums += q[0 … 3] times the four bytes of keys in four packs.
template <class T>
HEED_INLINE void add_products(const T* q, const signed char* four, pack<T>* sums) {
    HEED_UNROLL
    for (int j = 0; j < 4; ++j) {
        const signed char* const at = four + 4 * j * lanes_of<T>;
        sums[j] = set<pack<T>>(q[0]) * byte_of<0, T>(at) + sums[j];
        sums[j] = set<pack<T>>(q[1]) * byte_of<1, T>(at) + sums[j];
        sums[j] = set<pack<T>>(q[2]) * byte_of<2, T>(at) + sums[j];
        sums[j] = set<pack<T>>(q[3]) * byte_of<3, T>(at) + sums[j];
    }
}

// Scores of the most_lanes keys of a tile: factor steps[j] sum_f q (16 high + [Low] low).
template <bool Low, class T>
HEED_NOINLINE void split_scores(const detail::split_query<T>& q, const signed char* high,
                                const signed char* low, const T* steps, index padded, T* scores) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    constexpr int keys = detail::most_lanes;
    for (int key = 0; key < keys; key += 4 * w) {
        V sums[4];
        V less[4];
        HEED_UNROLL
        for (int j = 0; j < 4; ++j) sums[j] = less[j] = set<V>(0);
        for (index f = 0; f < padded; f += 4) {
            add_products(q.numbers + f, high + f * keys + 4 * key, sums);
            if constexpr (Low) add_products(q.numbers + f, low + f * keys + 4 * key, less);
        }
        HEED_UNROLL
        for (int j = 0; j < 4; ++j) {
            const V sum = Low ? sums[j] * T(16) + less[j] : sums[j] * T(16);
            store(scores + key + j * w, (sum * q.factor) * load(steps + key + j * w));
        }
    }
}

// The largest of `row_max` and a tile of scores; a NaN is passed over.
template <class T>
HEED_NOINLINE T split_row_max(const T* s, T row_max) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V largest = set<V>(row_max);
    for (int i = 0; i < detail::most_lanes; i += w) largest = larger(load(s + i), largest);
    T t[w];
    store(t, largest);
    for (int l = 0; l < w; ++l) row_max = t[l] > row_max ? t[l] : row_max;
    return row_max;
}

template <class T>
detail::split_leaves<T> split_leaves() {
    return {&split_row<T>, {&split_scores<false, T>, &split_scores<true, T>}, &split_row_max<T>};
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
