// SPDX-License-Identifier: MIT
// heed/math.hpp: heed::math, functions for masks and score functions that vectorise
//
// libm's exp, tanh, sqrt, … are calls, so a loop around them stays scalar (tanh: about 100 ns for 16
// scores). These are plain arithmetic: inside score(f) and mask_if(f) the compiler runs 4, 8 or 16 of
// them at once. Accuracy stands in simd/math-inl.hpp. T is float or double.
//
// Keep callables free of branches and early returns: select(condition, a, b) instead.
#pragma once

#include <concepts>

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

namespace heed::inline HEED_ABI {
namespace detail {
namespace scalar {

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

#include <heed/simd/math-inl.hpp>

}  // namespace scalar

template <class T>
HEED_INLINE T minus_infinity() {
    return scalar::float_of(constants<T>::minus_infinity_bits);
}
// By its bits, so that -ffast-math cannot decide.
template <class T>
HEED_INLINE bool is_minus_infinity(T x) {
    return scalar::bits_of(x) == constants<T>::minus_infinity_bits;
}
template <class T>
HEED_INLINE bool is_finite(T x) {
    return (scalar::bits_of(x) & constants<T>::infinity_bits) != constants<T>::infinity_bits;
}
// A number of a table as the kernel's type; a finite double too large for float stays finite.
template <class T, class S>
T kept_finite(S x) {
    if constexpr (std::is_same_v<S, double> && std::is_same_v<T, float>) {
        constexpr double most = -static_cast<double>(constants<float>::lowest);
        if (is_finite(x) && x < -most) return static_cast<T>(-most);
        if (is_finite(x) && x > most) return static_cast<T>(most);
    }
    return static_cast<T>(x);
}
}  // namespace detail

namespace math {

// The types these functions take; an int argument means the float.
template <class T>
concept real = std::same_as<T, float> || std::same_as<T, double>;

template <real T>
HEED_INLINE T exp(T x) {
    return detail::scalar::exp(x);
}
template <real T>
HEED_INLINE T log(T x) {
    return detail::scalar::log(x);
}
template <real T>
HEED_INLINE T tanh(T x) {
    return detail::scalar::tanh(x);
}
template <real T>
HEED_INLINE T sigmoid(T x) {
    return detail::scalar::sigmoid(x);
}
template <real T>
HEED_INLINE T sqrt(T x) {
    return detail::scalar::sqrt(x);
}
template <class T>
HEED_INLINE T(abs)(T x) {
    return x < T(0) ? -x : x;
}
template <class T>
HEED_INLINE T(min)(T a, T b) {
    return b < a ? b : a;
}
template <class T>
HEED_INLINE T(max)(T a, T b) {
    return a < b ? b : a;
}
// a where the condition holds, else b; both are evaluated, which is what lets a row vectorise.
template <class T>
HEED_INLINE T select(bool condition, T a, T b) {
    if constexpr (real<T>)
        return detail::scalar::choose(condition, a, b);
    else
        return condition ? a : b;
}

}  // namespace math
}  // namespace heed::inline HEED_ABI
