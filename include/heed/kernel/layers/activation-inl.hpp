// SPDX-License-Identifier: MIT
// heed/kernel/layers/activation-inl.hpp: gelu, relu, a gated relu, and their derivatives
//
// gelu_tanh(x) = x/2 (1 + tanh(u)) = x / (1 + e^(-2u)),  u = sqrt(2/pi) (x + 0.044715 x^3)
//
// With m = -|x| and e = e^-|2u| = 2^t, t = m (b m^2 + a),
//
//     gelu(x)  = max(x, 0) + m s              s = e / (1 + e)
//     slope(m) = s (1 + w / (1 + e))          w = m (3 b m^2 + a) ln 2
//     slope(x) = 1 - slope(m) for x > 0
//
// One exponential and one division, and no 1 + tanh, in which a negative x would lose its digits. The power
// of two needs neither a product with log2(e) nor two parts of ln 2: what is left of t is exact.

#ifndef HEED_KERNEL_LAYERS_ACTIVATION_INL
#define HEED_KERNEL_LAYERS_ACTIVATION_INL

#include <heed/kernel/elementwise/loop-inl.hpp>
#include <heed/kernel/layers/leaves.hpp>

#define HEED_FOREACH <heed/kernel/layers/activation-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// 2 sqrt(2/pi) and 3 x 0.044715 of it, then a and b. Written out: a quotient of two would be rounded thrice.
inline constexpr double gelu_slope = 1.59576912160573071176, gelu_slope_cubic = 0.214064448817800746329;
inline constexpr double gelu_rate = 2.30220819814432488913, gelu_rate_cubic = 0.102943239580023487417;

// 2^r = 1 + r p(r) for |r| <= 1/2, a least-maximum fit: relative error 2e-9, and 4e-18 in double. Where -|x|
// is `least` or less, 2^t has the exponent of 0.
template <class T>
struct gelu_numbers;
template <>
struct gelu_numbers<float> {
    static constexpr float least = -10.03109f;
    static constexpr int terms = 6;
    static constexpr float p[] = {0.693147203f,  0.240226479f,   0.0555033247f,
                                  0.0096184373f, 0.00133988746f, 0.000153533714f};
};
template <>
struct gelu_numbers<double> {
    static constexpr double least = -21.152673950068657;
    static constexpr int terms = 11;
    static constexpr double p[] = {6.93147180559945286e-01, 2.40226506959101305e-01, 5.55041086648200843e-02,
                                   9.61812910759412068e-03, 1.33335581467745835e-03, 1.54035304571117687e-04,
                                   1.52527334931629572e-05, 1.32154352824553908e-06, 1.01781995570729674e-07,
                                   7.07378322500166774e-09, 4.43477352314900602e-10};
};
template <int Int, class V>
HEED_INLINE V gelu_polynomial(V r) {
    using N = gelu_numbers<element_of<V>>;
    if constexpr (Int + 1 == N::terms)
        return set<V>(N::p[Int]);
    else
        return gelu_polynomial<Int + 1>(r) * r + N::p[Int];
}

// m = -|x|, which stands still beyond `least`. NaN stays NaN.
template <class V>
HEED_INLINE V gelu_argument(V x) {
    using T = element_of<V>;
    return larger(set<V>(gelu_numbers<T>::least), float_of(bits_of(x) | constants<T>::sign_bit));
}
template <class V>
HEED_INLINE V gelu_exponential(V m, V square) {
    using T = element_of<V>;
    using C = constants<T>;
    constexpr T a = static_cast<T>(gelu_rate);
    constexpr T b = static_cast<T>(gelu_rate_cubic);
    const V t = m * (square * b + a);
    const auto n = to_int(t - C::half);
    const V r = t - to_float(n);
    return (gelu_polynomial<0>(r) * r + C::one) * power_of_two<V>(n);
}
struct gelu_value {
    static constexpr int reads = 1, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        using C = constants<element_of<V>>;
        const V m = gelu_argument(x[0]);
        const V e = gelu_exponential(m, m * m);
        y[0] = m * (e / (e + C::one)) + larger(set<V>(0), x[0]);
    }
};
struct gelu_slope_value {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* y, const element_of<V>*) {
        using T = element_of<V>;
        using C = constants<T>;
        constexpr T a = static_cast<T>(gelu_slope);
        constexpr T b = static_cast<T>(gelu_slope_cubic);
        const V m = gelu_argument(in[1]);
        const V square = m * m;
        const V e = gelu_exponential(m, square);
        const V share = set<V>(C::one) / (e + C::one);
        const V slope = (e * share) * ((m * (square * b + a)) * share + C::one);
        y[0] = in[0] * choose(in[1] > set<V>(0), set<V>(C::one) - slope, slope);
    }
};

struct relu_value {
    static constexpr int reads = 1, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = larger(set<V>(0), x[0]);
    }
};
// At 0 the derivative is 0; that of NaN is NaN.
template <class V>
HEED_INLINE V where_positive(V x, V d) {
    return choose(x <= set<V>(0), set<V>(0), choose(x == x, d, x));
}
struct relu_slope_value {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* y, const element_of<V>*) {
        y[0] = where_positive(in[1], in[0]);
    }
};
struct gated_relu_value {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] * larger(set<V>(0), x[1]);
    }
};
struct gated_relu_slope_value {
    static constexpr int reads = 3, writes = 2;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* y, const element_of<V>*) {
        const V d = in[0];
        const V up = in[1];
        const V gate = in[2];
        y[0] = d * larger(set<V>(0), gate);
        y[1] = where_positive(gate, d * up);
    }
};

template <class T>
const detail::activation_leaves<T>& activation_leaves() {
    static constexpr detail::activation_leaves<T> table{
        .gelu = &elementwise<gelu_value, T>,
        .gelu_gradient = &elementwise<gelu_slope_value, T>,
        .relu = &elementwise<relu_value, T>,
        .relu_gradient = &elementwise<relu_slope_value, T>,
        .gated_relu = &elementwise<gated_relu_value, T>,
        .gated_relu_gradient = &elementwise<gated_relu_slope_value, T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
