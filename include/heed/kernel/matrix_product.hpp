// SPDX-License-Identifier: MIT
// heed/kernel/matrix_product.hpp: the small product of matrices that chunks and tiles are made of
#pragma once

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

struct memory_span {
    const char* begin = nullptr;
    index bytes = 0;
};

// c (+ or -)= a b: `rows` rows of a (numbers a_row and a_step apart), rows of b and c in packs of lanes.
template <class T>
struct matrix_product {
    const T* a;
    index a_row;
    index a_step;
    const T* b;
    index b_row;
    T* c;
    index c_row;
    index rows;
    index count;    // terms of a sum
    index columns;  // of b and c, in packs
    int add = 0;    // 0: c = a b, 1: c += a b, -1: c -= a b
    // What is wanted soon, fetched a few lines at a time between the register blocks.
    memory_span soon[2] = {};
};

}  // namespace heed::inline HEED_ABI::detail
