// SPDX-License-Identifier: MIT
// heed/kernel/product-inl.hpp: the inner product that both products of attention are made of
//
// Rows numbers of one operand, read where they stand, times a panel of Packs packs of lanes: as many sums
// as the registers hold beside the operands. At 32 registers 8 x 3 sums use 11 loads for 24 multiply-adds.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

// A product takes a whole group of 8 rows, or half of one where registers are few.
using detail::row_group;
template <int Packs>
inline constexpr int product_rows = HEED_SIMD_REGISTERS == 32 || Packs == 1 ? 8 : 4;

// A panel has up to three packs of lanes, and room for three.
template <class T>
inline constexpr int panel_lanes = detail::panel_packs * lanes_of<T>;

// sums[r][j] = sum over i of a[r * row_stride + i * step] * panel[i][j], from zero, in the order of i.
template <int Rows, int Packs, class T>
HEED_INLINE void product(const T* a, index row_stride, index step, const T* panel, index count,
                         pack<T> (&sums)[Rows][Packs]) {
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r)
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = set<pack<T>>(0);
    for (index i = 0; i < count; ++i) {
        pack<T> x[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) x[j] = load(panel + i * panel_lanes<T> + j * lanes_of<T>);
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            const pack<T> s = set<pack<T>>(a[r * row_stride + i * step]);
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) sums[r][j] = s * x[j] + sums[r][j];
        }
    }
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
