// SPDX-License-Identifier: MIT
// heed/cache/quantise.hpp: a row of float as whole numbers and one scale
//
//     s = max |x| / n,   q = x / s to the nearest whole number, ties to even,   |x - s q| <= s / 2
//
// with n = 127 for int8 and 7 for int4; a row of zeros has scale 0. Quotients are taken in double: a rounded
// one would miss the bound.
//
// Cost: two passes over the row; no allocation. Numbers have to be finite: whoever calls has looked.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <heed/cache/element.hpp>

namespace heed::inline HEED_ABI::detail {

inline float largest_magnitude(const float* row, index n) {
    std::int32_t most = 0;  // magnitudes of floats are ordered as their bits are
    for (index f = 0; f < n; ++f) {
        const std::int32_t bits = std::bit_cast<std::int32_t>(row[f]) & 0x7fffffff;
        most = most < bits ? bits : most;
    }
    return std::bit_cast<float>(most);
}

inline float scale_of(const float* row, index n, int most) {
    const float largest = largest_magnitude(row, n);
    const float scale = largest / static_cast<float>(most);
    // What is read back has to be finite.
    constexpr double limit = static_cast<double>((std::numeric_limits<float>::max)());
    if (static_cast<double>(scale) * most > limit)
        return std::bit_cast<float>(std::bit_cast<std::int32_t>(scale) - 1);
    // Among the smallest floats the quotient is too coarse: the next one, so that q stays in range.
    const bool short_of = static_cast<double>(scale) * most < static_cast<double>(largest);
    if (short_of && scale < (std::numeric_limits<float>::min)())
        return std::bit_cast<float>(std::bit_cast<std::int32_t>(scale) + 1);
    return scale;
}

// to = row * factor to the nearest. The sum leaves the whole number in the low bits, which no compiler's
// liberties with floating point can touch.
inline void nearest(const float* row, index n, double factor, std::int8_t* to) {
    for (index f = 0; f < n; ++f)
        to[f] = static_cast<std::int8_t>(
            std::bit_cast<std::int64_t>(static_cast<double>(row[f]) * factor + 0x1.8p52));
}
inline double inverse_of(float scale) { return scale > 0 ? 1 / static_cast<double>(scale) : 0; }

// Writes the row and gives its scale; 0 where the element has none.
inline float store_row(const float* row, index n, int8* to) {
    static_assert(sizeof(int8) == sizeof(std::int8_t));
    const float scale = scale_of(row, n, 127);
    nearest(row, n, inverse_of(scale), &to->bits);
    return scale;
}
inline float store_row(const float* row, index n, int4* to) {
    const float scale = scale_of(row, n, 7);
    const double factor = inverse_of(scale);
    constexpr index half = int4_block / 2;
    for (index f = 0; f < n; f += int4_block, to += half) {
        std::int8_t q[int4_block] = {};
        nearest(row + f, least(int4_block, n - f), factor, q);
        for (index i = 0; i < half; ++i)
            to[i].bits = static_cast<std::uint8_t>((q[i] + 8) | ((q[i + half] + 8) << 4));
    }
    return scale;
}
inline float store_row(const float* row, index n, float* to) {
    std::memcpy(to, row, static_cast<std::size_t>(n) * sizeof(float));
    return 0;
}
inline float store_row(const float* row, index n, half_bits* to) {
    for (index f = 0; f < n; ++f) to[f] = std::bit_cast<half_bits>(static_cast<Eigen::half>(row[f]));
    return 0;
}
inline float store_row(const float* row, index n, bfloat16_bits* to) {
    for (index f = 0; f < n; ++f) to[f] = std::bit_cast<bfloat16_bits>(static_cast<Eigen::bfloat16>(row[f]));
    return 0;
}

// Rows of int8 as rows of int4, with their scales; scratch has a row's room.
inline void narrow_rows(const std::byte* from, index from_row, const std::byte* from_scales, index features,
                        std::byte* to, index to_row, std::byte* to_scales, index count, float* scratch) {
    constexpr index step = sizeof(float);
    for (index i = 0; i < count; ++i) {
        float scale = 0;
        std::memcpy(&scale, from_scales + i * step, sizeof scale);
        const auto* const q = reinterpret_cast<const int8*>(from + i * from_row);
        for (index f = 0; f < features; ++f) scratch[f] = scale * static_cast<float>(q[f].bits);
        scale = store_row(scratch, features, reinterpret_cast<int4*>(to + i * to_row));
        std::memcpy(to_scales + i * step, &scale, sizeof scale);
    }
}

}  // namespace heed::inline HEED_ABI::detail
