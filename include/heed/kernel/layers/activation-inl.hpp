// SPDX-License-Identifier: MIT
// heed/kernel/layers/activation-inl.hpp: gelu, relu, a gated relu, and their derivatives
//
// gelu_tanh(x) = x/2 (1 + tanh(u)) = x / (1 + e^(-2u)),  u = sqrt(2/pi) (x + 0.044715 x^3)
//
// The second form, with e^-|2u|, needs no 1 + tanh, in which a negative x would lose its digits.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

inline constexpr double gelu_slope = 0.797884560802865355880;  // sqrt(2 / pi)
inline constexpr double gelu_cubic = 0.044715;

// Beyond 22, where e^-|2u| is 0, x stands still: its powers would overflow.
template <class V>
HEED_INLINE V gelu_argument(V x) {
    const V most = set<V>(22);
    x = larger(-most, x);
    return choose(most < x, most, x);
}
// e = e^-|2u|; 1 / (1 + e^-2u) is then 1 or e over 1 + e.
template <class V>
HEED_INLINE V gelu_exponential(V x) {
    using T = element_of<V>;
    constexpr T a = static_cast<T>(2 * gelu_slope);
    constexpr T b = static_cast<T>(2 * gelu_slope * gelu_cubic);
    const V u = x * (x * x * b + a);
    return exp_of_negative(float_of(bits_of(u) | constants<T>::sign_bit));
}
struct gelu_value {
    static constexpr int reads = 1, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        using C = constants<element_of<V>>;
        const V e = gelu_exponential(gelu_argument(x[0]));
        y[0] = x[0] * (choose(x[0] < set<V>(0), e, set<V>(C::one)) / (e + C::one));
    }
};
// s + x s (1 - s) 2u' with s = 1 / (1 + e^-2u).
struct gelu_slope_value {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* y, const element_of<V>*) {
        using T = element_of<V>;
        using C = constants<T>;
        constexpr T a = static_cast<T>(2 * gelu_slope);
        constexpr T b = static_cast<T>(6 * gelu_slope * gelu_cubic);
        const V x = gelu_argument(in[1]);
        const V e = gelu_exponential(x);
        const V share = set<V>(C::one) / (e + C::one);
        const V s = choose(x < set<V>(0), e, set<V>(C::one)) * share;
        y[0] = in[0] * ((x * (x * x * b + a)) * (e * share * share) + s);
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
        &elementwise<gelu_value, T>,       &elementwise<gelu_slope_value, T>,
        &elementwise<relu_value, T>,       &elementwise<relu_slope_value, T>,
        &elementwise<gated_relu_value, T>, &elementwise<gated_relu_slope_value, T>,
    };
    return table;
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
