// SPDX-License-Identifier: MIT
// heed/kernel/sparse/polynomial-inl.hpp: rows of polynomial weights and their gradients
//
// t = s - m is clamped to the range of the polynomial before it is raised to any power, so that nothing
// overflows; what lay below gets weight 0 by a selection. A NaN fails the comparison and stays.
//
// Sums are made in blocks of 32 packs, so that their error does not grow with the row.

#ifndef HEED_KERNEL_SPARSE_POLYNOMIAL_INL
#define HEED_KERNEL_SPARSE_POLYNOMIAL_INL

#include <heed/kernel/lanes-inl.hpp>
#include <heed/math.hpp>
#include <heed/sparse/exponential.hpp>

namespace heed::inline HEED_ABI::detail {

// Without and with the table.
template <class T>
struct polynomial_leaves {
    void (*forward[2])(const T* x, index n, T* y, const exponential_numbers<T>& e);
    void (*backward[2])(const T* dy, const T* x, index n, T* dx, T* weights, const exponential_numbers<T>& e);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/sparse/polynomial-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class T>
inline constexpr index polynomial_block = 32 * lanes_of<T>;

template <class V>
HEED_INLINE V cubic_of(V x, const element_of<V>* a) {
    return ((x * a[3] + a[2]) * x + a[1]) * x + a[0];
}
template <class V>
HEED_INLINE V cubic_slope_of(V x, const element_of<V>* a) {
    using T = element_of<V>;
    return (x * (T(3) * a[3]) + T(2) * a[2]) * x + a[1];
}

// The whole part of u >= 0 and its entry of the table.
template <class V>
HEED_INLINE void table_entry(V u, const detail::exponential_numbers<element_of<V>>& e, V& whole, V& entry) {
    using T = element_of<V>;
    whole = set<V>(0);
    entry = set<V>(e.table[0]);
    for (int n = 1; n <= e.cut; ++n) {
        const auto above = u >= set<V>(T(n));
        whole = choose(above, set<V>(T(n)), whole);
        entry = choose(above, set<V>(e.table[n]), entry);
    }
}

// The weight of t = s - m <= 0.
template <bool Table, class V>
HEED_INLINE V polynomial_weight(V t, const detail::exponential_numbers<element_of<V>>& e) {
    const V zero = set<V>(0);
    const V low = set<V>(e.min);
    const V x = larger(low, t);
    V w;
    if constexpr (Table) {
        V whole;
        V entry;
        table_entry(-x, e, whole, entry);
        w = entry * cubic_of(-x - whole, e.a);
    } else {
        w = cubic_of(x, e.a);
    }
    return choose(t < low, zero, larger(zero, w));
}

// Its derivative; 0 where the weight is 0.
template <bool Table, class V>
HEED_INLINE V polynomial_slope(V t, V weight, const detail::exponential_numbers<element_of<V>>& e) {
    const V x = larger(set<V>(e.min), t);
    V d;
    if constexpr (Table) {
        V whole;
        V entry;
        table_entry(-x, e, whole, entry);
        d = -(entry * cubic_slope_of(-x - whole, e.a));
    } else {
        d = cubic_slope_of(x, e.a);
    }
    return choose(weight == set<V>(0), set<V>(0), d);
}

// What is subtracted from a row: its largest number, 0 where all are -inf.
template <class T>
HEED_INLINE T row_largest(const T* x, index n) {
    constexpr int w = lanes_of<T>;
    const T hidden = detail::minus_infinity<T>();
    pack<T> most = set<pack<T>>(hidden);
    for (index i = 0; i < n; i += w) most = larger(load_or(x + i, n - i, hidden), most);
    T t[w];
    store(t, most);
    T m = t[0];
    for (int l = 1; l < w; ++l) m = t[l] > m ? t[l] : m;
    return detail::is_minus_infinity(m) ? T(0) : m;
}

// Weights of x against m to y, which may be x; gives their sum.
template <bool Table, class T>
HEED_INLINE T row_weights(const T* x, index n, T m, T* y, const detail::exponential_numbers<T>& e) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    T sum = 0;
    for (index begin = 0; begin < n; begin += polynomial_block<T>) {
        const index end = begin + polynomial_block<T> < n ? begin + polynomial_block<T> : n;
        V part = set<V>(0);
        for (index i = begin; i < end; i += w) {
            const V p =
                polynomial_weight<Table>(load_or(x + i, end - i, detail::minus_infinity<T>()) - set<V>(m), e);
            part = part + p;
            store_some(y + i, end - i, p);
        }
        sum += sum_of_lanes<T>(part);
    }
    return sum;
}

// y = weights / sum; all 0 where every x is -inf.
template <bool Table, class T>
HEED_NOINLINE void polynomial_row(const T* x, index n, T* y, const detail::exponential_numbers<T>& e) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    const T sum = row_weights<Table>(x, n, row_largest(x, n), y, e);
    const T inverse = sum == T(0) ? T(0) : T(1) / sum;
    for (index i = 0; i < n; i += w) store_some(y + i, n - i, load_or(y + i, n - i, T(0)) * set<V>(inverse));
}

// The gradient of x from that of y. `weights` is scratch for a row; dx may be dy.
template <bool Table, class T>
HEED_NOINLINE void polynomial_row_backward(const T* dy, const T* x, index n, T* dx, T* weights,
                                           const detail::exponential_numbers<T>& e) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    const V zero = set<V>(0);
    const T hidden = detail::minus_infinity<T>();
    const T m = row_largest(x, n);
    const T sum = row_weights<Table>(x, n, m, weights, e);
    const T inverse = sum == T(0) ? T(0) : T(1) / sum;
    T dot = 0;
    for (index begin = 0; begin < n; begin += polynomial_block<T>) {
        const index end = begin + polynomial_block<T> < n ? begin + polynomial_block<T> : n;
        V part = zero;
        for (index i = begin; i < end; i += w) {
            const V p = load_or(weights + i, end - i, T(0));
            // What has no weight has no gradient, even where it is NaN.
            part = part + choose(p == zero, zero, load_or(dy + i, end - i, T(0)) * p);
        }
        dot += sum_of_lanes<T>(part);
    }
    dot *= inverse;
    T total = 0;
    for (index begin = 0; begin < n; begin += polynomial_block<T>) {
        const index end = begin + polynomial_block<T> < n ? begin + polynomial_block<T> : n;
        V part = zero;
        for (index i = begin; i < end; i += w) {
            const V p = load_or(weights + i, end - i, T(0));
            const V t = load_or(x + i, end - i, hidden) - set<V>(m);
            const V d = (load_or(dy + i, end - i, T(0)) - set<V>(dot)) * set<V>(inverse);
            const V g = choose(p == zero, zero, d * polynomial_slope<Table>(t, p, e));
            part = part + g;
            store_some(dx + i, end - i, g);
        }
        total += sum_of_lanes<T>(part);
    }
    // Every t falls as the maximum rises.
    for (index i = 0; i < n; ++i)
        if (x[i] == m && weights[i] != T(0)) {
            dx[i] -= total;
            break;
        }
}

template <class T>
detail::polynomial_leaves<T> polynomial_leaves() {
    return {{&polynomial_row<false, T>, &polynomial_row<true, T>},
            {&polynomial_row_backward<false, T>, &polynomial_row_backward<true, T>}};
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
