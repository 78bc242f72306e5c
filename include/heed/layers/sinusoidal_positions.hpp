// SPDX-License-Identifier: MIT
// heed/layers/sinusoidal_positions.hpp: the position embedding of sines and cosines
//
//     table[p, 2i] = sin(p / 10000^(2i / width)),   table[p, 2i + 1] = cos(same)
//
// Worked out in double and rounded once. With an odd width the last column is a sine.
//
// Cost: positions * width sines, once; allocates the table. Throws heed::error for negative sizes.
//
// Source: Vaswani et al., "Attention is all you need", 2017 (arXiv:1706.03762), section 3.5.
#pragma once

#include <cmath>

#include <heed/core/check.hpp>
#include <heed/core/tensor.hpp>

namespace heed::inline HEED_ABI {

// (positions, width)
template <class T>
Eigen::Tensor<T, 2, Eigen::RowMajor> sinusoidal_positions(index positions, index width) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::sinusoidal_positions<T>: T is float or double");
    constexpr const char* function = "sinusoidal_positions";
    if (positions < 0) detail::fail(function, {"positions is ", positions, ", needs 0 or more"});
    if (width < 0) detail::fail(function, {"width is ", width, ", needs 0 or more"});
    detail::checked_product(function, positions, width);
    Eigen::Tensor<T, 2, Eigen::RowMajor> table(positions, width);
    for (index f = 0; f < width; ++f) {
        const double turns = std::pow(10000.0, -static_cast<double>(f - f % 2) / static_cast<double>(width));
        for (index p = 0; p < positions; ++p) {
            const double angle = static_cast<double>(p) * turns;
            table(p, f) = static_cast<T>(f % 2 == 0 ? std::sin(angle) : std::cos(angle));
        }
    }
    return table;
}

}  // namespace heed::inline HEED_ABI
