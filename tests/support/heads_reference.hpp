// SPDX-License-Identifier: MIT
// tests/support/heads_reference.hpp: a multi-head layer written down once, slowly, around any attention
//
//     streams = x W_in + b, cut into heads        y = joined heads W_out + b
//
// The oracle of the tests of heads. No heed header and no Eigen; all arrays dense and row-major.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

namespace reference {

using numbers = std::vector<double>;

// x (rows, inputs) times w (inputs, outputs), plus b unless it is empty.
inline numbers project(const numbers& x, const numbers& w, const numbers& b, long inputs, long outputs) {
    const long rows = static_cast<long>(x.size()) / inputs;
    numbers y(static_cast<std::size_t>(rows * outputs));
    for (long r = 0; r < rows; ++r)
        for (long o = 0; o < outputs; ++o) {
            double sum = b.empty() ? 0 : b[static_cast<std::size_t>(o)];
            for (long i = 0; i < inputs; ++i)
                sum += x[static_cast<std::size_t>(r * inputs + i)] *
                       w[static_cast<std::size_t>(i * outputs + o)];
            y[static_cast<std::size_t>(r * outputs + o)] = sum;
        }
    return y;
}

// Columns [first, first + heads dim) of rows (batch, position, width), as (batch, head, position, dim).
inline numbers cut_heads(const numbers& rows, long batch, long positions, long width, long first, long heads,
                         long dim) {
    numbers y;
    y.reserve(static_cast<std::size_t>(batch * heads * positions * dim));
    for (long b = 0; b < batch; ++b)
        for (long h = 0; h < heads; ++h)
            for (long p = 0; p < positions; ++p)
                for (long f = 0; f < dim; ++f)
                    y.push_back(
                        rows[static_cast<std::size_t>((b * positions + p) * width + first + h * dim + f)]);
    return y;
}
// And back: (batch, head, position, dim) as rows (batch, position, heads dim).
inline numbers join_heads(const numbers& x, long batch, long heads, long positions, long dim) {
    numbers y(x.size());
    for (long b = 0; b < batch; ++b)
        for (long h = 0; h < heads; ++h)
            for (long p = 0; p < positions; ++p)
                for (long f = 0; f < dim; ++f)
                    y[static_cast<std::size_t>((b * positions + p) * heads * dim + h * dim + f)] =
                        x[static_cast<std::size_t>(((b * heads + h) * positions + p) * dim + f)];
    return y;
}

// Rotary positions: feature i of the first half and of the second turn by p base^(-2i / dim).
inline void turn_heads(numbers& x, long positions, long dim, double base, long first = 0) {
    for (std::size_t row = 0; row < x.size() / static_cast<std::size_t>(dim); ++row)
        for (long i = 0; i < dim / 2; ++i) {
            const double p = static_cast<double>(first + static_cast<long>(row) % positions);
            const double angle = p * std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
            double& a = x[row * static_cast<std::size_t>(dim) + static_cast<std::size_t>(i)];
            double& b = x[row * static_cast<std::size_t>(dim) + static_cast<std::size_t>(i + dim / 2)];
            const double turned = a * std::cos(angle) - b * std::sin(angle);
            b = b * std::cos(angle) + a * std::sin(angle);
            a = turned;
        }
}

// Rows divided by sqrt(<x, x> + least).
inline void make_unit(numbers& x, long dim, double least) {
    for (std::size_t row = 0; row < x.size(); row += static_cast<std::size_t>(dim)) {
        double square = least;
        for (long f = 0; f < dim; ++f)
            square += x[row + static_cast<std::size_t>(f)] * x[row + static_cast<std::size_t>(f)];
        for (long f = 0; f < dim; ++f) x[row + static_cast<std::size_t>(f)] /= std::sqrt(square);
    }
}

}  // namespace reference
