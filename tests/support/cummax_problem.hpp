// SPDX-License-Identifier: MIT
// tests/support/cummax_problem.hpp: random problems of cummax attention, and their tensors
#pragma once

#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <type_traits>

#include <heed/cummax.hpp>

#include "catch.hpp"
#include "compare.hpp"
#include "cummax_reference.hpp"
#include "random.hpp"
#include "tensors.hpp"

namespace support {

template <class T>
using sum_of = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline std::string describe(const cummax_reference::shape& s) {
    std::ostringstream text;
    text << "(" << s.batch << ", " << s.heads << ", " << s.positions << ", " << s.features << ")";
    return text.str();
}

// Numbers that are exact in T. Special: many ties, both zeros, NaN, both infinities, long runs below a peak.
template <class T, class Float>
std::vector<Float> cummax_numbers(random& r, std::size_t count, bool special) {
    std::vector<Float> x(count);
    for (Float& value : x) {
        double n = r.normal();
        if (special && r.chance(0.6)) {
            const double some[] = {0.0, -0.0, 1.0, -1.0, -HUGE_VAL, 2.0, -0.0, 0.0};
            n = some[r.between(0, 7)];
        }
        if (special && r.chance(0.01))
            n = r.chance(0.5) ? HUGE_VAL : std::numeric_limits<double>::quiet_NaN();
        value = static_cast<Float>(widen(narrow<T>(n)));
    }
    return x;
}

template <class Float>
struct cummax_problem {
    template <class T>
    static cummax_reference::problem<Float> random(support::random& r, const cummax_reference::shape& s,
                                                   bool across, bool special) {
        cummax_reference::problem<Float> p;
        p.s = s;
        p.across = across;
        p.o = cummax_numbers<T, Float>(r, s.size(), special);
        p.a1 = cummax_numbers<T, Float>(r, s.size(), false);
        p.a2 = cummax_numbers<T, Float>(r, s.size(), false);
        return p;
    }
};

// A problem's numbers in double.
template <class Float>
cummax_reference::problem<double> in_double(const cummax_reference::problem<Float>& p) {
    const auto wide = [](const std::vector<Float>& x) { return std::vector<double>(x.begin(), x.end()); };
    return {p.s, wide(p.o), wide(p.a1), wide(p.a2), wide(p.state), p.across, p.hybrid, p.alpha};
}

template <class T, class Float>
tensor<T> cummax_tensor(const std::vector<Float>& x, const cummax_reference::shape& s, long positions) {
    tensor<T> t(s.batch, s.heads, positions, s.features);
    for (long i = 0; i < t.size(); ++i)
        t.data()[i] = narrow<T>(static_cast<double>(x[static_cast<std::size_t>(i)]));
    return t;
}

template <class T>
struct cummax_inputs {
    tensor<T> o, a1, a2;
    template <class Float>
    explicit cummax_inputs(const cummax_reference::problem<Float>& p)
        : o(cummax_tensor<T>(p.o, p.s, p.s.positions)),
          a1(cummax_tensor<T>(p.a1, p.s, p.s.positions)),
          a2(cummax_tensor<T>(p.a2, p.s, p.s.positions)) {}
};

template <class T, class Float>
std::vector<T> rounded_to(const std::vector<Float>& x) {
    std::vector<T> y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = narrow<T>(static_cast<double>(x[i]));
    return y;
}

// The same bits, but for what a NaN carries beside being one.
template <class T>
bool same_numbers(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::isnan(widen(a[i])) && std::isnan(widen(b[i]))) continue;
        if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) return false;
    }
    return true;
}
template <class A, class B>
bool same_tensors(const A& a, const B& b) {
    return same_numbers(elements(a), elements(b));
}

}  // namespace support
