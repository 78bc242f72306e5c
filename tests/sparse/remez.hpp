// SPDX-License-Identifier: MIT
// tests/sparse/remez.hpp: the cubic of least largest error, found by the Remez exchange
//
// Five points at which the error takes turns at +E and -E: solve for the cubic and E, move each point to the
// extremum of the error beside it, again until they stay. No heed header.
#pragma once

#include <array>
#include <cmath>
#include <utility>

namespace support {

struct minimax_cubic {
    std::array<double, 4> a;  // lowest power first
    double error;
    double operator()(double x) const { return a[0] + x * (a[1] + x * (a[2] + x * a[3])); }
};

template <class F>
minimax_cubic remez_cubic(const F& f, double low, double high) {
    std::array<double, 5> x{};
    for (std::size_t i = 0; i < 5; ++i)
        x[i] = (low + high) / 2 - (high - low) / 2 * std::cos(0.7853981633974483 * static_cast<double>(i));
    minimax_cubic p{};
    for (int round = 0; round < 30; ++round) {
        // 1 x x^2 x^3 +-1 | f, by elimination with pivots.
        double m[5][6];
        for (std::size_t i = 0; i < 5; ++i) {
            for (std::size_t k = 0; k < 4; ++k) m[i][k] = k == 0 ? 1 : m[i][k - 1] * x[i];
            m[i][4] = i % 2 == 0 ? 1 : -1;
            m[i][5] = f(x[i]);
        }
        for (std::size_t i = 0; i < 5; ++i) {
            std::size_t best = i;
            for (std::size_t r = i; r < 5; ++r)
                if (std::fabs(m[r][i]) > std::fabs(m[best][i])) best = r;
            std::swap(m[i], m[best]);
            for (std::size_t r = 0; r < 5; ++r) {
                if (r == i) continue;
                const double factor = m[r][i] / m[i][i];
                for (std::size_t c = i; c < 6; ++c) m[r][c] -= factor * m[i][c];
            }
        }
        for (std::size_t k = 0; k < 4; ++k) p.a[k] = m[k][5] / m[k][k];
        p.error = std::fabs(m[4][5] / m[4][4]);
        // The inner points to the extrema between their neighbours, by bracketing.
        const auto old = x;
        for (std::size_t i = 1; i < 4; ++i) {
            const double sign = f(x[i]) > p(x[i]) ? 1 : -1;
            double a = (old[i - 1] + old[i]) / 2, b = (old[i] + old[i + 1]) / 2;
            for (int turn = 0; turn < 90; ++turn) {
                const double c = a + (b - a) / 3, d = b - (b - a) / 3;
                if (sign * (f(c) - p(c)) < sign * (f(d) - p(d)))
                    a = c;
                else
                    b = d;
            }
            x[i] = (a + b) / 2;
        }
    }
    return p;
}

}  // namespace support
