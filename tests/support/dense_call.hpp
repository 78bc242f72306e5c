// SPDX-License-Identifier: MIT
// tests/support/dense_call.hpp: the dense product of matrices of dense_matrix.hpp
#pragma once

#include <heed/kernel/dense/product.hpp>
#include <heed/thread_pool.hpp>

#include "dense_matrix.hpp"

namespace support {

template <class T>
heed::detail::matrix<T> matrix_of(dense_matrix<T>& x) {
    return {x.data(), x.rows, x.columns, x.row_stride, x.column_stride};
}
template <class T>
heed::detail::matrix<const T> matrix_of(const dense_matrix<T>& x) {
    return {x.data(), x.rows, x.columns, x.row_stride, x.column_stride};
}
// Rows [first, first + count).
template <class T>
heed::detail::matrix<T> rows_of(heed::detail::matrix<T> x, long first, long count) {
    x.data += first * x.row_stride;
    x.rows = count;
    return x;
}
template <class T>
heed::detail::matrix<T> columns_of(const heed::detail::matrix<T>& x, long first, long count) {
    return transposed(rows_of(transposed(x), first, count));
}

inline constexpr heed::detail::device_ref alone{};

template <class T>
void multiply(dense_matrix<T>& c, const dense_matrix<T>& a, const dense_matrix<T>& b,
              const std::vector<T>* bias, bool add, heed::detail::device_ref device = alone,
              heed::workspace* memory = nullptr) {
    heed::workspace own;
    heed::detail::multiply(matrix_of(c), matrix_of(a), matrix_of(b), bias == nullptr ? nullptr : bias->data(),
                           add, device, memory == nullptr ? own : *memory);
}

}  // namespace support
