// SPDX-License-Identifier: MIT
// heed/core/element.hpp: the types a tensor may hold, and the type their sums are kept in
//
//     float, Eigen::half, Eigen::bfloat16 -> float          double -> double
//
// Kernels never see Eigen's half and bfloat16: inside a target region only plain types are used, so the
// 16-bit formats travel as their bits.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <Eigen/Core>

#include <heed/core/config.hpp>

namespace heed::inline HEED_ABI {

struct half_bits {
    std::uint16_t bits;
};
struct bfloat16_bits {
    std::uint16_t bits;
};

// A value in [-127, 127].
struct int8 {
    std::int8_t bits;
};

// Two values in [-7, 7], each as value + 8 in four bits. Features stand in blocks of 32 to 16 bytes: byte i
// of a block holds feature i in its low and feature i + 16 in its high half. What the last block has too many
// holds the value 0.
struct int4 {
    std::uint8_t bits;
};

namespace detail {

template <class T>
struct storage {
    static_assert(sizeof(T) == 0, "heed: an element is float, double, Eigen::half or Eigen::bfloat16");
};
template <>
struct storage<float> {
    using type = float;
};
template <>
struct storage<double> {
    using type = double;
};
template <>
struct storage<Eigen::half> {
    using type = half_bits;
};
template <>
struct storage<Eigen::bfloat16> {
    using type = bfloat16_bits;
};

}  // namespace detail

// What a kernel sees of an element type.
template <class T>
using storage_t = typename detail::storage<std::remove_const_t<T>>::type;

// What sums, log-sum-exp and weights of an element type are kept in.
template <class T>
using sum_t = std::conditional_t<std::is_same_v<std::remove_const_t<T>, double>, double, float>;

template <class T>
concept element = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, Eigen::half> ||
                  std::same_as<T, Eigen::bfloat16>;

}  // namespace heed::inline HEED_ABI
