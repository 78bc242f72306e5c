// SPDX-License-Identifier: MIT
// heed/kernel/native/kernels.hpp: the leaves of native sparse attention, compiled for every target
#pragma once

#include <heed/kernel/exact/kernels.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct native_leaves {
    // For one, two and three packs of lanes.
    void (*pool_weights[3])(const T* e, index first, index end, index chunks, index select_chunks,
                            index block_begin, index block_end, T* to);
    void (*add_weights)(const T* from, index rows, int packs, const T* factor, T* to);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/native/importance-inl.hpp>
#include <heed/simd/foreach_target.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const native_leaves<T>& native_leaves_on_target() {
    HEED_RETURN_ON_TARGET(native_leaves<T>());
}
HEED_ONCE_FOR_SUMS(native_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
