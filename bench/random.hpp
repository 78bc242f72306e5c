// SPDX-License-Identifier: MIT
// bench/random.hpp: numbers from a counter, the same on every platform, unlike std:: distributions
#pragma once

#include <cstdint>

namespace heed_bench {

// splitmix64: a counter in, well-mixed bits out.
inline std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// Near-normal with variance 1: four 16-bit uniforms added. Tails do not matter here, speed does.
inline float normal(std::uint64_t key) {
    const std::uint64_t bits = mix(key);
    const std::uint64_t sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    return (float(sum) / 65536.0f - 2.0f) * 1.7320508f;
}

}  // namespace heed_bench
