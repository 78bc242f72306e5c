// SPDX-License-Identifier: MIT
// tests/support/tensors.hpp: from the oracle's flat doubles to Eigen tensors and back
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include <unsupported/Eigen/CXX11/Tensor>

namespace support {

template <class T, int Rank = 4>
using tensor = Eigen::Tensor<T, Rank, Eigen::RowMajor>;

// Any type to double and back, by way of float for the 16-bit types.
template <class T>
double widen(T x) {
    if constexpr (std::is_same_v<T, double>)
        return x;
    else
        return static_cast<double>(static_cast<float>(x));
}
template <class T>
T narrow(double x) {
    if constexpr (std::is_same_v<T, double>)
        return x;
    else
        return static_cast<T>(static_cast<float>(x));
}

template <class T>
tensor<T> tensor4(const std::vector<double>& x, long a, long b, long c, long d) {
    tensor<T> t(a, b, c, d);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = narrow<T>(x[static_cast<std::size_t>(i)]);
    return t;
}

// The elements in memory order.
template <class Tensor>
std::vector<double> values(const Tensor& t) {
    std::vector<double> x(static_cast<std::size_t>(t.size()));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = widen(t.data()[i]);
    return x;
}

template <class Tensor>
std::vector<typename Tensor::Scalar> elements(const Tensor& t) {
    return {t.data(), t.data() + t.size()};
}

}  // namespace support
