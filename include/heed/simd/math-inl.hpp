// SPDX-License-Identifier: MIT
// heed/simd/math-inl.hpp: exp, tanh, log, … written once, for a float or double and for a vector of them
//
// Included into heed::math (scalars: user callables, which the compiler then vectorises row by row) and
// into each target's namespace (vectors). No branch, no table, no libm, so every lane gives the same bits
// wherever it stands.
//
//     exp   x = n ln2 + r, e^x = 2^n e^r, e^r = 1 + r + r^2 q(r)     <= 1 ULP, denormal results included
//     tanh  expm1(2x) / (expm1(2x) + 2)                              <= 3 ULP
//     its derivative 4 (expm1(2x) + 1) / (expm1(2x) + 2)^2, and not 1 - tanh^2, which has no digits left
//     where tanh is near 1; that of the sigmoid e / (1 + e)^2 for the same reason
//     log   2 atanh(f / (2 + f)) + e ln2                             <= 2 ULP
//
// The float q is a least-maximum fit of degree 4 on |r| <= ln2/2 (relative error 3e-9); the double one is
// the series. Rounding goes through an integer conversion, not the add-a-large-number trick, which
// -ffast-math would fold away.
//
// Written in element_of<V>, set, to_int, to_float, bits_of, float_of, choose and larger of its scope: that of
// simd/pack-inl.hpp, which includes it in each region, or included alone that of simd/scalar.hpp.

#if defined(HEED_REGION) || !defined(HEED_SIMD_MATH_INL)
#ifdef HEED_REGION
#define HEED_MATH_SCOPE HEED_SIMD
#else
#define HEED_SIMD_MATH_INL
#define HEED_MATH_SCOPE detail::scalar
#include <heed/simd/scalar.hpp>
#endif

namespace heed::inline HEED_ABI::HEED_MATH_SCOPE {

template <class V>
HEED_INLINE V power_of_two(decltype(to_int(V{})) n) {
    using C = constants<element_of<V>>;
    return float_of((n + C::bias) << C::mantissa);
}

// Polynomials are recursions, not loops: a loop inside a callable may still stand when its row is vectorised.
template <int Int, class V>
HEED_INLINE V exp_polynomial(V r) {
    using C = constants<element_of<V>>;
    if constexpr (Int + 1 == C::exp_terms)
        return set<V>(C::exp_q[Int]);
    else
        return exp_polynomial<Int + 1>(r) * r + C::exp_q[Int];
}
template <int Int, class V>
HEED_INLINE V log_polynomial(V z) {
    using C = constants<element_of<V>>;
    if constexpr (Int + 1 == C::log_terms)
        return set<V>(C::log_p[Int]);
    else
        return log_polynomial<Int + 1>(z) * z + C::log_p[Int];
}

// r^2 q(r) + r, that is e^r - 1 for |r| <= ln2/2.
template <class V>
HEED_INLINE V expm1_reduced(V r) {
    return (r * r) * exp_polynomial<0>(r) + r;
}

// e^x for x <= 0, where results below the normal range become 0: what softmax needs. NaN stays NaN.
template <class V>
HEED_INLINE V exp_of_negative(V x) {
    using C = constants<element_of<V>>;
    x = larger(set<V>(C::exp_flush), x);
    const auto n = to_int(x * C::log2e - C::half);
    const V f = to_float(n);
    V r = x - f * C::ln2_high;
    r = r - f * C::ln2_low;
    return (expm1_reduced(r) + C::one) * power_of_two<V>(n);
}

// e^x for every x.
template <class V>
HEED_INLINE V exp(V x) {
    using C = constants<element_of<V>>;
    const V max = set<V>(C::exp_max);
    x = larger(set<V>(C::exp_min), x);
    x = choose(max < x, max, x);
    const V half = choose(x < set<V>(0), set<V>(-C::half), set<V>(C::half));
    const auto n = to_int(x * C::log2e + half);
    const V f = to_float(n);
    V r = x - f * C::ln2_high;
    r = r - f * C::ln2_low;
    const auto h = n >> 1;
    return (expm1_reduced(r) + C::one) * power_of_two<V>(h) * power_of_two<V>(n - h);
}

// e^a - 1 for 0 <= a; beyond tanh_max it stands still.
template <class V>
HEED_INLINE V expm1_of_positive(V a) {
    using C = constants<element_of<V>>;
    const V max = set<V>(C::tanh_max);
    a = choose(max < a, max, a);
    const auto n = to_int(a * C::log2e + C::half);
    const V f = to_float(n);
    V r = a - f * C::ln2_high;
    r = r - f * C::ln2_low;
    const V scale = power_of_two<V>(n);
    return expm1_reduced(r) * scale + (scale - C::one);
}

// tanh(x), odd and monotone to the last bits; +-1 from |x| = 10 (20 for double).
template <class V>
HEED_INLINE V tanh(V x) {
    using C = constants<element_of<V>>;
    const auto sign = bits_of(x) & C::sign_bit;
    const V magnitude = float_of(bits_of(x) ^ sign);
    const V e = expm1_of_positive(magnitude + magnitude);
    return float_of(bits_of(e / (e + (C::one + C::one))) | sign);
}

// Its derivative, to the last bits down to the end of the normal range, where it becomes 0. Beside tanh(x) it
// costs a division: the exponential is the same.
template <class V>
HEED_INLINE V tanh_slope(V x) {
    using C = constants<element_of<V>>;
    const V two = set<V>(C::one + C::one);
    const V magnitude = float_of(bits_of(x) ^ (bits_of(x) & C::sign_bit));
    const V a = magnitude + magnitude;
    const V e = expm1_of_positive(a);
    const V share = two / (e + two);
    return choose(set<V>(C::tanh_max) < a, set<V>(0), share * ((e + C::one) * share));
}

// 1 / (1 + e^-x), without overflow on either side.
template <class V>
HEED_INLINE V sigmoid(V x) {
    using C = constants<element_of<V>>;
    const V e = exp(float_of(bits_of(x) | C::sign_bit));
    return choose(x < set<V>(0), e, set<V>(C::one)) / (e + C::one);
}

// Its derivative, as tanh_slope is tanh's.
template <class V>
HEED_INLINE V sigmoid_slope(V x) {
    using C = constants<element_of<V>>;
    const V e = exp_of_negative(float_of(bits_of(x) | C::sign_bit));
    return e / ((e + C::one) * (e + C::one));
}

// ln x; -inf at 0, NaN below, +inf at +inf.
template <class V>
HEED_INLINE V log(V x) {
    using C = constants<element_of<V>>;
    const V zero = set<V>(0);
    const auto tiny = x < set<V>(C::min_normal);
    const V y = choose(tiny, x * C::denormal_scale, x);
    auto e = (bits_of(y) >> C::mantissa) - C::bias;
    V m = float_of((bits_of(y) & C::mantissa_mask) | bits_of(set<V>(C::one)));
    const auto high = m > set<V>(C::sqrt2);
    m = choose(high, m * C::half, m);
    V exponent = to_float(e);
    exponent = choose(high, exponent + C::one, exponent);
    exponent = choose(tiny, exponent - C::denormal_exponent, exponent);
    const V g = m - C::one;
    const V s = g / (g + (C::one + C::one));
    const V z = s * s;
    const V p = log_polynomial<0>(z);
    // g - g^2/2 + s (g^2/2 + z p) keeps the leading term exact
    const V h = g * g * C::half;
    const V value = exponent * C::ln2_high + (g - (h - (s * (h + z * p) + exponent * C::ln2_low)));
    const V infinity = float_of(bits_of(set<V>(C::one)) * 0 + C::infinity_bits);
    V result = choose(x < infinity, value, x);
    result = choose(x == zero, -infinity, result);
    return choose(x < zero, float_of(bits_of(infinity) | (bits_of(infinity) >> 1)), result);
}

// The square root, correctly rounded but for a few last bits; libm's sets errno and so is a call.
template <class V>
HEED_INLINE V sqrt(V x) {
    using C = constants<element_of<V>>;
    const V zero = set<V>(0);
    const auto tiny = x < set<V>(C::min_normal);
    const V y = choose(tiny, x * C::denormal_scale, x);
    V g = float_of(C::rsqrt_magic - (bits_of(y) >> 1));  // 1 / sqrt(y) to 4 %
    g = g * (C::three_halves - (y * C::half * g) * g);
    g = g * (C::three_halves - (y * C::half * g) * g);
    g = g * (C::three_halves - (y * C::half * g) * g);
    if constexpr (C::rsqrt_steps == 4) g = g * (C::three_halves - (y * C::half * g) * g);
    V r = y * g;
    r = r + (g * C::half) * (y - r * r);
    r = choose(tiny, r * C::denormal_root, r);
    const V infinity = float_of(bits_of(set<V>(C::one)) * 0 + C::infinity_bits);
    r = choose(x == zero, x, r);
    r = choose(x == infinity, x, r);
    return choose(x < zero, float_of(bits_of(infinity) | (bits_of(infinity) >> 1)), r);
}

}  // namespace heed::inline HEED_ABI::HEED_MATH_SCOPE
#undef HEED_MATH_SCOPE
#endif
