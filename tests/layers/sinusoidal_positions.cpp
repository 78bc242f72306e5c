// SPDX-License-Identifier: MIT
// tests/layers/sinusoidal_positions.cpp: sines and cosines of positions, rounded once
#include <heed/layers/sinusoidal_positions.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/tensors.hpp"

namespace {

// Half a unit in the last place of T, and what an angle worked out in double may be off by.
template <class T>
void check_table(long positions, long width) {
    const auto table = heed::sinusoidal_positions<T>(positions, width);
    REQUIRE(table.dimension(0) == positions);
    REQUIRE(table.dimension(1) == width);
    double worst = 0;
    for (long p = 0; p < positions; ++p)
        for (long f = 0; f < width; ++f) {
            const long double angle = p * std::exp(-2.0L * static_cast<long double>(f / 2) /
                                                   static_cast<long double>(width) * std::log(10000.0L));
            const double want = static_cast<double>(f % 2 == 0 ? std::sin(angle) : std::cos(angle));
            const double allowed =
                0.5001 * support::ulp<T>(want) + 4e-16 * static_cast<double>(angle) + 2e-16;
            worst = std::fmax(worst, std::fabs(static_cast<double>(table(p, f)) - want) / allowed);
        }
    INFO(positions << " x " << width);
    CHECK(worst <= 1);
}

}  // namespace

TEST_CASE("sinusoidal positions are those of the formula") {
    check_table<float>(1000, 64);
    check_table<double>(1000, 64);
    check_table<float>(9, 7);
    check_table<double>(9, 1);
    check_table<float>(3, 2);
    CHECK(heed::sinusoidal_positions<float>(0, 8).size() == 0);
    CHECK(heed::sinusoidal_positions<float>(8, 0).size() == 0);
}

TEST_CASE("sinusoidal positions of a negative number or width") {
    CHECK_THROWS_WITH(heed::sinusoidal_positions<float>(-1, 8),
                      "heed::sinusoidal_positions: positions is -1, needs 0 or more");
    CHECK_THROWS_WITH(heed::sinusoidal_positions<float>(8, -2),
                      "heed::sinusoidal_positions: width is -2, needs 0 or more");
}
