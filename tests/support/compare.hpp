// SPDX-License-Identifier: MIT
// tests/support/compare.hpp: how far two results are apart
//
// Errors are stated in units of the last place of the largest magnitude that the tensor holds
// ("ULP of max|y|"): softmax is a weighted mean, so its error scales with the values that were
// averaged and not with a result that happens to cancel.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace support {

// Distance from |x| to the next larger T.
template <class T>
double ulp(double x) {
    int exponent = 0;
    x = std::fabs(x);
    constexpr int digits = std::numeric_limits<T>::digits;
    constexpr int lowest = std::numeric_limits<T>::min_exponent;
    std::frexp(x, &exponent);
    if (x == 0 || exponent < lowest) exponent = lowest;
    return std::ldexp(1.0, exponent - digits);
}

template <class A>
double max_abs(const std::vector<A>& x) {
    double top = 0;
    for (A value : x)
        if (std::isfinite(static_cast<double>(value)))
            top = std::fmax(top, std::fabs(static_cast<double>(value)));
    return top;
}

// Largest |a - b|; infinities and NaN must agree exactly, or the distance is infinite.
template <class A, class B>
double max_error(const std::vector<A>& a, const std::vector<B>& b) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (a.size() != b.size()) return infinity;
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        if (std::isnan(x) || std::isnan(y)) {
            if (std::isnan(x) != std::isnan(y)) return infinity;
        } else if (std::isinf(x) || std::isinf(y)) {
            if (x != y) return infinity;
        } else {
            worst = std::fmax(worst, std::fabs(x - y));
        }
    }
    return worst;
}

// Where two results are apart the most, for the text of a failing test.
template <class A, class B>
std::string worst_place(const std::vector<A>& a, const std::vector<B>& b) {
    if (a.size() != b.size()) return "sizes " + std::to_string(a.size()) + " and " + std::to_string(b.size());
    std::size_t where = 0;
    double worst = -1;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        double d = x == y || (std::isnan(x) && std::isnan(y)) ? 0 : std::fabs(x - y);
        if (std::isnan(d)) d = std::numeric_limits<double>::infinity();
        if (d > worst) worst = d, where = i;
    }
    if (a.empty()) return "both empty";
    return "element " + std::to_string(where) + " of " + std::to_string(a.size()) + ": " +
           std::to_string(static_cast<double>(a[where])) + " and " +
           std::to_string(static_cast<double>(b[where]));
}

// Bit equality, so that -0 and +0 differ and a NaN equals itself.
template <class T>
bool same_bits(const T* a, const T* b, std::size_t count) {
    return count == 0 || std::memcmp(a, b, count * sizeof(T)) == 0;
}
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && same_bits(a.data(), b.data(), a.size());
}

// Exactly +0: the contract for empty rows excludes -0.
template <class T>
bool positive_zero(const T* a, std::size_t count) {
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(a);
    for (std::size_t i = 0; i < count * sizeof(T); ++i)
        if (bytes[i] != 0) return false;
    return true;
}

}  // namespace support
