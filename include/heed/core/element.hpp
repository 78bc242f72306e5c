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
// Numbers of a quantised row, which has a scale: one of 8 bits, and two of 4 bits, each with 8 added to it. A row
// of these has them in blocks of 32: byte i of a block's 16 holds number i in its lower half, number i + 16 in
// the upper one.
struct int8_bits {
    std::int8_t bits;
};
struct int4_bits {
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
