// SPDX-License-Identifier: MIT
// heed/kernel/linear/products.hpp: the products that a chunk is made of, as its leaves take them
#pragma once

#include <heed/core/fetch.hpp>
#include <heed/core/index.hpp>
#include <heed/core/strided.hpp>
#include <heed/kernel/matrix_product.hpp>

namespace heed::inline HEED_ABI::detail {

// Positions in a chunk: its products cost chunk (d_k + d_v) beside 4 d_k d_v a position, and a state of
// 64 x 64 stays in the first-level cache.
inline constexpr index chunk_positions = 64;
inline index chunks_of(index positions) { return (positions + chunk_positions - 1) / chunk_positions; }
inline index chunk_length(index positions, index first) { return least(positions - first, chunk_positions); }

// The chunk of rows from `first` on, where they stand in one piece: worth fetching before their turn.
template <class X>
memory_span soon_rows(const strided<X>& x, index b, index h, index first, index positions, index n) {
    if (x.data == nullptr || first < 0 || first >= positions || x.stride[3] != 1 || x.stride[2] != n)
        return {};
    return {reinterpret_cast<const char*>(x.row(b, h, first)),
            chunk_length(positions, first) * n * static_cast<index>(sizeof(X))};
}

template <class E, class T>
memory_span soon_rows(const stored_or_sum<E, T>& x, index b, index h, index first, index positions, index n) {
    return x.sums.data == nullptr ? soon_rows(x.stored, b, h, first, positions, n)
                                  : soon_rows(x.sums, b, h, first, positions, n);
}

// A state where it lies, over columns in whole packs: `count` rows (features each) times it, to `out`, and
// what the positions make of it, S = keep S + keys^T values.
template <class T>
struct state_walk {
    const T* from = nullptr;
    index from_row = 0;
    T* to = nullptr;  // may be `from`; nullptr where the state is only read
    index to_row = 0;
    index features = 0;
    index columns = 0;
    const T* rows = nullptr;
    index row = 0;
    index count = 0;
    T* out = nullptr;
    index out_row = 0;
    bool subtract = false;    // out -= rows S
    const T* keep = nullptr;  // of feature f at f keep_step
    index keep_step = 0;
    const T* keys = nullptr;  // (position, feature)
    index key_row = 0;
    T* values = nullptr;  // (position, value feature)
    index value_row = 0;
    index positions = 0;
    // One position alone: its rows are whole outputs, rows S + <plain row, key> value. With a beta the first
    // row is the key, and the value becomes beta (value - row S) before anything else.
    bool alone = false;
    const T* plain = nullptr;  // the rows before any decay
    const T* pairs = nullptr;  // <plain row, key> where it is known, else it is summed here
    const T* beta = nullptr;
};

}  // namespace heed::inline HEED_ABI::detail
