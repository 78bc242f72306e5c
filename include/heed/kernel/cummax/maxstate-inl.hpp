// SPDX-License-Identifier: MIT
// heed/kernel/cummax/maxstate-inl.hpp: the operations of the published models' forms, and the table of a
// target

#ifndef HEED_KERNEL_CUMMAX_MAXSTATE_INL
#define HEED_KERNEL_CUMMAX_MAXSTATE_INL

#include <heed/kernel/cummax/problem.hpp>
#include <heed/kernel/elementwise/loop-inl.hpp>
#include <heed/kernel/rounded-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct maxstate_leaves {
    cummax_leaf<T> source;     // {o, a1}, factor -> {(o + a1) factor}
    cummax_leaf<T> output;     // {e, a1, a2} -> {(e + a2) e + a1}
    cummax_leaf<T> gradients;  // {g, e, a2} -> {da2, de}
    cummax_leaf<T> routed;     // {du, g}, factor -> {do, da1}

    cummax_leaf<T> super_output;     // {a, b, c, d, e}, alphas -> {y}
    cummax_leaf<T> super_gradients;  // {g, a, b, c, d, e}, alphas -> {da, db, dc, dd, de}
    cummax_leaf<T> super_alphas;     // {s1, s2, s3, g, a, b, d, e} -> {s1, s2, s3}
    cummax_leaf<T> add;              // {sum, x}, factor -> {sum + x factor}
    cummax_leaf<T> multiply_add;     // {sum, x, y} -> {sum + x y}
    cummax_leaf<T> multiply;         // {x, y} -> {x y}
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/cummax/maxstate-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

struct maxstate_source {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* factor) {
        y[0] = (x[0] + x[1]) * factor[0];
    }
};
struct maxstate_output {
    static constexpr int reads = 3, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = rounded((x[0] + x[2]) * x[0]) + x[1];
    }
};
struct maxstate_gradients {
    static constexpr int reads = 3, writes = 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] * x[1];
        y[1] = x[0] * rounded((x[1] + x[2]) + x[1]);
    }
};
struct maxstate_routed {
    static constexpr int reads = 2, writes = 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* factor) {
        const V du = rounded(x[0] * factor[0]);
        y[0] = du;
        y[1] = x[1] + du;
    }
};
// a b + k1 b + k2 d + a (k3 e + d) + b (c + e) + c e, in this order.
struct super_output {
    static constexpr int reads = 5, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* k) {
        const V a = x[0], b = x[1], c = x[2], d = x[3], e = x[4];
        V sum = rounded(a * b) + rounded(b * k[0]);
        sum = sum + rounded(d * k[1]);
        sum = sum + rounded(a * (rounded(e * k[2]) + d));
        sum = sum + rounded(b * (c + e));
        y[0] = sum + rounded(c * e);
    }
};
struct super_gradients {
    static constexpr int reads = 6, writes = 5;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* k) {
        const V g = x[0], a = x[1], b = x[2], c = x[3], d = x[4], e = x[5];
        y[0] = g * rounded((b + rounded(e * k[2])) + d);
        y[1] = g * rounded(((a + k[0]) + c) + e);
        y[2] = g * rounded(b + e);
        y[3] = g * rounded(a + k[1]);
        y[4] = g * rounded((rounded(a * k[2]) + b) + c);
    }
};
struct super_alphas {
    static constexpr int reads = 8, writes = 3;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] + rounded(x[3] * x[5]);
        y[1] = x[1] + rounded(x[3] * x[6]);
        y[2] = x[2] + rounded(x[3] * rounded(x[4] * x[7]));
    }
};
// sum + x factor, sum + x y, x y
struct mix_add {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* factor) {
        y[0] = x[0] + rounded(x[1] * factor[0]);
    }
};
struct mix_multiply_add {
    static constexpr int reads = 3, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] + rounded(x[1] * x[2]);
    }
};
struct mix_multiply {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] * x[1];
    }
};

template <class T>
const detail::maxstate_leaves<T>& maxstate_leaves() {
    static constexpr detail::maxstate_leaves<T> table{
        .source = &elementwise<maxstate_source, T>,
        .output = &elementwise<maxstate_output, T>,
        .gradients = &elementwise<maxstate_gradients, T>,
        .routed = &elementwise<maxstate_routed, T>,
        .super_output = &elementwise<super_output, T>,
        .super_gradients = &elementwise<super_gradients, T>,
        .super_alphas = &elementwise<super_alphas, T>,
        .add = &elementwise<mix_add, T>,
        .multiply_add = &elementwise<mix_multiply_add, T>,
        .multiply = &elementwise<mix_multiply, T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
