// SPDX-License-Identifier: MIT
// heed/kernel/linear/exponents-inl.hpp: features that are exponentials, relative to the largest so far

#ifndef HEED_KERNEL_LINEAR_EXPONENTS_INL
#define HEED_KERNEL_LINEAR_EXPONENTS_INL

#include <heed/kernel/linear/problem.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/linear/exponents-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class T>
HEED_NOINLINE void shift_rows(T* x, index row, const T* shift, index rows, index n, T max) {
    const pack<T> high = set<pack<T>>(max);
    for (index r = 0; r < rows; ++r, x += row) {
        for (index i = 0; i < n; i += lanes_of<T>) {
            pack<T> s = load(x + i);
            s = choose(s > high, high, choose(s < -high, -high, s)) + set<pack<T>>(shift[r]);
            store(x + i, s);
        }
        for (index i = n; i < row; ++i) x[i] = 4 * -max;
    }
}

// The reference of a segment is the largest exponent up to its first row, feature by feature; a key far
// above it begins the next. The first row's own is the first reference.
template <class T>
HEED_NOINLINE index segment_exponents(const detail::exponent_rows<T>& p) {
    constexpr bool single = sizeof(T) == 4;
    const pack<T> zero = set<pack<T>>(0);
    const pack<T> one = set<pack<T>>(1);
    const pack<T> max = set<pack<T>>(single ? T(8) : T(64));
    for (index i = 0; i < p.n; i += lanes_of<T>) store(p.references + i, load(p.exponents + i));
    index segments = 1;
    p.starts[0] = 0;
    for (index r = 0; r < p.rows; ++r) {
        const T* const x = p.exponents + r * p.row;
        const T* const reference = p.references + (segments - 1) * p.row;
        T* const to = p.near_keys + r * p.row;
        pack<T> outside = zero;
        for (index i = 0; i < p.n; i += lanes_of<T>) {
            const pack<T> d = load(x + i) - load(reference + i);
            outside = outside + choose(d <= max, zero, one);
            store(to + i, exp(choose(d > max, max, d)));
        }
        if (r == 0 || !any(outside > zero)) continue;
        T* const next = p.references + segments * p.row;
        for (index i = 0; i < p.n; i += lanes_of<T>) {
            const pack<T> before = load(reference + i);
            pack<T> m = before;
            for (index j = p.starts[segments - 1]; j <= r; ++j) {
                const pack<T> e = load(p.exponents + j * p.row + i);
                m = choose(e > m, e, m);
            }
            store(next + i, m);
            store(p.crossings + segments * p.row + i, exp(before - m));
            store(to + i, exp(load(x + i) - m));
        }
        p.starts[segments++] = r;
    }
    p.starts[segments] = p.rows;
    return segments;
}

// Queries as seen from the reference of the keys of a segment (null: none) and from the state's, over the
// largest of all their terms.
template <class T>
HEED_NOINLINE void relative_queries(const T* x, const T* reference, const T* level, const T* shift, index row,
                                    index rows, index n, T* since, T* of_state) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, x += row, since += row, of_state += row) {
        pack<T> m = load(x) + load(level);
        for (index i = 0; i < n; i += w) {
            const pack<T> e = load(x + i);
            m = larger(e + load(level + i), m);
            if (reference != nullptr) m = larger(e + load(reference + i), m);
        }
        T lanes[w];
        store(lanes, m);
        T max = lanes[0];
        for (int l = 1; l < w; ++l) max = lanes[l] > max ? lanes[l] : max;
        const pack<T> s = set<pack<T>>(max);
        const pack<T> largest = set<pack<T>>(sizeof(T) == 4 ? T(85) : T(700));  // where the state is zero
        for (index i = 0; i < n; i += w) {
            const pack<T> e = load(x + i);
            const pack<T> d = (e + load(shift + i)) - s;
            store(of_state + i, exp(choose(d > largest, largest, d)));
            if (reference != nullptr) store(since + i, exp((e + load(reference + i)) - s));
        }
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
