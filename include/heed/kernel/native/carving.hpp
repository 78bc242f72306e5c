// SPDX-License-Identifier: MIT
// heed/kernel/native/carving.hpp: scratch memory handed out piece by piece, of any types, on cache lines
#pragma once

#include <heed/core/index.hpp>
#include <heed/core/workspace.hpp>

namespace heed::inline HEED_ABI::detail {

// Without memory it only counts.
class carving {
public:
    explicit carving(char* memory) : memory_(memory) {}
    template <class X>
    void take(X*& to, index n) {
        to = memory_ == nullptr ? nullptr : reinterpret_cast<X*>(memory_ + taken_);
        taken_ += cache_lines(static_cast<std::size_t>(n) * sizeof(X));
    }
    std::size_t taken() const { return taken_; }

private:
    char* memory_;
    std::size_t taken_ = 0;
};

}  // namespace heed::inline HEED_ABI::detail
