// SPDX-License-Identifier: MIT
// tests/support/psa_reference.hpp: polynomial weights, and progressive sparse attention, written down slowly
//
// The oracle of tests/sparse and tests/select/psa.cpp: double or long double, no heed header, no Eigen.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "reference.hpp"

namespace reference {

// The cubic on [-clamp, 0], or with a table e^-whole p(fraction), 0 below.
struct polynomial {
    std::array<double, 4> a{};
    double clamp = 4;
    bool table = false;
};

template <class T>
T cubic(const polynomial& p, T x) {
    return T(p.a[0]) + T(p.a[1]) * x + T(p.a[2]) * x * x + T(p.a[3]) * x * x * x;
}

template <class T>
T weight_of(const polynomial& p, T t) {
    if (std::isnan(t)) return t;
    if (t < -T(p.clamp)) return 0;
    const T whole = p.table ? std::floor(-t) : T(0);
    const T w = p.table ? std::exp(-whole) * cubic(p, -t - whole) : cubic(p, t);
    return w > 0 ? w : T(0);
}

// softmax with polynomial weights of one row; -inf is hidden. The logarithm of the sum comes with it.
template <class T>
T polynomial_row(const polynomial& p, const std::vector<T>& s, std::vector<T>& w) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    T most = -infinity, sum = 0;
    for (T x : s)
        if (x > most) most = x;
    w.assign(s.size(), T(0));
    for (std::size_t j = 0; j < s.size(); ++j) {
        if (s[j] == -infinity) continue;
        w[j] = weight_of(p, std::isnan(s[j]) ? s[j] : s[j] - most);
        sum += w[j];
    }
    if (sum == 0) return -infinity;
    for (T& x : w) x = std::isnan(sum) ? sum : x / sum;
    return most + std::log(sum);
}

}  // namespace reference
