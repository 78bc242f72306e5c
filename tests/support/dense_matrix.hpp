// SPDX-License-Identifier: MIT
// tests/support/dense_matrix.hpp: matrices in memory of any layout, and their product by the book
//
// What lies between the elements and around them is NaN: read, it shows in the result; written, it is seen.
// The reference sums in a wider type, one term after the other.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "random.hpp"

namespace support {

enum class storage { rows, columns, padded_rows, padded_columns, spread };
inline constexpr storage all_storages[] = {storage::rows, storage::columns, storage::padded_rows,
                                           storage::padded_columns, storage::spread};

template <class T>
struct dense_matrix {
    long rows, columns, row_stride, column_stride, first;
    std::vector<T> memory;

    dense_matrix(long m, long n, storage kind, long margin = 5) : rows(m), columns(n), first(margin) {
        const bool turned = kind == storage::columns || kind == storage::padded_columns;
        const bool padded = kind == storage::padded_rows || kind == storage::padded_columns;
        const long step = kind == storage::spread ? 3 : 1;
        const long line = (turned ? m : n) * step + (padded || step > 1 ? 7 : 0);
        row_stride = turned ? step : line;
        column_stride = turned ? line : step;
        const long size = 2 * margin + (turned ? n : m) * line;
        memory.assign(static_cast<std::size_t>(size), std::numeric_limits<T>::quiet_NaN());
    }
    T* data() { return memory.data() + first; }
    const T* data() const { return memory.data() + first; }
    std::size_t place(long i, long j) const {
        return static_cast<std::size_t>(first + i * row_stride + j * column_stride);
    }
    T& at(long i, long j) { return memory[place(i, j)]; }
    T at(long i, long j) const { return memory[place(i, j)]; }

    void fill(random& r) {
        for (long i = 0; i < rows; ++i)
            for (long j = 0; j < columns; ++j) at(i, j) = static_cast<T>(r.uniform(-1, 1));
    }
    // The same elements, stored in another way.
    dense_matrix as(storage kind) const {
        dense_matrix to(rows, columns, kind);
        for (long i = 0; i < rows; ++i)
            for (long j = 0; j < columns; ++j) to.at(i, j) = at(i, j);
        return to;
    }
    std::vector<T> elements() const {
        std::vector<T> x;
        for (long i = 0; i < rows; ++i)
            for (long j = 0; j < columns; ++j) x.push_back(at(i, j));
        return x;
    }
    // No byte beside the elements differs from what `before` has there.
    bool same_outside(const dense_matrix& before) const {
        dense_matrix x = before;
        for (long i = 0; i < rows; ++i)
            for (long j = 0; j < columns; ++j) x.at(i, j) = at(i, j);
        return std::memcmp(x.memory.data(), memory.data(), memory.size() * sizeof(T)) == 0;
    }
};

template <class T>
dense_matrix<T> random_matrix(random& r, long rows, long columns, storage kind) {
    dense_matrix<T> x(rows, columns, kind);
    x.fill(r);
    return x;
}

// The largest error of c = before + a b + bias as a share of what is allowed, 4 eps times the sum of the
// sizes of all terms; before and bias may be null.
template <class T>
double dense_excess(const dense_matrix<T>& c, const dense_matrix<T>& a, const dense_matrix<T>& b,
                    const std::vector<T>* bias, const dense_matrix<T>* before) {
    using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;
    double worst = 0;
    for (long i = 0; i < c.rows; ++i)
        for (long j = 0; j < c.columns; ++j) {
            wide sum = bias == nullptr ? wide(0) : wide((*bias)[static_cast<std::size_t>(j)]);
            wide size = std::fabs(sum);
            if (before != nullptr) {
                sum += before->at(i, j);
                size += std::fabs(before->at(i, j));
            }
            for (long k = 0; k < a.columns; ++k) {
                const wide term = wide(a.at(i, k)) * wide(b.at(k, j));
                sum += term;
                size += std::fabs(term);
            }
            const wide error = std::fabs(wide(c.at(i, j)) - sum);
            if (error == 0) continue;
            const double share = static_cast<double>(error / (4 * std::numeric_limits<T>::epsilon() * size));
            if (!(share <= worst)) worst = std::isnan(share) ? HUGE_VAL : share;
        }
    return worst;
}

}  // namespace support
