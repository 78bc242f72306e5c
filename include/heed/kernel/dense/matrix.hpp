// SPDX-License-Identifier: MIT
// heed/kernel/dense/matrix.hpp: a matrix as the dense product sees it: numbers with two strides
#pragma once

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

// T is float or double, const where it is only read; strides count elements.
template <class T>
struct matrix {
    T* data;
    index rows;
    index columns;
    index row_stride;
    index column_stride;
    operator matrix<const T>() const { return {data, rows, columns, row_stride, column_stride}; }
};

// The same numbers, rows and columns having changed places.
template <class T>
matrix<T> transposed(const matrix<T>& m) {
    return {m.data, m.columns, m.rows, m.column_stride, m.row_stride};
}

}  // namespace heed::inline HEED_ABI::detail
