// SPDX-License-Identifier: MIT
// heed/score/dual.hpp: a number and its derivative, carried through a user's function
//
//     f(x + e) = f(x) + f'(x) e,   e^2 = 0
//
// The backward calls score(f)'s generic lambda with these instead of numbers, and reads the derivative off
// the result: whatever f does with + - * /, comparisons and heed::math, mixed with plain numbers, is
// differentiated on the way. At a kink (abs, min, max, select) the derivative is that of the side taken.
#pragma once

#include <concepts>
#include <type_traits>

#include <heed/math.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class N>
concept plain_number = std::is_arithmetic_v<N>;

template <class T>
struct dual {
    T value;
    T slope;

    HEED_INLINE dual() : value(0), slope(0) {}
    HEED_INLINE dual(T value_, T slope_) : value(value_), slope(slope_) {}
    // A constant.
    template <plain_number N>
    HEED_INLINE dual(N x) : value(static_cast<T>(x)), slope(0) {}

    friend HEED_INLINE dual operator+(dual a) { return a; }
    friend HEED_INLINE dual operator-(dual a) { return {-a.value, -a.slope}; }
    friend HEED_INLINE dual operator+(dual a, dual b) { return {a.value + b.value, a.slope + b.slope}; }
    friend HEED_INLINE dual operator-(dual a, dual b) { return {a.value - b.value, a.slope - b.slope}; }
    friend HEED_INLINE dual operator*(dual a, dual b) {
        return {a.value * b.value, a.slope * b.value + a.value * b.slope};
    }
    friend HEED_INLINE dual operator/(dual a, dual b) {
        const T x = a.value / b.value;
        return {x, (a.slope - x * b.slope) / b.value};
    }
    HEED_INLINE dual& operator+=(dual b) { return *this = *this + b; }
    HEED_INLINE dual& operator-=(dual b) { return *this = *this - b; }
    HEED_INLINE dual& operator*=(dual b) { return *this = *this * b; }
    HEED_INLINE dual& operator/=(dual b) { return *this = *this / b; }

    friend HEED_INLINE bool operator<(dual a, dual b) { return a.value < b.value; }
    friend HEED_INLINE bool operator>(dual a, dual b) { return a.value > b.value; }
    friend HEED_INLINE bool operator<=(dual a, dual b) { return a.value <= b.value; }
    friend HEED_INLINE bool operator>=(dual a, dual b) { return a.value >= b.value; }
    friend HEED_INLINE bool operator==(dual a, dual b) { return a.value == b.value; }
};

template <class X>
inline constexpr bool is_dual = false;
template <class T>
inline constexpr bool is_dual<dual<T>> = true;

// What a result changes by; a plain number changes by nothing.
template <class T, class R>
HEED_INLINE T slope_of(const R& result) {
    if constexpr (is_dual<R>)
        return static_cast<T>(result.slope);
    else
        return T(0);
}

template <class T>
HEED_INLINE dual<T> choose_dual(bool condition, dual<T> a, dual<T> b) {
    return {scalar::choose(condition, a.value, b.value), scalar::choose(condition, a.slope, b.slope)};
}

}  // namespace detail

namespace math {

template <class T>
HEED_INLINE detail::dual<T> exp(detail::dual<T> x) {
    const T e = exp(x.value);
    return {e, x.slope * e};
}
template <class T>
HEED_INLINE detail::dual<T> log(detail::dual<T> x) {
    return {log(x.value), x.slope / x.value};
}
template <class T>
HEED_INLINE detail::dual<T> tanh(detail::dual<T> x) {
    return {tanh(x.value), x.slope * detail::scalar::tanh_slope(x.value)};
}
template <class T>
HEED_INLINE detail::dual<T> sigmoid(detail::dual<T> x) {
    return {sigmoid(x.value), x.slope * detail::scalar::sigmoid_slope(x.value)};
}
template <class T>
HEED_INLINE detail::dual<T> sqrt(detail::dual<T> x) {
    const T r = sqrt(x.value);
    return {r, x.slope / (r + r)};
}
template <class T>
HEED_INLINE detail::dual<T>(abs)(detail::dual<T> x) {
    return detail::choose_dual(x.value < T(0), -x, x);
}
template <class T>
HEED_INLINE detail::dual<T>(min)(detail::dual<T> a, detail::dual<T> b) {
    return detail::choose_dual(b < a, b, a);
}
template <class T>
HEED_INLINE detail::dual<T>(max)(detail::dual<T> a, detail::dual<T> b) {
    return detail::choose_dual(a < b, b, a);
}
template <class T>
HEED_INLINE detail::dual<T> select(bool condition, detail::dual<T> a, detail::dual<T> b) {
    return detail::choose_dual(condition, a, b);
}
// One of the two a plain number.
template <class T, detail::plain_number N>
HEED_INLINE detail::dual<T>(min)(detail::dual<T> a, N b) {
    return (min)(a, detail::dual<T>(b));
}
template <class T, detail::plain_number N>
HEED_INLINE detail::dual<T>(min)(N a, detail::dual<T> b) {
    return (min)(detail::dual<T>(a), b);
}
template <class T, detail::plain_number N>
HEED_INLINE detail::dual<T>(max)(detail::dual<T> a, N b) {
    return (max)(a, detail::dual<T>(b));
}
template <class T, detail::plain_number N>
HEED_INLINE detail::dual<T>(max)(N a, detail::dual<T> b) {
    return (max)(detail::dual<T>(a), b);
}
template <class T, detail::plain_number N>
HEED_INLINE detail::dual<T> select(bool condition, detail::dual<T> a, N b) {
    return select(condition, a, detail::dual<T>(b));
}
template <class T, detail::plain_number N>
HEED_INLINE detail::dual<T> select(bool condition, N a, detail::dual<T> b) {
    return select(condition, detail::dual<T>(a), b);
}

}  // namespace math
}  // namespace heed::inline HEED_ABI
