// SPDX-License-Identifier: MIT
// heed/mask/read_block.hpp: the part of a caller's table that lies under a block of scores
//
// Lanes that are neighbours in the table, or that share a number, are read a row at a time. Where the rows
// are the neighbours, as in a table (query, key) under lanes of queries, squares are turned: bools eight by
// eight in words, floats four by four. Measured on 512 x 512 scores of 32 features, whole call:
// bench/README.md.
#pragma once

#include <bit>

#include <heed/core/fetch.hpp>
#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI::detail {

#if HEED_VECTOR_EXTENSIONS
template <class T, class S>
inline constexpr int square_side = sizeof(T) == 1 && std::endian::native == std::endian::little ? 8
                                   : std::is_same_v<S, float> && std::is_same_v<T, float>       ? 4
                                                                                                : 0;
// Row l of the table, at from + l lane_stride, to lane l of every row of the block.
HEED_INLINE void turn_square(const float* from, index lane_stride, float (*to)[most_lanes], int lane) {
    using four = float __attribute__((vector_size(16)));
    four x[4];
    for (int l = 0; l < 4; ++l) __builtin_memcpy(&x[l], from + l * lane_stride, sizeof(four));
    const four a = __builtin_shufflevector(x[0], x[2], 0, 4, 1, 5);
    const four b = __builtin_shufflevector(x[1], x[3], 0, 4, 1, 5);
    const four c = __builtin_shufflevector(x[0], x[2], 2, 6, 3, 7);
    const four d = __builtin_shufflevector(x[1], x[3], 2, 6, 3, 7);
    x[0] = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    x[1] = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    x[2] = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    x[3] = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    for (int r = 0; r < 4; ++r) __builtin_memcpy(&to[r][lane], &x[r], sizeof(four));
}
HEED_INLINE void exchange(std::uint64_t& low, std::uint64_t& high, int bits, std::uint64_t mask) {
    const std::uint64_t t = ((low >> bits) ^ high) & mask;
    high ^= t;
    low ^= t << bits;
}
HEED_INLINE void turn_square(const bool* from, index lane_stride, std::uint8_t (*to)[most_lanes], int lane) {
    std::uint64_t x[8];
    for (int l = 0; l < 8; ++l) __builtin_memcpy(&x[l], from + l * lane_stride, sizeof x[l]);
    for (int i = 0; i < 4; ++i) exchange(x[i], x[i + 4], 32, 0x00000000ffffffffu);
    for (int i = 0; i < 2; ++i) {
        exchange(x[i], x[i + 2], 16, 0x0000ffff0000ffffu);
        exchange(x[i + 4], x[i + 6], 16, 0x0000ffff0000ffffu);
    }
    for (int i = 0; i < 8; i += 2) exchange(x[i], x[i + 1], 8, 0x00ff00ff00ff00ffu);
    for (int r = 0; r < 8; ++r) __builtin_memcpy(&to[r][lane], &x[r], sizeof x[r]);
}
#else
template <class T, class S>
inline constexpr int square_side = 0;
#endif

// Rows of the block, its lanes side by side; lanes past the last repeat it, up to a whole pack of any target.
// A table of bools gives bytes.
template <class T, class S>
void read_block(const lane_block& block, const S* table, index query_stride, index key_stride,
                T (&values)[most_rows][most_lanes]) {
    constexpr std::int32_t pack = 16;
    const index lane_stride = block.lane_stride(query_stride, key_stride);
    const index row_stride = block.row_stride(query_stride, key_stride);
    const std::int32_t lanes = block.last + 1;
    const std::int32_t end = (lanes + pack - 1) / pack * pack;
    if (lane_stride == 0) {
        for (std::int32_t row = 0; row < block.rows; ++row) {
            const T x = kept_finite<T>(table[row * row_stride]);
            for (std::int32_t lane = 0; lane < most_lanes; ++lane) values[row][lane] = x;
        }
        return;
    }
    std::int32_t done = 0;
    for (; lane_stride == 1 && done + pack <= lanes; done += pack)
        for (std::int32_t row = 0; row < block.rows; ++row)
            for (std::int32_t lane = done; lane < done + pack; ++lane)
                values[row][lane] = kept_finite<T>(table[row * row_stride + lane]);
    if constexpr (constexpr int side = square_side<T, S>; side > 0) {
        const std::int32_t whole = block.rows / side * side;
        for (; row_stride == 1 && done + side <= lanes; done += side) {
            const S* const from = table + done * lane_stride;
            // The next line of each lane: a processor does not follow as many streams.
            for (std::int32_t lane = 0; lane < side; ++lane)
                fetch_near(from + lane * lane_stride + 64 / static_cast<index>(sizeof(S)));
            for (std::int32_t row = 0; row < whole; row += side)
                turn_square(from + row, lane_stride, values + row, done);
            for (std::int32_t lane = 0; lane < side; ++lane)
                for (std::int32_t row = whole; row < block.rows; ++row)
                    values[row][done + lane] = kept_finite<T>(from[lane * lane_stride + row]);
        }
    }
    // Lane by lane: what is left, and tables whose lanes may be pages apart.
    for (; done < lanes; ++done)
        for (std::int32_t row = 0; row < block.rows; ++row)
            values[row][done] = kept_finite<T>(table[done * lane_stride + row * row_stride]);
    for (std::int32_t row = 0; done < end && row < block.rows; ++row)
        for (std::int32_t lane = lanes; lane < end; ++lane) values[row][lane] = values[row][lanes - 1];
}

}  // namespace heed::inline HEED_ABI::detail
