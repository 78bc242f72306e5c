// SPDX-License-Identifier: MIT
// heed/kernel/pages/leaves-inl.hpp: what page bounds are made with, and what their estimates are read with
//
// A NaN stays in a bound, so that its page never looks harmless.

#ifndef HEED_KERNEL_PAGES_LEAVES_INL
#define HEED_KERNEL_PAGES_LEAVES_INL

#include <heed/core/index.hpp>
#include <heed/simd/pack-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct page_leaves {
    void (*extremes)(const T* rows, index stride, index count, index features, T* high, T* low, T* largest);
    void (*best)(const T* s, index row_stride, index rows, index count, const T* row_bounds, T* best);
    T (*largest)(const T* s, index count);
    void (*masses)(const T* s, index count, T shift, T limit, T* to);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/pages/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// The larger; NaN where either is NaN.
template <class V>
HEED_INLINE V larger_or_nan(V a, V x) {
    return choose((x > a) | (x != x), x, a);
}

// The same of single numbers.
template <class T>
HEED_INLINE T larger_number(T a, T x) {
    return ((x > a) | (x != x)) ? x : a;
}

// high = max(high, x), low = min(low, x) over `count` rows, then largest = max(largest, high, -low).
template <class T>
HEED_NOINLINE void page_extremes(const T* rows, index stride, index count, index features, T* high, T* low,
                                 T* largest) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    index f = 0;
    for (; f + w <= features; f += w) {
        V h = load(high + f);
        V l = set<V>(0) - load(low + f);
        for (index i = 0; i < count; ++i) {
            const V x = load(rows + i * stride + f);
            h = larger_or_nan(h, x);
            l = larger_or_nan(l, set<V>(0) - x);
        }
        store(high + f, h);
        store(low + f, set<V>(0) - l);
        store(largest + f, larger_or_nan(larger_or_nan(load(largest + f), h), l));
    }
    for (; f < features; ++f) {
        T h = high[f];
        T l = 0 - low[f];
        for (index i = 0; i < count; ++i) {
            const T x = rows[i * stride + f];
            h = larger_number<T>(h, x);
            l = larger_number<T>(l, 0 - x);
        }
        high[f] = h;
        low[f] = 0 - l;
        largest[f] = larger_number<T>(larger_number<T>(largest[f], h), l);
    }
}

// best[i] = max over rows of s[r][i] - row_bounds[r]; NaN where one is. Whole packs are read and written.
template <class T>
HEED_NOINLINE void page_best(const T* s, index row_stride, index rows, index count, const T* row_bounds,
                             T* best) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    for (index i = 0; i < count; i += w) {
        V b = load(s + i) - set<V>(row_bounds[0]);
        for (index r = 1; r < rows; ++r)
            b = larger_or_nan(b, load(s + r * row_stride + i) - set<V>(row_bounds[r]));
        store(best + i, b);
    }
}

// The largest of a row; whole packs are read.
template <class T>
HEED_NOINLINE T page_largest(const T* s, index count) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V largest = load(s);
    for (index i = w; i < count; i += w) largest = larger_or_nan(largest, load(s + i));
    T lane[w];
    store(lane, largest);
    T m = lane[0];
    for (int l = 1; l < w; ++l) m = larger_number<T>(m, lane[l]);
    return m;
}

// to[i] = e^(s[i] + shift); what is above `limit`, which must not overflow, becomes e^limit. Whole packs are
// read and written.
template <class T>
HEED_NOINLINE void page_masses(const T* s, index count, T shift, T limit, T* to) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    const V largest = set<V>(limit);
    for (index i = 0; i < count; i += w) {
        const V x = load(s + i) + set<V>(shift);
        store(to + i, exp(choose(largest < x, largest, x)));
    }
}

template <class T>
const detail::page_leaves<T>& page_leaves() {
    static constexpr detail::page_leaves<T> table{
        .extremes = &page_extremes<T>,
        .best = &page_best<T>,
        .largest = &page_largest<T>,
        .masses = &page_masses<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
