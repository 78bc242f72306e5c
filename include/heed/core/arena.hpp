// SPDX-License-Identifier: MIT
// heed/core/arena.hpp: memory handed out piece by piece, each on a cache line of its own
//
// Without memory it only counts, so that one function says what a kernel needs and where it stands.
#pragma once

#include <heed/core/index.hpp>
#include <heed/core/workspace.hpp>

namespace heed::inline HEED_ABI::detail {

class arena {
public:
    explicit arena(void* memory = nullptr) : memory_(static_cast<char*>(memory)) {}

    // Room for n of X; null where it only counts.
    template <class X>
    X* take(index n) {
        const std::size_t at = used_;
        used_ += cache_lines(static_cast<std::size_t>(n) * sizeof(X));
        return memory_ == nullptr ? nullptr : reinterpret_cast<X*>(memory_ + at);
    }
    template <class X>
    void take(X*& to, index n) {
        to = take<X>(n);
    }
    std::size_t bytes() const { return used_; }

private:
    char* memory_;
    std::size_t used_ = 0;
};

}  // namespace heed::inline HEED_ABI::detail
