// SPDX-License-Identifier: MIT
// heed/kernel/native/pool.hpp: compressed keys as means of blocks of keys
//
//     mean of block i = (chunk i + chunk i + 1 + …) / block,   chunk c = x[c stride] + x[c stride + 1] + …
//
// Both sums run in order and start at zero, so the bits do not depend on the pieces that keys come in.
// Cost: an addition for each number and one for each chunk of a block.
#pragma once

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

template <class S>
void add_to_chunk(S* chunk, const S* row, index n, bool first) {
    for (index f = 0; f < n; ++f) chunk[f] = first ? row[f] : chunk[f] + row[f];
}

// `chunks` neighbouring sums of n numbers each.
template <class S>
void mean_of_chunks(S* mean, const S* sums, index chunks, index block, index n) {
    for (index f = 0; f < n; ++f) {
        S sum = sums[f];
        for (index c = 1; c < chunks; ++c) sum += sums[c * n + f];
        mean[f] = sum / static_cast<S>(block);
    }
}

}  // namespace heed::inline HEED_ABI::detail
