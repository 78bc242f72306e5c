// SPDX-License-Identifier: MIT
// heed/kernel/exact/leaves.hpp: rows of keys and values, and what reads them, compiled for a target
#pragma once

#include <cstddef>

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

// Keys or values of a tile: numbers in rows.
template <class T>
struct number_rows {
    const T* data;
    index stride;
    index there = 0;  // rows from the first on that are known to exist, for leaves that fetch them ahead
};

// Rows as they are stored, of a tensor or of a page of a cache: numbers that are neighbours, rows `stride`
// bytes apart. Rows of integers have a scale each. `soon`, rows `soon_stride` bytes apart, is read next: it
// is fetched beside them, row by row.
struct stored_rows {
    const std::byte* data = nullptr;
    index stride = 0;
    const float* scales = nullptr;
    const std::byte* soon = nullptr;
    index soon_stride = 0;
};

// What reads such rows, compiled for what they hold and for a target.
template <class T>
struct stored_leaves {
    // Products of one or four query rows with them: out[r * decode_keys + i].
    void (*scores[2])(const T* q, index q_stride, const stored_rows& k, index count, index features, T* out);
    // o = rescale o + p v for value features [0, columns) of one or four rows.
    void (*outputs[2])(const T* p, const stored_rows& v, index count, index columns, T* output,
                       const T* rescale);
    // To the type sums are kept in.
    void (*widen)(const stored_rows& rows, index count, index features, T* to, index to_stride);
};

}  // namespace heed::inline HEED_ABI::detail
