// SPDX-License-Identifier: MIT
// heed/kernel/dense/problem.hpp: what the leaves of the dense product take
#pragma once

#include <heed/core/fetch.hpp>
#include <heed/kernel/dense/matrix.hpp>

namespace heed::inline HEED_ABI::detail {

// Terms of a sum that stand in registers from zero; the blocks are added in c.
inline constexpr index depth_block = 256;

// Lines of memory that are wanted soon: `count` runs of `bytes`, `stride` bytes apart.
struct memory_lines {
    const char* first = nullptr;
    index stride = 0;
    index bytes = 0;
    index count = 0;
};

// A block of c = a b. Rows of a stand in panels; the number (row, term) of a panel at row * a_row + term *
// a_step. b stands in panels (term, column), one after the other; for a few rows where the caller has it,
// b_row apart.
template <class T>
struct dense_block {
    const T* a;
    index a_panel;
    index a_row;
    index a_step;
    const T* b;
    index b_row;
    index terms;
    T* c;
    index c_row;
    index c_column;
    index rows;
    index columns;
    const T* bias;  // a number for each row or column, or null
    bool bias_of_rows;
    bool add;  // to what stands in c
    T* sums;   // of a few rows: rows times the columns in whole packs
    memory_lines soon = {};
};

template <class T>
struct dense_leaves {
    index row_panel;     // rows of a panel of a
    index column_panel;  // columns of a panel of b
    // Rows, or columns, to panels (term, lane); the last one is filled up with zeros.
    void (*pack_rows)(const T* from, index lane_stride, index term_stride, index lanes, index terms, T* to);
    void (*pack_columns)(const T* from, index lane_stride, index term_stride, index lanes, index terms,
                         T* to);
    void (*multiply)(const dense_block<T>&);
    // The columns of b are neighbours, and there is a pack of them at least, counting those before the block.
    void (*multiply_few)(const dense_block<T>&);
};

}  // namespace heed::inline HEED_ABI::detail
