// SPDX-License-Identifier: MIT
// tests/support/broadcast.hpp: tensors that broadcast right-aligned to (batch, head, query, key)
#pragma once

#include <array>

#include "random.hpp"
#include "reference.hpp"
#include "tensors.hpp"

namespace support {

// A shape of this rank in which every axis is the score's or, at random, 1.
template <int Rank>
struct broadcast_shape {
    Eigen::array<Eigen::Index, Rank> extents;
    std::array<long, 4> sizes{1, 1, 1, 1};

    broadcast_shape(random& r, const reference::problem& p) {
        const std::array<long, 4> full{p.batch, p.heads, p.queries, p.keys};
        for (std::size_t axis = 4 - Rank; axis < 4; ++axis)
            extents[axis + Rank - 4] = sizes[axis] = r.chance(0.3) ? 1 : full[axis];
    }

    // Which element, in memory order, a score reads.
    long index_of(const reference::place& i) const {
        const std::array<long, 4> at{i.batch, i.head, i.query, i.key};
        long index = 0;
        for (std::size_t axis = 0; axis < 4; ++axis)
            index = index * sizes[axis] + (sizes[axis] > 1 ? at[axis] : 0);
        return index;
    }
};

}  // namespace support
