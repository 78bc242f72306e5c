// SPDX-License-Identifier: MIT
// heed/cache/hadamard.hpp: rows behind a rotation that spreads a large feature over its neighbours
//
//     row' = H row,   H = H_n on each block of n features,   H_2n = [H_n H_n; H_n -H_n] / sqrt(2)
//
// with n the largest power of two that divides the number of features. H is symmetric and orthogonal, so it
// is its own inverse, and scores are unchanged when queries and keys are both rotated. Numbers that differ a
// lot in size become alike, which is what few bits need: the error of a row follows its largest number.
//
// Cost: n log2(n) additions for a block; in place.
// Source: QuaRot (arXiv 2404.00456).
#pragma once

#include <cmath>

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr index least_hadamard_block = 8;  // below that a rotation spreads too little

// The largest power of two that divides it.
inline index hadamard_block(index features) { return features & -features; }

// Rotates the features of a row, a whole number of blocks, where they stand.
inline void hadamard_rows(float* row, index features, index block) {
    // Before the sums, so that they are no larger than the result.
    const float norm = static_cast<float>(1 / std::sqrt(static_cast<double>(block)));
    for (index f = 0; f < features; ++f) row[f] *= norm;
    for (index half = 1; half < block; half *= 2)
        for (index first = 0; first < features; first += 2 * half) {
            float* const a = row + first;
            float* const b = a + half;
            for (index f = 0; f < half; ++f) {
                const float x = a[f], y = b[f];
                a[f] = x + y;
                b[f] = x - y;
            }
        }
}
inline void hadamard_rows(float* row, index features) {
    hadamard_rows(row, features, hadamard_block(features));
}

}  // namespace heed::inline HEED_ABI::detail
