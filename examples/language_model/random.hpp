// SPDX-License-Identifier: MIT
// examples/language_model/random.hpp: random numbers whose whole state is one number, so that a checkpoint
// can hold it; the same on every platform, unlike std:: distributions
#pragma once

#include <cstdint>

namespace language_model {

// splitmix64.
class generator {
public:
    explicit generator(std::uint64_t state = 0) : state_(state) {}

    std::uint64_t state() const { return state_; }

    std::uint64_t next() {
        std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return x ^ (x >> 31);
    }
    // In [0, 1).
    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    // A whole number in [0, n); n is far below 2^53, so the rounding favours none noticeably.
    std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(uniform() * static_cast<double>(n));
    }

private:
    std::uint64_t state_;
};

}  // namespace language_model
