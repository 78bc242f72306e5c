// SPDX-License-Identifier: MIT
// heed/core/fetch.hpp: memory that is wanted soon, where the compiler has a word for it
#pragma once

#include <heed/core/config.hpp>

namespace heed::inline HEED_ABI::detail {

// To the second-level cache: the first one has too few miss buffers for memory.
HEED_INLINE void fetch_line([[maybe_unused]] const void* p) {
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(p, 0, 2);
#endif
}
// To the first-level cache, what is in another one already.
HEED_INLINE void fetch_near([[maybe_unused]] const void* p) {
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(p);
#endif
}

}  // namespace heed::inline HEED_ABI::detail
