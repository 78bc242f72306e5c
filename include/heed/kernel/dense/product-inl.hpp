// SPDX-License-Identifier: MIT
// heed/kernel/dense/product-inl.hpp: a block of the dense product from panels, lanes along the columns
//
// A group of rows stays in the first-level cache while the panels of b pass by from the second. The numbers
// of a row are read where the caller has them if its terms are neighbours there; copying them first costs 2
// to 5 % and gains nothing.

#ifndef HEED_KERNEL_DENSE_PRODUCT_INL
#define HEED_KERNEL_DENSE_PRODUCT_INL

#include <heed/kernel/dense/pack-inl.hpp>
#include <heed/kernel/dense/problem.hpp>
#include <heed/kernel/multiply_add-inl.hpp>

#define HEED_FOREACH <heed/kernel/dense/product-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// A finished block of a sum, with the bias and what is in c.
template <class T>
HEED_INLINE pack<T> with_rest(const detail::dense_block<T>& p, pack<T> sum, index r, index column) {
    if (p.bias != nullptr) sum = (p.bias_of_rows ? set<pack<T>>(p.bias[r]) : load(p.bias + column)) + sum;
    return p.add ? load(p.c + r * p.c_row + column) + sum : sum;
}
// The same number by number, to where they stand.
template <class T>
HEED_INLINE void write_numbers(const detail::dense_block<T>& p, const T* sums, index r, index column,
                               index count) {
    T* const to = p.c + r * p.c_row + column * p.c_column;
    for (index l = 0; l < count; ++l) {
        T x = sums[l];
        if (p.bias != nullptr) x = p.bias[p.bias_of_rows ? r : column + l] + x;
        to[l * p.c_column] = p.add ? to[l * p.c_column] + x : x;
    }
}

// Lines fetched a few at a time, so that none waits for another.
struct line_reader {
    detail::memory_lines left;
    index at;
    index at_once;
};
HEED_INLINE void fetch_some(line_reader& f) {
    for (index n = 0; n < f.at_once && f.left.count > 0; ++n) {
        detail::fetch_line(f.left.first + f.at);
        f.at += 64;
        if (f.at < f.left.bytes) continue;
        f.at = 0;
        f.left.first += f.left.stride;
        --f.left.count;
    }
}

// Columns beyond the last are worked out and thrown away.
template <int Rows, int Packs, class T>
HEED_INLINE void multiply_tile(const detail::dense_block<T>& p, const T* a, const T* b, index r,
                               index column) {
    constexpr int w = lanes_of<T>;
    pack<T> sums[Rows][Packs];
    clear(sums);
    for (index i = 0; i < p.terms; ++i)
        add_products<T>(a + i * p.a_step, p.a_row, b + i * dense_packs * w, sums);
    const index columns = p.columns - column < Packs * w ? p.columns - column : index{Packs * w};
    if (p.c_column == 1 && columns == Packs * w) {
        HEED_UNROLL
        for (int q = 0; q < Rows; ++q) {
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j)
                store(p.c + (r + q) * p.c_row + column + j * w,
                      with_rest<T>(p, sums[q][j], r + q, column + j * w));
        }
        return;
    }
    HEED_UNROLL
    for (int q = 0; q < Rows; ++q) {
        T row[Packs * w];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) store(row + j * w, sums[q][j]);
        write_numbers(p, row, r + q, column, columns);
    }
}

template <int Rows, class T>
HEED_INLINE void multiply_group(const detail::dense_block<T>& p, index r, line_reader& soon) {
    constexpr int w = lanes_of<T>;
    constexpr index wide = dense_packs * w;
    constexpr index high = row_packs<T> * w;
    const T* const a = p.a + r / high * p.a_panel + r % high * p.a_row;
    const T* b = p.b;
    index column = 0;
    for (; column + wide <= p.columns; column += wide, b += wide * p.terms) {
        fetch_some(soon);
        multiply_tile<Rows, dense_packs>(p, a, b, r, column);
    }
    const index left = p.columns - column;
    if (left > 2 * w) return multiply_tile<Rows, 3>(p, a, b, r, column);
    if (left > w) return multiply_tile<Rows, 2>(p, a, b, r, column);
    if (left > 0) return multiply_tile<Rows, 1>(p, a, b, r, column);
}

template <class T>
HEED_NOINLINE void multiply_panels(const detail::dense_block<T>& p) {
    const index tiles = (p.columns / (dense_packs * lanes_of<T>)+1) * (p.rows / dense_rows + 1);
    line_reader soon{p.soon, 0, p.soon.count * (p.soon.bytes + 63) / 64 / tiles + 1};
    index r = 0;
    for (; r + dense_rows <= p.rows; r += dense_rows) multiply_group<dense_rows>(p, r, soon);
    if constexpr (dense_rows > 4)
        for (; r + 4 <= p.rows; r += 4) multiply_group<4>(p, r, soon);
    for (; r < p.rows; ++r) multiply_group<1>(p, r, soon);
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
