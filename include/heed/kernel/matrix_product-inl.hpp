// SPDX-License-Identifier: MIT
// heed/kernel/matrix_product-inl.hpp: small matrix products, lanes along the columns
//
// Numbers of one operand are broadcast, rows of the other are packs. A sum runs over its terms in their
// order, from zero, whatever block of rows it stands in, so its bits do not depend on the blocking. In a
// triangle the terms that are not its own are left out rather than multiplied by zero: an infinity or NaN
// there reaches nothing.

#ifndef HEED_KERNEL_MATRIX_PRODUCT_INL
#define HEED_KERNEL_MATRIX_PRODUCT_INL

#include <heed/core/fetch.hpp>
#include <heed/kernel/matrix_product.hpp>
#include <heed/kernel/multiply_add-inl.hpp>

#define HEED_FOREACH <heed/kernel/matrix_product-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Of a triangle, row q takes term i where i <= q (lower), or i >= q.
enum class terms { all, lower, upper };

// How a product is cut: rows and packs of a register block, and the terms that are added up from zero before
// they join what was there, 0 for all of them. A product in such runs neither subtracts nor fetches.
template <int Rows, int Packs, index Run = 0, terms Which = terms::all>
struct product_blocks {
    static constexpr int rows = Rows;
    static constexpr int packs = Packs;
    static constexpr index run = Run;
    static constexpr terms which = Which;
};

// The terms around the diagonal of rows [r, r + Rows).
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

template <class Blocks, int Rows, int Packs, class T>
HEED_INLINE void multiply_block(const detail::matrix_product<T>& p, index r, index column) {
    static_assert(Blocks::run == 0 || Blocks::which == terms::all);
    const T* const a = p.a + r * p.a_row;
    const T* const b = p.b + column * lanes_of<T>;
    T* const c = p.c + r * p.c_row + column * lanes_of<T>;
    bool add = p.add > 0;
    index i = 0;
    index last = p.count;
    if constexpr (Blocks::which == terms::lower) last = r < p.count ? r : p.count;
    do {
        pack<T> sums[Rows][Packs];
        clear(sums);
        if constexpr (Blocks::which == terms::upper) {
            add_diagonal<Blocks::which>(p, r, b, sums);
            i = r + Rows;
        }
        const index end = Blocks::run == 0 || last - i < Blocks::run ? last : i + Blocks::run;
        for (; i < end; ++i) add_products<T>(a + i * p.a_step, p.a_row, b + i * p.b_row, sums);
        if constexpr (Blocks::which == terms::lower) add_diagonal<Blocks::which>(p, r, b, sums);
        HEED_UNROLL
        for (int q = 0; q < Rows; ++q) {
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) {
                T* const to = c + q * p.c_row + j * lanes_of<T>;
                pack<T> sum = sums[q][j];
                if (Blocks::run == 0 ? p.add > 0 : add) sum = load(to) + sum;
                if (Blocks::run == 0 && p.add < 0) sum = load(to) - sum;
                store(to, sum);
            }
        }
        add = true;
    } while (Blocks::run != 0 && i < last);
}

// The lines of block `number` among those that are wanted soon: so few at once that none waits for another.
inline constexpr index soon_lines = 16;
template <class T>
HEED_INLINE void fetch_soon(const detail::matrix_product<T>& p, index number) {
#if defined(__GNUC__) || defined(__clang__)
    const index first = number * soon_lines * 64;
    for (const detail::memory_span& span : p.soon) {
        if (first >= span.bytes) continue;
        for (index i = 0; i < soon_lines; ++i) detail::fetch_line(span.begin + first + i * 64);
    }
#endif
}

template <class Blocks, int Packs, class T>
HEED_INLINE void multiply_columns(const detail::matrix_product<T>& p, index column) {
    index r = 0;
    [[maybe_unused]] index number = column / Packs * (p.rows / Blocks::rows);
    for (; r + Blocks::rows <= p.rows; r += Blocks::rows) {
        if constexpr (Blocks::run == 0) fetch_soon(p, number++);
        multiply_block<Blocks, Blocks::rows, Packs>(p, r, column);
    }
    for (; r < p.rows; ++r) multiply_block<Blocks, 1, Packs>(p, r, column);
}

template <class Blocks, class T>
HEED_INLINE void multiply_in_blocks(const detail::matrix_product<T>& p) {
    index column = 0;
    for (; column + Blocks::packs <= p.columns; column += Blocks::packs)
        multiply_columns<Blocks, Blocks::packs>(p, column);
    if constexpr (Blocks::packs > 2)
        for (; column + 2 <= p.columns; column += 2) multiply_columns<Blocks, 2>(p, column);
    if (column < p.columns) multiply_columns<Blocks, 1>(p, column);
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
