// SPDX-License-Identifier: MIT
// heed/kernel/dense/problem.hpp: what the leaves of the dense product are asked for
#pragma once

#include <heed/kernel/dense/matrix.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// Terms of a sum that stand in registers from zero; the blocks are added in c.
inline constexpr index depth_block = 256;

// A block of c = a b, from panels: a_panels hold the rows' numbers (term, row), b_panels the columns' (term,
// column).
template <class T>
struct dense_block {
    const T* a_panels;
    const T* b_panels;
    index depth;
    T* c;
    index c_row;
    index c_column;
    index rows;
    index columns;
    const T* bias;  // one for each column, or null
    bool add;       // to what stands in c
};

template <class T>
struct dense_leaves {
    index row_panel;     // rows of a panel of a
    index column_panel;  // columns of a panel of b
    // Panels of `lanes` lanes, (term, lane) each, the last one filled up with zeros.
    void (*pack_rows)(const T* from, index lane_stride, index term_stride, index lanes, index terms, T* to);
    void (*pack_columns)(const T* from, index lane_stride, index term_stride, index lanes, index terms,
                         T* to);
    void (*multiply)(const dense_block<T>&);
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
