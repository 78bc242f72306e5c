// SPDX-License-Identifier: MIT
// heed/kernel/exact/product-inl.hpp: the inner product that both products of attention are made of
//
// Rows numbers of one operand, read where they stand, times a panel of Packs packs of lanes: as many sums
// as the registers hold beside the operands. 4 x 3 sums in two
// chains use 14 loads for 24 multiply-adds.

#ifndef HEED_KERNEL_EXACT_PRODUCT_INL
#define HEED_KERNEL_EXACT_PRODUCT_INL

#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/multiply_add-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/product-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// A product takes a group of 8 rows, or half of one where registers are few, or hold two chains of sums.
template <int Packs>
inline constexpr int product_rows = Packs == 1 ? 8 : 4;
inline constexpr bool side_by_side = HEED_SIMD_REGISTERS == 32;
// Terms of one chain of an output's keys; of a score's features it is a quarter.
inline constexpr index output_chain = 64;

// A panel has up to three packs of lanes, and room for three.
template <class T>
inline constexpr int panel_lanes = detail::panel_packs * lanes_of<T>;

template <int Rows, int Packs, class V>
HEED_INLINE void add_sums(const V (&added)[Rows][Packs], V (&sums)[Rows][Packs]) {
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = added[r][j] + sums[r][j];
    }
}

// sums[r][j] = sum over i of a[r * row_stride + i * step] * panel[i][j], from zero, in the order of i.
template <int Rows, int Packs, class T>
HEED_INLINE void product(const T* a, index row_stride, index step, const T* panel, index count,
                         pack<T> (&sums)[Rows][Packs]) {
    clear(sums);
    for (index i = 0; i < count; ++i)
        add_products<T>(a + i * step, row_stride, panel + i * panel_lanes<T>, sums);
}

// The same sum in short chains, so that its rounding error grows with the root of the length: even and odd
// i in two chains side by side where registers are many; where they are few, runs of chain_length one after
// the other, beginning where begin + i is a multiple of it.
template <int Rows, int Packs, class T>
HEED_INLINE void product_of_chains(const T* a, index row_stride, index step, const T* panel, index begin,
                                   index count, index chain_length, pack<T> (&sums)[Rows][Packs]) {
    pack<T> chain[Rows][Packs];
    clear(sums);
    clear(chain);
    index i = 0;
    if constexpr (side_by_side) {
        for (; i + 2 <= count; i += 2) {
            add_products<T>(a + i * step, row_stride, panel + i * panel_lanes<T>, sums);
            add_products<T>(a + (i + 1) * step, row_stride, panel + (i + 1) * panel_lanes<T>, chain);
        }
        if (i < count) add_products<T>(a + i * step, row_stride, panel + i * panel_lanes<T>, sums);
        add_sums(chain, sums);
    } else {
        while (i < count) {
            const index run = chain_length - (begin + i) % chain_length;
            const index length = count - i < run ? count - i : run;
            product(a + i * step, row_stride, step, panel + i * panel_lanes<T>, length, chain);
            add_sums(chain, sums);
            i += length;
        }
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
