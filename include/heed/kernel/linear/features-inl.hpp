// SPDX-License-Identifier: MIT
// heed/kernel/linear/features-inl.hpp: the feature maps that a target offers, and their gradients
//
//     elu1     x > 0 ? x + 1 : e^x          relu    max(x, 0)          softmax    over the row
//
// Rows are padded to whole packs; what a map leaves in the padding is zero, so that later sums may run
// over whole packs.

#ifndef HEED_KERNEL_LINEAR_FEATURES_INL
#define HEED_KERNEL_LINEAR_FEATURES_INL

#include <heed/kernel/lanes-inl.hpp>
#include <heed/kernel/linear/problem.hpp>

#define HEED_FOREACH <heed/kernel/linear/features-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class T>
HEED_INLINE void clear_padding(T* row, index n) {
    for (; n % lanes_of<T> != 0; ++n) row[n] = 0;
}

struct elu1_map {
    template <class V>
    static HEED_INLINE V value(V x) {
        const V zero = set<V>(0);
        const V below = choose(x > zero, zero, x);
        return choose(x > zero, x + constants<element_of<V>>::one, exp_of_negative(below));
    }
    template <class V>
    static HEED_INLINE V slope(V x, V phi) {
        return choose(x > set<V>(0), set<V>(1), phi);
    }
};

struct relu_map {
    template <class V>
    static HEED_INLINE V value(V x) {
        return choose(x <= set<V>(0), set<V>(0), x);  // NaN stays
    }
    template <class V>
    static HEED_INLINE V slope(V x, V) {
        return choose(x > set<V>(0), set<V>(1), set<V>(0));
    }
};

template <class Map, class T>
HEED_NOINLINE void map_elements(const void*, const T* from, index from_row, T* to, index to_row, index rows,
                                index features) {
    for (index r = 0; r < rows; ++r, from += from_row, to += to_row) {
        for (index f = 0; f < features; f += lanes_of<T>) store(to + f, Map::value(load(from + f)));
        clear_padding(to, features);
    }
}
template <class Map, class T>
HEED_NOINLINE void map_gradient(const void*, const T* x, index x_row, const T* phi, T* dphi, index phi_row,
                                T* dx, index dx_row, index rows, index features) {
    for (index r = 0; r < rows; ++r, x += x_row, phi += phi_row, dphi += phi_row, dx += dx_row)
        for (index f = 0; f < features; f += lanes_of<T>)
            store(dx + f, load(dphi + f) * Map::slope(load(x + f), load(phi + f)));
}

// The largest number of a row.
template <class T>
HEED_INLINE T largest_of_row(const T* x, index n) {
    T max = x[0];
    for (index i = 1; i < n; ++i) max = x[i] > max ? x[i] : max;
    return max;
}

template <class T>
HEED_NOINLINE void softmax_rows(const void*, const T* from, index from_row, T* to, index to_row, index rows,
                                index features) {
    for (index r = 0; r < rows; ++r, from += from_row, to += to_row) {
        const T max = largest_of_row(from, features);
        pack<T> sum = set<pack<T>>(0);
        for (index f = 0; f < features; f += lanes_of<T>) {
            store(to + f, exp_of_negative(-larger(set<pack<T>>(0), set<pack<T>>(max) - load(from + f))));
            if (f + lanes_of < T >> features) clear_padding(to, features);
            sum = sum + load(to + f);
        }
        const pack<T> factor = set<pack<T>>(T(1) / sum_of_lanes<T>(sum));
        for (index f = 0; f < features; f += lanes_of<T>) store(to + f, load(to + f) * factor);
    }
}
// dx = phi (dphi - <dphi, phi>)
template <class T>
HEED_NOINLINE void softmax_gradient(const void*, const T*, index, const T* phi, T* dphi, index phi_row, T* dx,
                                    index dx_row, index rows, index features) {
    for (index r = 0; r < rows; ++r, phi += phi_row, dphi += phi_row, dx += dx_row) {
        pack<T> sum = set<pack<T>>(0);
        for (index f = 0; f < features; f += lanes_of<T>) sum = load(dphi + f) * load(phi + f) + sum;
        const pack<T> mean = set<pack<T>>(sum_of_lanes<T>(sum));
        for (index f = 0; f < features; f += lanes_of<T>)
            store(dx + f, load(phi + f) * (load(dphi + f) - mean));
    }
}

template <class T>
HEED_NOINLINE void exponentials(T* x, index row, const T* shift, T factor, bool largest, index rows,
                                index n) {
    for (index r = 0; r < rows; ++r, x += row) {
        const pack<T> s = set<pack<T>>(largest ? -largest_of_row(x, n) : shift[r]);
        for (index i = 0; i < n; i += lanes_of<T>) store(x + i, exp(load(x + i) + s) * set<pack<T>>(factor));
        clear_padding(x, n);
    }
}

template <class T>
HEED_NOINLINE void scan_columns(const T* x, index row, index rows, index n, T* max, T* sum) {
    for (index i = 0; i < n; i += lanes_of<T>) {
        const pack<T> before = load(max + i);
        pack<T> m = before;
        for (index r = 0; r < rows; ++r) m = larger(load(x + r * row + i), m);
        pack<T> s = load(sum + i) * exp_of_negative(before - m);
        for (index r = 0; r < rows; ++r) s = s + exp_of_negative(load(x + r * row + i) - m);
        store(max + i, m);
        store(sum + i, s);
    }
}
template <class T>
HEED_NOINLINE void map_columns(const void* context, const T* from, index from_row, T* to, index to_row,
                               index rows, index features) {
    const auto& c = *static_cast<const detail::column_context<T>*>(context);
    for (index r = 0; r < rows; ++r, from += from_row, to += to_row) {
        for (index f = 0; f < features; f += lanes_of<T>)
            store(to + f, exp_of_negative(load(from + f) - load(c.max + f)) * load(c.inverse + f));
        clear_padding(to, features);
    }
}
// dx = phi (dphi - mean)
template <class T>
HEED_NOINLINE void columns_gradient(const void* context, const T*, index, const T* phi, T* dphi,
                                    index phi_row, T* dx, index dx_row, index rows, index features) {
    const auto& c = *static_cast<const detail::column_context<T>*>(context);
    for (index r = 0; r < rows; ++r, phi += phi_row, dphi += phi_row, dx += dx_row)
        for (index f = 0; f < features; f += lanes_of<T>)
            store(dx + f, load(phi + f) * (load(dphi + f) - load(c.mean + f)));
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
