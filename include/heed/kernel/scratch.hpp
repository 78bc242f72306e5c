// SPDX-License-Identifier: MIT
// heed/kernel/scratch.hpp: the plain work on a kernel's scratch memory
#pragma once

#include <cstring>

#include <heed/core/arena.hpp>
#include <heed/core/strided.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
void copy(const T* from, T* to, index n) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
}
template <class T>
void clear(T* x, index n) {
    std::memset(x, 0, static_cast<std::size_t>(n) * sizeof(T));
}
// Columns from `first` on, of `count` rows.
template <class T>
void clear_columns(T* x, index row, index first, index count) {
    for (index i = 0; first < row && i < count; ++i)
        for (index j = first; j < row; ++j) x[i * row + j] = 0;
}

}  // namespace heed::inline HEED_ABI::detail
