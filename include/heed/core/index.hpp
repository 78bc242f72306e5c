// SPDX-License-Identifier: MIT
// heed/core/index.hpp: sizes, and the coordinates of one score
#pragma once

#include <cstddef>
#include <cstdint>

#include <heed/core/config.hpp>

namespace heed::inline HEED_ABI {

using index = std::ptrdiff_t;

// No axis is longer, so that a coordinate fits in 32 bits and sixteen of them in one AVX-512 register.
inline constexpr index longest_axis = 2147483647;

// Where a score stands. Callables receive it; signed, so that `i.query - i.key` means what it says.
struct at {
    std::int32_t batch;
    std::int32_t head;
    std::int32_t query;
    std::int32_t key;
};

// The extents a mask or a score function is bound to, once per call.
struct problem_shape {
    index batch;
    index heads;
    index queries;
    index keys;
};

namespace detail {

inline index least(index a, index b) { return a < b ? a : b; }
inline index greatest(index a, index b) { return a > b ? a : b; }
// a + b, or the end of the range that it passes.
inline index saturated_sum(index a, index b) {
    if (b > 0 && a > PTRDIFF_MAX - b) return PTRDIFF_MAX;
    if (b < 0 && a < PTRDIFF_MIN - b) return PTRDIFF_MIN;
    return a + b;
}

}  // namespace detail

}  // namespace heed::inline HEED_ABI
