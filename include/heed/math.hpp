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
#include <heed/simd/math-inl.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

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
