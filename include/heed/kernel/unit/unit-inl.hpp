// SPDX-License-Identifier: MIT
// heed/kernel/unit/unit-inl.hpp: rows of length 1, and their gradient
//
// A pack of rows at a time, whose sums are reduced together; behind the last row stands itself again.

#ifndef HEED_KERNEL_UNIT_UNIT_INL
#define HEED_KERNEL_UNIT_UNIT_INL

#include <heed/kernel/lanes-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct unit_leaves {
    void (*rows)(const T* x, index x_row, T* y, index y_row, T* r, T least, index rows, index n);
    void (*gradient)(T* d, index d_row, const T* y, index y_row, const T* r, index rows, index n);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/unit/unit-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// <a_l, b_l> of a pack of rows.
template <class T>
HEED_INLINE pack<T> products_of_rows(const T* a, index a_row, const T* b, index b_row, index left, index n) {
    constexpr int w = lanes_of<T>;
    pack<T> sums[w];
    HEED_UNROLL
    for (int l = 0; l < w; ++l) {
        const index row = l < left ? l : left - 1;
        const T* const x = a + row * a_row;
        const T* const y = b + row * b_row;
        pack<T> sum = set<pack<T>>(0);
        for (index i = 0; i < n; i += w)
            sum = load_or(x + i, n - i, T(0)) * load_or(y + i, n - i, T(0)) + sum;
        sums[l] = sum;
    }
    return lane_sums<T>(sums);
}

// The same row where <x, x> overflows: of x 2^-96, or 2^-768 in double, squares neither overflow nor vanish.
template <class T>
HEED_NOINLINE void unit_of_long_row(const T* x, T* y, T* r, index n) {
    const T down = constants<T>::overflow_scale;
    T square = 0;
    for (index f = 0; f < n; ++f) square += (x[f] * down) * (x[f] * down);
    T factor[lanes_of<T>];
    store(factor, set<pack<T>>(1) / sqrt(set<pack<T>>(square)));
    for (index f = 0; f < n; ++f) y[f] = x[f] * down * factor[0];
    *r = factor[0] * down;
}
// y = x r, r = 1 / sqrt(<x, x> + least)
template <class T>
HEED_NOINLINE void unit_rows(const T* x, index x_row, T* y, index y_row, T* r, T least, index rows, index n) {
    constexpr int w = lanes_of<T>;
    for (index i = 0; i < rows; i += w, x += w * x_row, y += w * y_row) {
        const pack<T> square = products_of_rows(x, x_row, x, x_row, rows - i, n);
        store_some(r + i, rows - i, set<pack<T>>(1) / sqrt(square + set<pack<T>>(least)));
        for (index l = 0; l < w && i + l < rows; ++l) {
            if (r[i + l] == 0) {
                unit_of_long_row(x + l * x_row, y + l * y_row, r + i + l, n);
                continue;
            }
            const pack<T> factor = set<pack<T>>(r[i + l]);
            for (index f = 0; f < n; f += w)
                store_some(y + l * y_row + f, n - f, load_or(x + l * x_row + f, n - f, T(0)) * factor);
        }
    }
}
// In place, dx = r (dy - y <y, dy>)
template <class T>
HEED_NOINLINE void unit_gradient(T* d, index d_row, const T* y, index y_row, const T* r, index rows,
                                 index n) {
    constexpr int w = lanes_of<T>;
    for (index i = 0; i < rows; i += w, d += w * d_row, y += w * y_row) {
        T along[w];
        store(along, products_of_rows<T>(y, y_row, d, d_row, rows - i, n));
        for (index l = 0; l < w && i + l < rows; ++l) {
            const pack<T> back = set<pack<T>>(along[l]);
            const pack<T> factor = set<pack<T>>(r[i + l]);
            T* const row = d + l * d_row;
            for (index f = 0; f < n; f += w)
                store_some(
                    row + f, n - f,
                    (load_or<T>(row + f, n - f, T(0)) - load_or(y + l * y_row + f, n - f, T(0)) * back) *
                        factor);
        }
    }
}

template <class T>
const detail::unit_leaves<T>& unit_leaves() {
    static constexpr detail::unit_leaves<T> table{
        .rows = &unit_rows<T>,
        .gradient = &unit_gradient<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
