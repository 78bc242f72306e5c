// SPDX-License-Identifier: MIT
// heed/kernel/elementwise/rows.hpp: what a leaf that goes element by element reads and writes
#pragma once

#include <type_traits>

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

// Numbers in rows; the features of a row are neighbours. A stride of 0 is one row that serves all.
template <class T>
struct element_rows {
    T* data = nullptr;
    index stride = 0;
    operator element_rows<const T>() const
    requires(!std::is_const_v<T>)
    {
        return {data, stride};
    }
    // The same rows from the last to the first.
    element_rows from_last(index rows) const { return {data + (rows - 1) * stride, -stride}; }
};

// out = f(in, numbers), for every row and feature.
template <class T>
using element_leaf = void (*)(const element_rows<const T>* in, const element_rows<T>* out, const T* numbers,
                              index rows, index features);

}  // namespace heed::inline HEED_ABI::detail
