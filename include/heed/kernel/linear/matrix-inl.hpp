// SPDX-License-Identifier: MIT
// heed/kernel/linear/matrix-inl.hpp: small matrix products and triangular solves, lanes along the columns
//
// Numbers of one operand are broadcast, rows of the other are packs. A sum runs over its terms in their
// order, from zero, whatever block of rows it stands in, so its bits do not depend on the blocking. In a
// triangle the terms that are not its own are left out rather than multiplied by zero: an infinity or NaN
// there reaches nothing.

#ifndef HEED_KERNEL_LINEAR_MATRIX_INL
#define HEED_KERNEL_LINEAR_MATRIX_INL

#include <heed/core/fetch.hpp>
#include <heed/kernel/linear/problem.hpp>
#include <heed/kernel/multiply_add-inl.hpp>

#define HEED_FOREACH <heed/kernel/linear/matrix-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Rows and packs of a register block: 8 x 2 sums of 32 registers, 4 x 3 of 16.
inline constexpr int matrix_rows = HEED_SIMD_REGISTERS == 32 ? 8 : 4;
inline constexpr int matrix_packs = HEED_SIMD_REGISTERS == 32 ? 2 : 3;

enum class terms { all, lower, upper };

// The terms around the diagonal of rows [r, r + Rows): row q takes term i where i <= q, or i >= q.
template <terms Which, int Rows, int Packs, class T>
HEED_INLINE void add_diagonal(const detail::matrix_product<T>& p, index r, const T* b,
                              pack<T> (&sums)[Rows][Packs]) {
    const T* const a = p.a + r * p.a_row;
    HEED_UNROLL
    for (int i = 0; i < Rows; ++i) {
        if (r + i >= p.count) break;
        pack<T> x[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) x[j] = load(b + (r + i) * p.b_row + j * lanes_of<T>);
        HEED_UNROLL
        for (int q = 0; q < Rows; ++q) {
            if (Which == terms::lower ? q < i : q > i) continue;
            const pack<T> s = set<pack<T>>(a[q * p.a_row + (r + i) * p.a_step]);
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) sums[q][j] = s * x[j] + sums[q][j];
        }
    }
}

template <terms Which, int Rows, int Packs, class T>
HEED_INLINE void multiply_block(const detail::matrix_product<T>& p, index r, index column) {
    pack<T> sums[Rows][Packs];
    clear(sums);
    const T* const a = p.a + r * p.a_row;
    const T* const b = p.b + column * lanes_of<T>;
    index i = 0;
    index end = p.count;
    if constexpr (Which == terms::lower) end = r < p.count ? r : p.count;
    if constexpr (Which == terms::upper) {
        add_diagonal<Which>(p, r, b, sums);
        i = r + Rows;
    }
    for (; i < end; ++i) add_products<T>(a + i * p.a_step, p.a_row, b + i * p.b_row, sums);
    if constexpr (Which == terms::lower) add_diagonal<Which>(p, r, b, sums);
    T* const c = p.c + r * p.c_row + column * lanes_of<T>;
    HEED_UNROLL
    for (int q = 0; q < Rows; ++q) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            T* const to = c + q * p.c_row + j * lanes_of<T>;
            pack<T> sum = sums[q][j];
            if (p.add > 0) sum = load(to) + sum;
            if (p.add < 0) sum = load(to) - sum;
            store(to, sum);
        }
    }
}

// The lines of block `turn` among those that are wanted soon: so few at once that none waits for another.
inline constexpr index soon_lines = 16;
template <class T>
HEED_INLINE void fetch_soon(const detail::matrix_product<T>& p, index turn) {
#if defined(__GNUC__) || defined(__clang__)
    const index first = turn * soon_lines * 64;
    for (const detail::memory_span& span : p.soon) {
        if (first >= span.bytes) continue;
        for (index i = 0; i < soon_lines; ++i) detail::fetch_line(span.begin + first + i * 64);
    }
#endif
}

template <terms Which, int Packs, class T>
HEED_INLINE void multiply_columns(const detail::matrix_product<T>& p, index column) {
    index r = 0;
    index turn = column / Packs * (p.rows / matrix_rows);
    for (; r + matrix_rows <= p.rows; r += matrix_rows) {
        fetch_soon(p, turn++);
        multiply_block<Which, matrix_rows, Packs>(p, r, column);
    }
    for (; r < p.rows; ++r) multiply_block<Which, 1, Packs>(p, r, column);
}

template <terms Which, class T>
HEED_NOINLINE void multiply_matrix(const detail::matrix_product<T>& p) {
    index column = 0;
    for (; column + matrix_packs <= p.columns; column += matrix_packs)
        multiply_columns<Which, matrix_packs>(p, column);
    if constexpr (matrix_packs == 3)
        if (p.columns - column == 2) return multiply_columns<Which, 2>(p, column);
    if (column < p.columns) multiply_columns<Which, 1>(p, column);
}

template <class T>
void multiply_whole_matrix(const detail::matrix_product<T>& p) {
    multiply_matrix<terms::all>(p);
}

// Row groups against the columns up to their last row.
template <class T>
HEED_NOINLINE void multiply_to_lower(const detail::matrix_product<T>& p) {
    detail::matrix_product<T> part = p;
    for (index r = 0; r < p.rows; r += part.rows) {
        part.rows = p.rows - r < matrix_rows ? p.rows - r : index{matrix_rows};
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
