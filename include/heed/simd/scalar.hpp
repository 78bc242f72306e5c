// SPDX-License-Identifier: MIT
// heed/simd/scalar.hpp: what simd/math-inl.hpp is written in, for a single float or double, and two loop
// hints
#pragma once

#include <cstdint>

#include <heed/simd/constants.hpp>

// HEED_UNROLL: write the loop out. HEED_KEEP_LOOP: leave it a loop, for the vectoriser to find; g++ would
// unroll sixteen iterations first and then vectorise the loop around them, across its rows.
#if defined(__clang__)
#define HEED_KEEP_LOOP
#define HEED_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define HEED_KEEP_LOOP _Pragma("GCC unroll 1") _Pragma("GCC ivdep")
#define HEED_UNROLL _Pragma("GCC unroll 16")
#else
#define HEED_KEEP_LOOP
#define HEED_UNROLL
#endif

namespace heed::inline HEED_ABI::detail::scalar {

template <class T>
using element_of = T;
template <class V>
HEED_INLINE V set(V x) {
    return x;
}
HEED_INLINE float to_float(std::int32_t n) { return static_cast<float>(n); }
HEED_INLINE double to_float(std::int64_t n) { return static_cast<double>(n); }
// Builtins, not std::bit_cast: that is a function, which a debug build does not inline.
HEED_INLINE std::int32_t bits_of(float x) { return __builtin_bit_cast(std::int32_t, x); }
HEED_INLINE std::int64_t bits_of(double x) { return __builtin_bit_cast(std::int64_t, x); }
HEED_INLINE float float_of(std::int32_t n) { return __builtin_bit_cast(float, n); }
HEED_INLINE double float_of(std::int64_t n) { return __builtin_bit_cast(double, n); }
// By bits: a conditional expression would let the compiler move arithmetic behind the condition, and a loop
// with a branch around arithmetic does not vectorise.
template <class V>
HEED_INLINE V choose(bool condition, V a, V b) {
    using Int = decltype(bits_of(a));
    const Int mask = -static_cast<Int>(condition);
    return float_of((bits_of(a) & mask) | (bits_of(b) & ~mask));
}

// The conversion of a NaN is undefined. g++ gives any integer, which does not matter: what it is used for is
// NaN already. clang drops all that follows where it knows the NaN, so there NaN becomes 0 first.
#if defined(__clang__)
template <class V>
HEED_INLINE V convertible(V x) {
    return choose(x == x, x, V(0));
}
#else
template <class V>
HEED_INLINE V convertible(V x) {
    return x;
}
#endif
HEED_INLINE std::int32_t to_int(float x) { return static_cast<std::int32_t>(convertible(x)); }
HEED_INLINE std::int64_t to_int(double x) { return static_cast<std::int64_t>(convertible(x)); }

template <class V>
HEED_INLINE V larger(V a, V b) {
    return a > b ? a : b;
}

}  // namespace heed::inline HEED_ABI::detail::scalar
