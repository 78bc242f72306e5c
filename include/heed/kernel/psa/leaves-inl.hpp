// SPDX-License-Identifier: MIT
// heed/kernel/psa/leaves-inl.hpp: the leaves of progressive sparse attention
//
// What this adds to kernel/sparse/polynomial-inl.hpp: weights left undivided, the polynomial as an exponent,
// the gradients of both, and products with the chosen rows of a table.

#ifndef HEED_KERNEL_PSA_LEAVES_INL
#define HEED_KERNEL_PSA_LEAVES_INL

#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/sparse/polynomial-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct psa_leaves {
    T (*weigh)(T* s, index n, T m, const exponential_numbers<T>& e);
    void (*exponents)(T* s, index n, bool hidden, const exponential_numbers<T>& e);
    T(*weight_gradients)
    (const T* s, const T* w, index n, T m, T dot, T inverse, T* d, const exponential_numbers<T>& e);
    void (*exponent_gradients)(const T* s, const T* w, index n, T dot, T inverse, T* d,
                               const exponential_numbers<T>& e);
    T (*dot)(const T* a, const T* b, index n);
    // out[i] = <x, rows[keys[i]]>; out has room for whole packs.
    void (*chosen_dots)(const T* x, const number_rows<T>& rows, const std::int32_t* keys, index count,
                        index n, T* out);
    // to[keys[i]] += factors[i] x
    void (*add_to_chosen)(const T* factors, const T* x, const std::int32_t* keys, index count, index n,
                          T* to);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/psa/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Scores to their weights against m in place; gives the sum.
template <class T>
HEED_NOINLINE T weigh_row(T* s, index n, T m, const detail::exponential_numbers<T>& e) {
    return row_weights<false>(s, n, m, s, e);
}

// pi of a score clamped to [-c, c]. A NaN stays.
template <class V>
HEED_INLINE V exponent_of(V s, const detail::exponential_numbers<element_of<V>>& e) {
    const V x = -larger(set<V>(e.min), -larger(set<V>(e.min), s));
    return cubic_of(x, e.a);
}
// Scores to exponents in place; -inf, which is hidden, stays if there is such a thing.
template <class T>
HEED_NOINLINE void exponent_row(T* s, index n, bool hidden, const detail::exponential_numbers<T>& e) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    for (index i = 0; i < n; i += w) {
        const V x = load_or(s + i, n - i, T(0));
        const V y = exponent_of(x, e);
        store_some(s + i, n - i, hidden ? choose(is_minus_infinity(x), x, y) : y);
    }
}

// d <- the gradients of scores s from those of their n weights w (undivided, `inverse` is 1 / sum).
// dot is the sum of probability times d. Gives the sum of what it wrote.
template <class T>
HEED_NOINLINE T weight_gradients(const T* s, const T* w, index n, T m, T dot, T inverse, T* d,
                                 const detail::exponential_numbers<T>& e) {
    using V = pack<T>;
    V total = set<V>(0);
    for (index i = 0; i < n; i += lanes_of<T>) {
        const V p = load_or(w + i, n - i, T(0));
        const V t = load_or(s + i, n - i, detail::minus_infinity<T>()) - set<V>(m);
        const V g = (load_or(static_cast<const T*>(d) + i, n - i, T(0)) - set<V>(dot)) * set<V>(inverse);
        const V ds = choose(p == set<V>(0), set<V>(0), g * polynomial_slope<false>(t, p, e));
        total = total + ds;
        store_some(d + i, n - i, ds);
    }
    return sum_of_lanes<T>(total);
}
// The same where w are the exponentials of exponents: no gradient where a score was clamped.
template <class T>
HEED_NOINLINE void exponent_gradients(const T* s, const T* w, index n, T dot, T inverse, T* d,
                                      const detail::exponential_numbers<T>& e) {
    using V = pack<T>;
    const V low = set<V>(e.min);
    const V zero = set<V>(0);
    for (index i = 0; i < n; i += lanes_of<T>) {
        const V x = load_or(s + i, n - i, T(0));
        const V p = load_or(w + i, n - i, T(0)) * set<V>(inverse);
        const V g = p * (load_or(static_cast<const T*>(d) + i, n - i, T(0)) - set<V>(dot));
        const V inside = choose(x < low, zero, choose(-x < low, zero, g));
        const V clamped = -larger(low, -larger(low, x));
        store_some(d + i, n - i, inside * cubic_slope_of(clamped, e.a));
    }
}

template <class T>
HEED_NOINLINE T row_dot(const T* a, const T* b, index n) {
    using V = pack<T>;
    V sum = set<V>(0);
    for (index i = 0; i < n; i += lanes_of<T>)
        sum = load_or(a + i, n - i, T(0)) * load_or(b + i, n - i, T(0)) + sum;
    return sum_of_lanes<T>(sum);
}
// out[i] = <x, rows[keys[i]]>. A pack of keys at a time, whose sums are reduced together; numbers behind the
// last key's are written up to a whole pack.
template <class T>
HEED_NOINLINE void chosen_dots(const T* x, const detail::number_rows<T>& rows, const std::int32_t* keys,
                               index count, index n, T* out) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    const index whole = n / w * w;
    for (index i = 0; i < count; i += w) {
        const T* row[w];
        V sums[w];
        HEED_UNROLL
        for (int l = 0; l < w; ++l) {
            row[l] = rows.data + keys[i + l < count ? i + l : count - 1] * rows.stride;
            sums[l] = set<V>(0);
        }
        for (index f = 0; f < whole; f += w) {
            const V y = load(x + f);
            HEED_UNROLL
            for (int l = 0; l < w; ++l) sums[l] = y * load(row[l] + f) + sums[l];
        }
        store(out + i, lane_sums<T>(sums));
        for (index f = whole; f < n; ++f)
            for (int l = 0; l < w; ++l) out[i + l] = multiply_add(x[f], row[l][f], out[i + l]);
    }
}
// to[keys[i]] += factors[i] x, dense rows of n numbers.
template <class T>
HEED_NOINLINE void add_to_chosen(const T* factors, const T* x, const std::int32_t* keys, index count, index n,
                                 T* to) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    for (index i = 0; i < count; ++i) {
        T* const row = to + keys[i] * n;
        const T factor = factors[i];
        index f = 0;
        for (; f + w <= n; f += w)
            store(row + f, set<V>(factor) * load(x + f) + load(static_cast<const T*>(row) + f));
        for (; f < n; ++f) row[f] = multiply_add(factor, x[f], row[f]);
    }
}

template <class T>
const detail::psa_leaves<T>& psa_leaves() {
    static constexpr detail::psa_leaves<T> table{
        .weigh = &weigh_row<T>,
        .exponents = &exponent_row<T>,
        .weight_gradients = &weight_gradients<T>,
        .exponent_gradients = &exponent_gradients<T>,
        .dot = &row_dot<T>,
        .chosen_dots = &chosen_dots<T>,
        .add_to_chosen = &add_to_chosen<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
