// SPDX-License-Identifier: MIT
// tests/support/random.hpp: seeded numbers that are the same with every standard library
//
// <random> leaves its distributions to the implementation; a failing seed must reproduce
// everywhere, so both the generator (splitmix64) and the distributions are written here.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace support {

class random {
public:
    explicit random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 0x1234567u) {}

    std::uint64_t bits() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    // [0, 1)
    double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
    double uniform(double low, double high) { return low + (high - low) * uniform(); }
    // [low, high], both ends included
    long between(long low, long high) {
        return low + static_cast<long>(bits() % static_cast<std::uint64_t>(high - low + 1));
    }
    // [low, high], small numbers more often: the logarithm is uniform
    long skewed(long low, long high) {
        const double x = std::exp(uniform(std::log(double(low)), std::log(double(high) + 1)));
        const long n = static_cast<long>(x);
        return n < low ? low : n > high ? high : n;
    }
    bool chance(double p) { return uniform() < p; }
    // standard normal by Box and Muller
    double normal() {
        const double radius = std::sqrt(-2 * std::log(1 - uniform()));
        return radius * std::cos(6.283185307179586 * uniform());
    }

private:
    std::uint64_t state_;
};

// Values that are exact in T, so that the oracle and the kernel start from the same numbers.
template <class T>
std::vector<double> normals(random& r, std::size_t count, double deviation = 1) {
    std::vector<double> x(count);
    for (double& value : x)
        value = static_cast<double>(static_cast<T>(static_cast<float>(r.normal() * deviation)));
    return x;
}

// Puts `with` over all, one or some of the `count` numbers of x.data() from `first` on.
template <class Numbers, class T>
void overwrite(random& r, Numbers& x, long first, long count, T with) {
    auto* const row = x.data() + first;
    const long form = r.between(0, 2);
    for (long i = 0; i < count; ++i)
        if (form == 0 || (form == 1 && r.chance(0.5))) row[i] = with;
    row[r.between(0, count - 1)] = with;
}

}  // namespace support
