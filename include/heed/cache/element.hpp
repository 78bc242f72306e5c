// SPDX-License-Identifier: MIT
// heed/cache/element.hpp: what a cache of keys and values may hold
//
//     float, Eigen::half, Eigen::bfloat16      a number each
//     int8                                     x = scale * value, one scale (float) for a row of features
//     int4                                     the same, two values to a byte
//
// A row is the key or the value of one position and one head. Rows of int8 and int4 are made in
// cache/quantise.hpp.
#pragma once

#include <concepts>
#include <type_traits>

#include <heed/core/element.hpp>
#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI {

template <class T>
concept cache_element = std::same_as<T, float> || std::same_as<T, Eigen::half> ||
                        std::same_as<T, Eigen::bfloat16> || std::same_as<T, int8> || std::same_as<T, int4>;

namespace detail {

template <>
struct storage<int8> {
    using type = int8;
};
template <>
struct storage<int4> {
    using type = int4;
};

// A row of it has a scale.
template <class T>
inline constexpr bool has_scales = std::is_same_v<T, int8> || std::is_same_v<T, int4>;

inline constexpr index int4_block = 32;  // features

template <class T>
constexpr index row_bytes(index features) {
    if constexpr (std::is_same_v<T, int4>)
        return (features + int4_block - 1) / int4_block * (int4_block / 2);
    else
        return features * static_cast<index>(sizeof(storage_t<T>));
}

}  // namespace detail
}  // namespace heed::inline HEED_ABI
