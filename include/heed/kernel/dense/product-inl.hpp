// SPDX-License-Identifier: MIT
// heed/kernel/dense/product-inl.hpp: blocks of the dense product in registers

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

// Rows and packs of a register block: 8 x 3 sums of 32 registers, 4 x 3 of 16.
inline constexpr int dense_rows = HEED_SIMD_REGISTERS == 32 ? 8 : 4;
inline constexpr int dense_packs = 3;
// Packs of a panel of rows, which holds whole register blocks.
template <class T>
inline constexpr int row_packs = dense_rows > lanes_of<T> ? dense_rows / lanes_of<T> : 1;

template <int Rows, int Packs, class T>
HEED_INLINE void dense_tile(const detail::dense_block<T>& p, const T* a, const T* b, index r, index column) {
    constexpr int w = lanes_of<T>;
    constexpr int a_wide = row_packs<T> * w;
    constexpr int b_wide = dense_packs * w;
    T* const c = p.c + r * p.c_row + column * p.c_column;
    pack<T> sums[Rows][Packs];
    clear(sums);
    for (index i = 0; i < p.depth; ++i) add_products<T>(a + i * a_wide, index{1}, b + i * b_wide, sums);
    if (p.bias != nullptr && p.columns - column >= Packs * w) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            const pack<T> x = load(p.bias + column + j * w);
            HEED_UNROLL
            for (int q = 0; q < Rows; ++q) sums[q][j] = x + sums[q][j];
        }
    }
    if (p.c_column == 1 && p.columns - column >= Packs * w) {
        HEED_UNROLL
        for (int q = 0; q < Rows; ++q) {
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) {
                T* const to = c + q * p.c_row + j * w;
                store(to, p.add ? load(to) + sums[q][j] : sums[q][j]);
            }
        }
        return;
    }
    T tile[Packs * w];
    const index columns = p.columns - column < Packs * w ? p.columns - column : index{Packs * w};
    HEED_UNROLL
    for (int q = 0; q < Rows; ++q) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) store(tile + j * w, sums[q][j]);
        T* const to = c + q * p.c_row;
        for (index l = 0; l < columns; ++l) {
            T x = tile[l];
            if (p.bias != nullptr && columns < Packs * w) x = p.bias[column + l] + x;
            to[l * p.c_column] = p.add ? to[l * p.c_column] + x : x;
        }
    }
}

template <int Rows, class T>
HEED_INLINE void dense_group(const detail::dense_block<T>& p, const T* a, index r) {
    constexpr int w = lanes_of<T>;
    constexpr int wide = dense_packs * w;
    const T* b = p.b_panels;
    index column = 0;
    for (; column + wide <= p.columns; column += wide, b += wide * p.depth)
        dense_tile<Rows, dense_packs>(p, a, b, r, column);
    const index left = p.columns - column;
    if (left > 2 * w) return dense_tile<Rows, 3>(p, a, b, r, column);
    if (left > w) return dense_tile<Rows, 2>(p, a, b, r, column);
    if (left > 0) return dense_tile<Rows, 1>(p, a, b, r, column);
}

template <class T>
HEED_NOINLINE void multiply_panels(const detail::dense_block<T>& p) {
    constexpr int wide = row_packs<T> * lanes_of<T>;
    index r = 0;
    for (; r + dense_rows <= p.rows; r += dense_rows)
        dense_group<dense_rows>(p, p.a_panels + r / wide * wide * p.depth + r % wide, r);
    for (; r < p.rows; ++r) dense_group<1>(p, p.a_panels + r / wide * wide * p.depth + r % wide, r);
}

template <class T>
const detail::dense_leaves<T>& dense_leaves() {
    static constexpr detail::dense_leaves<T> table{
        row_packs<T> * lanes_of<T>,   dense_packs * lanes_of<T>, &pack_panels<row_packs<T>, T>,
        &pack_panels<dense_packs, T>, &multiply_panels<T>,
    };
    return table;
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
