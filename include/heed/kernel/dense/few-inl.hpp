// SPDX-License-Identifier: MIT
// heed/kernel/dense/few-inl.hpp: a block of the dense product for a few rows, at the speed of memory
//
// b is read where it stands, some terms at a time along their columns; the sums of the rows are in memory,
// in the first-level cache. Every sum takes its terms in the order of the register blocks, so it has their
// bits.

#ifndef HEED_KERNEL_DENSE_FEW_INL
#define HEED_KERNEL_DENSE_FEW_INL

#include <heed/kernel/dense/product-inl.hpp>

#define HEED_FOREACH <heed/kernel/dense/few-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Terms [i, i + Terms) for rows [r, r + Rows), while the next as many are fetched.
template <int Rows, int Terms, class T>
HEED_INLINE void add_terms(const detail::dense_block<T>& p, index r, index i) {
    constexpr int w = lanes_of<T>;
    const index wide = detail::rounded_up(p.columns, w);
    const T* const b = p.b + i * p.b_row;
    T* const sums = p.sums + r * wide;
    const index ahead = i + 2 * Terms <= p.terms ? Terms * p.b_row : 0;
    pack<T> x[Rows][Terms];
    HEED_UNROLL
    for (int q = 0; q < Rows; ++q) {
        HEED_UNROLL
        for (int t = 0; t < Terms; ++t) x[q][t] = set<pack<T>>(p.a[(r + q) * p.a_row + (i + t) * p.a_step]);
    }
    for (index j = 0; j < wide; j += w) {
        // The last pack ends with the last column, whatever columns it shares with the one before.
        const T* const from = b + (j + w <= p.columns ? j : p.columns - w);
        pack<T> sum[Rows];
        HEED_UNROLL
        for (int q = 0; q < Rows; ++q) sum[q] = load(sums + q * wide + j);
        HEED_UNROLL
        for (int t = 0; t < Terms; ++t) {
            if (Terms > 1 && j % line_numbers<T> == 0) detail::fetch_line(from + t * p.b_row + ahead);
            const pack<T> y = load(from + t * p.b_row);
            HEED_UNROLL
            for (int q = 0; q < Rows; ++q) sum[q] = x[q][t] * y + sum[q];
        }
        HEED_UNROLL
        for (int q = 0; q < Rows; ++q) store(sums + q * wide + j, sum[q]);
    }
}

template <int Rows, class T>
HEED_INLINE void add_all_terms(const detail::dense_block<T>& p, index r) {
    constexpr int fitting = HEED_SIMD_REGISTERS / 2 / Rows;  // numbers of a in half of the registers
    constexpr int terms = fitting > 8 ? 8 : fitting;
    index i = 0;
    for (; i + terms <= p.terms; i += terms) add_terms<Rows, terms>(p, r, i);
    for (; i < p.terms; ++i) add_terms<Rows, 1>(p, r, i);
}

template <class T>
HEED_NOINLINE void multiply_few(const detail::dense_block<T>& p) {
    constexpr int w = lanes_of<T>;
    const index wide = detail::rounded_up(p.columns, w);
    for (index j = 0; j < p.rows * wide; j += w) store(p.sums + j, set<pack<T>>(0));
    index r = 0;
    for (; r + 4 <= p.rows; r += 4) add_all_terms<4>(p, r);
    if (r + 3 == p.rows) add_all_terms<3>(p, r);
    if (r + 2 == p.rows) add_all_terms<2>(p, r);
    if (r + 1 == p.rows) add_all_terms<1>(p, r);
    const index whole = p.columns / w * w;
    for (r = 0; r < p.rows; ++r) {
        const T* const sums = p.sums + r * wide;
        if (p.c_column != 1)
            write_numbers(p, sums, r, 0, whole);
        else
            for (index j = 0; j < whole; j += w)
                store(p.c + r * p.c_row + j, with_rest<T>(p, load(sums + j), r, j));
        write_numbers(p, sums + w + 2 * whole - p.columns, r, whole, p.columns - whole);
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
