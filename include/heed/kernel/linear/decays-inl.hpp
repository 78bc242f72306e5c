// SPDX-License-Identifier: MIT
// heed/kernel/linear/decays-inl.hpp: decays as factors: of heads, and of each feature in segments
//
// A sum of logarithms is kept in two numbers, the second what rounding the first has lost, and
// e^(high + low) = e^high (1 + low) where low is a rounding error of high, so a factor is as exact as a
// single exponential however long the sum.

#ifndef HEED_KERNEL_LINEAR_DECAYS_INL
#define HEED_KERNEL_LINEAR_DECAYS_INL

#include <heed/kernel/linear/problem.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/linear/decays-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class V>
HEED_INLINE V exp_of_sum(V high, V low) {
    const V e = exp(high);
    return e * low + e;
}

template <class T>
HEED_INLINE pack<T> lane_numbers() {
    T numbers[lanes_of<T>];
    HEED_UNROLL
    for (int l = 0; l < lanes_of<T>; ++l) numbers[l] = static_cast<T>(l);
    return load(numbers);
}

// Lanes right of the diagonal take part in the last pack of a row: their exponent is 0, since the difference
// runs backward in time there and would overflow.
template <class T>
HEED_NOINLINE void decay_lower(T* a, index row, index rows, const T* high, const T* low) {
    const pack<T> lane = lane_numbers<T>();
    for (index i = 0; i < rows; ++i, a += row) {
        const pack<T> h = set<pack<T>>(high[i]);
        const pack<T> l = set<pack<T>>(low[i]);
        for (index j = 0; j <= i; j += lanes_of<T>) {
            pack<T> d = (h - load(high + j)) + (l - load(low + j));
            if (j + lanes_of < T >> i)
                d = choose(lane > set<pack<T>>(static_cast<T>(i - j)), set<pack<T>>(0), d);
            store(a + j, load(a + j) * exp(d));
        }
    }
}

template <class T>
HEED_NOINLINE void decay_factors(const detail::log_sums<T>& b, const detail::log_sums<T>& from, index n,
                                 T* to) {
    for (index i = 0; i < n; i += lanes_of<T>) {
        const pack<T> x = load(b.high + i);
        const pack<T> y = set<pack<T>>(*from.high);
        const pack<T> d = x - y;
        const pack<T> moved = d - x;
        const pack<T> low = ((x - (d - moved)) - (y + moved)) + (load(b.low + i) - set<pack<T>>(*from.low));
        // Behind a reset the difference of two long sums stands in their low parts as much as in the high.
        const pack<T> h = d + low;
        const pack<T> by = h - d;
        store(to + i, exp_of_sum(h, (d - (h - by)) + (low - by)));
    }
}

// A row's factors as they are; a new segment begins where one of them, or a key over it, would leave what
// the numbers hold. Its own row decides that, and rows before it, so nothing later changes a row's bits.
template <class T>
HEED_NOINLINE index segment_decays(const detail::decay_steps<T>& p) {
    constexpr bool single = sizeof(T) == 4;
    const pack<T> zero = set<pack<T>>(0);
    const pack<T> one = set<pack<T>>(1);
    const pack<T> min = set<pack<T>>(static_cast<T>(detail::min_log_decay));
    const pack<T> longest = set<pack<T>>(single ? T(-30) : T(-300));
    const pack<T> max = set<pack<T>>(single ? T(1e24) : T(1e150));
    T* const high = p.sums;
    T* const low = p.sums + p.row;
    for (index i = 0; i < p.n; i += lanes_of<T>) {
        store(high + i, zero);
        store(low + i, zero);
    }
    index segments = 1;
    p.starts[0] = 0;
    for (index r = 0; r < p.rows; ++r) {
        const index at = r * p.row;
        pack<T> outside = zero;
        for (index i = 0; i < p.n; i += lanes_of<T>) {
            pack<T> step = load(p.steps + at + i);
            step = choose(step < min, min, step);
            const pack<T> before = load(high + i);
            const pack<T> h = before + step;
            const pack<T> moved = h - before;
            pack<T> l = load(low + i) + ((before - (h - moved)) + (step - moved));
            if (p.low_steps != nullptr) l = l + load(p.low_steps + at + i);
            store(high + i, h);
            store(low + i, l);
            const pack<T> e = exp_of_negative(choose(h < longest, longest, choose(h > zero, zero, h)));
            const pack<T> f = e * l + e;
            const pack<T> u = one / f;
            const pack<T> k = load(p.keys + at + i);
            const pack<T> size = larger(k, -k);
            store(p.since + at + i, f);
            store(p.until + at + i, u);
            store(p.near_keys + at + i, choose(size <= max, k, zero) * u);
            outside = outside + choose(h >= longest, choose(h <= zero, zero, one), one);
            outside = outside + choose(size <= max, zero, one);
        }
        if (!any(outside > zero)) continue;
        for (index i = 0; i < p.n; i += lanes_of<T>) {
            store(p.crossings + segments * p.row + i, exp_of_sum(load(high + i), load(low + i)));
            store(high + i, zero);
            store(low + i, zero);
            store(p.since + at + i, one);
            store(p.until + at + i, one);
            store(p.near_keys + at + i, load(p.keys + at + i));
        }
        p.starts[segments++] = r;
    }
    p.starts[segments] = p.rows;
    return segments;
}

// to = x y v w, y by elements, v and w the same for all rows; those that are null are 1.
template <class T>
HEED_NOINLINE void scale_elements(const T* x, const T* y, const T* v, const T* w, index row, index rows,
                                  index n, T* to) {
    for (index r = 0; r < rows; ++r)
        for (index i = 0; i < n; i += lanes_of<T>) {
            pack<T> s = load(x + r * row + i);
            if (y != nullptr) s = s * load(y + r * row + i);
            if (v != nullptr) s = s * load(v + i);
            if (w != nullptr) s = s * load(w + i);
            store(to + r * row + i, s);
        }
}

// The first columns of each row times the row's number.
template <class T>
HEED_NOINLINE void scale_columns(T* x, index row, const T* factor, index rows, index columns) {
    const pack<T> lane = lane_numbers<T>();
    for (index r = 0; r < rows; ++r, x += row) {
        const pack<T> f = set<pack<T>>(factor[r]);
        for (index i = 0; i < columns; i += lanes_of<T>) {
            const pack<T> before = load(x + i);
            pack<T> after = before * f;
            if (columns - i < lanes_of<T>)
                after = choose(lane < set<pack<T>>(static_cast<T>(columns - i)), after, before);
            store(x + i, after);
        }
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
