// SPDX-License-Identifier: MIT
// heed/kernel/linear/matrix-inl.hpp: small matrix products and triangular solves, lanes along the columns
//
// The product is that of kernel/matrix_product-inl.hpp.

#ifndef HEED_KERNEL_LINEAR_MATRIX_INL
#define HEED_KERNEL_LINEAR_MATRIX_INL

#include <heed/kernel/linear/problem.hpp>
#include <heed/kernel/matrix_product-inl.hpp>

#define HEED_FOREACH <heed/kernel/linear/matrix-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// 8 x 2 sums of 32 registers, 4 x 3 of 16.
template <terms Which>
using matrix_blocks =
    product_blocks<HEED_SIMD_REGISTERS == 32 ? 8 : 4, HEED_SIMD_REGISTERS == 32 ? 2 : 3, 0, Which>;

template <terms Which, class T>
HEED_NOINLINE void multiply_matrix(const detail::matrix_product<T>& p) {
    multiply_in_blocks<matrix_blocks<Which>>(p);
}

template <class T>
void multiply_whole_matrix(const detail::matrix_product<T>& p) {
    multiply_matrix<terms::all>(p);
}

// Row groups against the columns up to their last row.
template <class T>
HEED_NOINLINE void multiply_to_lower(const detail::matrix_product<T>& p) {
    constexpr index group = matrix_blocks<terms::all>::rows;
    detail::matrix_product<T> part = p;
    for (index r = 0; r < p.rows; r += part.rows) {
        part.rows = p.rows - r < group ? p.rows - r : group;
        const index needed = (r + part.rows + lanes_of<T> - 1) / lanes_of<T>;
        part.columns = needed < p.columns ? needed : p.columns;
        part.a = p.a + r * p.a_row;
        part.c = p.c + r * p.c_row;
        multiply_matrix<terms::all>(part);
    }
}

// Forward substitution: x_i -= sum over j < i of L_ij x_j, a group of rows at a time.
template <int Rows, int Packs, class T>
HEED_INLINE void solve_lower_block(const detail::matrix_product<T>& p, index r, index column) {
    constexpr int w = lanes_of<T>;
    const T* const l = p.a + r * p.a_row;
    T* const x = p.c + column * w;
    pack<T> sums[Rows][Packs];
    clear(sums);
    for (index j = 0; j < r; ++j) add_products<T>(l + j * p.a_step, p.a_row, x + j * p.c_row, sums);
    HEED_UNROLL
    for (int i = 0; i < Rows; ++i) {
        HEED_UNROLL
        for (int c = 0; c < Packs; ++c) {
            T* const to = x + (r + i) * p.c_row + c * w;
            sums[i][c] = load(to) - sums[i][c];
            store(to, sums[i][c]);
        }
        HEED_UNROLL
        for (int q = i + 1; q < Rows; ++q) {
            const pack<T> s = set<pack<T>>(l[q * p.a_row + (r + i) * p.a_step]);
            HEED_UNROLL
            for (int c = 0; c < Packs; ++c) sums[q][c] = s * sums[i][c] + sums[q][c];
        }
    }
}
// Backward substitution with the transpose: x_i -= sum over j > i of L_ji x_j.
template <int Rows, int Packs, class T>
HEED_INLINE void solve_upper_block(const detail::matrix_product<T>& p, index r, index column) {
    constexpr int w = lanes_of<T>;
    T* const x = p.c + column * w;
    pack<T> sums[Rows][Packs];
    clear(sums);
    for (index j = r + Rows; j < p.rows; ++j)
        add_products<T>(p.a + j * p.a_row + r * p.a_step, p.a_step, x + j * p.c_row, sums);
    HEED_UNROLL
    for (int i = Rows - 1; i >= 0; --i) {
        HEED_UNROLL
        for (int c = 0; c < Packs; ++c) {
            T* const to = x + (r + i) * p.c_row + c * w;
            sums[i][c] = load(to) - sums[i][c];
            store(to, sums[i][c]);
        }
        HEED_UNROLL
        for (int q = 0; q < i; ++q) {
            const pack<T> s = set<pack<T>>(p.a[(r + i) * p.a_row + (r + q) * p.a_step]);
            HEED_UNROLL
            for (int c = 0; c < Packs; ++c) sums[q][c] = s * sums[i][c] + sums[q][c];
        }
    }
}

template <class T>
HEED_NOINLINE void solve_lower(const detail::matrix_product<T>& p) {
    for (index column = 0; column < p.columns; ++column) {
        index r = 0;
        for (; r + 8 <= p.rows; r += 8) solve_lower_block<8, 1>(p, r, column);
        for (; r < p.rows; ++r) solve_lower_block<1, 1>(p, r, column);
    }
}
template <class T>
HEED_NOINLINE void solve_upper(const detail::matrix_product<T>& p) {
    for (index column = 0; column < p.columns; ++column) {
        index r = p.rows;
        for (; r % 8 != 0; --r) solve_upper_block<1, 1>(p, r - 1, column);
        for (; r > 0; r -= 8) solve_upper_block<8, 1>(p, r - 8, column);
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
