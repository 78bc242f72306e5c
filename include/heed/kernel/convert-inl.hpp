// SPDX-License-Identifier: MIT
// heed/kernel/convert-inl.hpp: storage elements to the type that sums are kept in, and back
//
// The 16-bit formats are widened with integer arithmetic alone, which every target vectorises and no
// rounding mode touches. Narrowing rounds to nearest, ties to even; NaN stays NaN.

#ifndef HEED_KERNEL_CONVERT_INL
#define HEED_KERNEL_CONVERT_INL

#include <heed/core/element.hpp>
#include <heed/core/index.hpp>
#include <heed/kernel/rounded-inl.hpp>
#include <heed/simd/math-inl.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/convert-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

HEED_INLINE float widen(float x) { return x; }
HEED_INLINE double widen(double x) { return x; }
HEED_INLINE float widen(bfloat16_bits x) {
    return detail::scalar::float_of(static_cast<std::int32_t>(static_cast<std::uint32_t>(x.bits) << 16));
}
HEED_INLINE float widen(half_bits x) {
    const std::uint32_t h = x.bits;
    // Exponent and mantissa in their places, times 2^112 to correct the bias; denormals come out right.
    const float magnitude =
        detail::scalar::float_of(static_cast<std::int32_t>((h & 0x7fffu) << 13)) * 0x1p112f;
    std::uint32_t bits = static_cast<std::uint32_t>(detail::scalar::bits_of(magnitude));
    bits |= (h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
    return detail::scalar::float_of(static_cast<std::int32_t>(bits | ((h & 0x8000u) << 16)));
}

HEED_INLINE void narrow(float x, float& y) { y = x; }
HEED_INLINE void narrow(double x, double& y) { y = x; }
HEED_INLINE void narrow(float x, bfloat16_bits& y) {
    const std::uint32_t u = static_cast<std::uint32_t>(detail::scalar::bits_of(x));
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    y.bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40u : rounded);
}
HEED_INLINE void narrow(float x, half_bits& y) {
    const std::uint32_t u = static_cast<std::uint32_t>(detail::scalar::bits_of(x));
    const std::uint32_t a = u & 0x7fffffffu;
    const std::uint32_t normal = (a + 0xc8000fffu + ((a >> 13) & 1u)) >> 13;
    // Below 2^-14 an addition of 1/2 rounds the value to the last bits, where the denormal half stands.
    const float aligned =
        detail::scalar::float_of(static_cast<std::int32_t>(a < 0x38800000u ? a : 0u)) + 0.5f;
    const std::uint32_t denormal = static_cast<std::uint32_t>(detail::scalar::bits_of(aligned)) - 0x3f000000u;
    std::uint32_t h = a < 0x38800000u ? denormal : normal;
    h = a >= 0x47800000u ? 0x7c00u : h;
    h = a > 0x7f800000u ? 0x7e00u : h;
    y.bits = static_cast<std::uint16_t>(h | ((u >> 16) & 0x8000u));
}

// n elements, `stride` apart, of each of some rows, to neighbours. Neighbours go by the pack: a loop of
// fixed length becomes vector code.
template <class E, class T>
HEED_NOINLINE void widen_rows(const E* from, index row_stride, index stride, index rows, index n, T* to,
                              index to_stride) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, from += row_stride, to += to_stride) {
        index i = 0;
        for (; stride == 1 && i + w <= n; i += w) {
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) to[i + l] = widen(from[i + l]);
        }
        for (; i < n; ++i) to[i] = widen(from[i * stride]);
    }
}
template <class T, class E>
HEED_NOINLINE void narrow_row(const T* from, index n, E* to, index stride) {
    constexpr int w = lanes_of<T>;
    index i = 0;
    for (; stride == 1 && i + w <= n; i += w) {
        HEED_KEEP_LOOP
        for (int l = 0; l < w; ++l) narrow(from[i + l], to[i + l]);
    }
    for (; i < n; ++i) narrow(from[i], to[i * stride]);
}

// One row, times a factor, in and out.
template <class E, class T>
HEED_NOINLINE void widen_scaled(const E* from, index stride, index n, T factor, T* to) {
    constexpr int w = lanes_of<T>;
    index i = 0;
    for (; stride == 1 && i + w <= n; i += w) {
        HEED_KEEP_LOOP
        for (int l = 0; l < w; ++l) to[i + l] = widen(from[i + l]) * factor;
    }
    for (; i < n; ++i) to[i] = widen(from[i * stride]) * factor;
}
template <class T, class E>
HEED_NOINLINE void narrow_scaled(const T* from, index n, T factor, E* to, index stride) {
    constexpr int w = lanes_of<T>;
    index i = 0;
    for (; stride == 1 && i + w <= n; i += w) {
        HEED_KEEP_LOOP
        for (int l = 0; l < w; ++l) narrow(from[i + l] * factor, to[i + l]);
    }
    for (; i < n; ++i) narrow(from[i] * factor, to[i * stride]);
}

// A row of masked scores to weights, e^(s - most) * factor.
template <class T>
HEED_NOINLINE void weights_row(T* row, index stride, index n, T most, T factor) {
    constexpr int w = lanes_of<T>;
    index i = 0;
    for (; stride == 1 && i + w <= n; i += w)
        store(row + i, exp_of_negative(load(row + i) - set<pack<T>>(most)) * set<pack<T>>(factor));
    for (; i < n; ++i) row[i * stride] = detail::scalar::exp_of_negative(row[i * stride] - most) * factor;
}

// True when no element of a block of rows is infinite or NaN; by its bits, so -ffast-math cannot decide.
template <class T>
HEED_NOINLINE bool all_finite(const T* rows, index row_stride, index count, index features) {
    constexpr int w = lanes_of<T>;
    constexpr auto infinite = constants<T>::infinity_bits;
    // The largest exponent: integers compare faster than masks are joined.
    auto largest = bits_of(set<pack<T>>(0));
    bool found_single = false;
    for (index r = 0; r < count; ++r) {
        index f = 0;
        for (; f + w <= features; f += w) {
            const auto exponent = bits_of(load(rows + r * row_stride + f)) & infinite;
            largest = exponent > largest ? exponent : largest;
        }
        for (; f < features; ++f)
            found_single |= (detail::scalar::bits_of(rows[r * row_stride + f]) & infinite) == infinite;
    }
    return !any(largest == infinite) && !found_single;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
