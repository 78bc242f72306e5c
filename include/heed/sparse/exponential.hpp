// SPDX-License-Identifier: MIT
// heed/sparse/exponential.hpp: polynomials in the place of e^t, for t <= 0
//
//     cubic_exponential    max(a3 t^3 + a2 t^2 + a1 t + a0, 0) for -clamp <= t <= 0, 0 below
//     table_exponential    e^-floor(-t) p(frac(-t)) for -cut <= t <= 0, 0 below; p(f) the cubic for e^-f
//
// Both are 0 where e^t is small: a weight below e^-clamp is dropped. The coefficients, lowest power first,
// are the cubics of least largest error, of e^t on [-4, 0] (error 0.01426) and of e^-f on [0, 1] (error
// 0.00020, which the table multiplies by at most 1). tests/sparse/remez.hpp finds them anew. Source of the
// table form: TurboAttention (arXiv 2412.08585).
#pragma once

#include <array>
#include <string_view>

#include <heed/core/error.hpp>
#include <heed/core/option.hpp>

namespace heed::inline HEED_ABI {

struct cubic_exponential {
    static constexpr option_kind kind = option_kind::exponential;

    std::array<double, 4> coefficients{0.9857434355925262, 0.859451565189882, 0.27412961708598566,
                                       0.03015549958949233};
    double clamp = 4;
    auto content() const { return std::tie(coefficients, clamp); }
};

struct table_exponential {
    static constexpr option_kind kind = option_kind::exponential;

    std::array<double, 4> coefficients{0.999799582380979, -0.993251616264998, 0.4641286517689965,
                                       -0.10299759433255609};
    int cut = 6;  // whole, from 1 to 15
    auto content() const { return std::tie(coefficients, cut); }
};

namespace detail {

inline constexpr int max_table_entries = 16;

// Either form as a kernel reads it.
template <class T>
struct exponential_numbers {
    T a[4];
    T min;    // the smallest t that has a weight
    int cut;  // of the table; 0: no table
    T table[max_table_entries];
};

// Numbers of this size keep every power of a cubic finite in float.
inline constexpr double largest_coefficient = 1e6;

// Throws where a row's largest score would have no weight, or a cubic may overflow.
template <class T>
void check_cubic(std::string_view function, const std::array<double, 4>& a, double clamp) {
    for (std::size_t i = 0; i < 4; ++i)
        if (!(a[i] >= -largest_coefficient && a[i] <= largest_coefficient))
            fail(function, {"coefficient a", i, " is ", a[i], ", needs a number between -1e6 and 1e6"});
    if (!(is_positive_as<T>(clamp) && clamp <= 1000))
        fail(function, {"clamp is ", clamp, ", needs a number above 0, at most 1000"});
}
inline void check_weight_of_largest(std::string_view function, const std::array<double, 4>& a) {
    if (!(a[0] >= 1e-6))
        fail(function, {"coefficient a0 is ", a[0],
                        ", needs at least 1e-6: it is the weight of a row's largest score"});
}

template <class T>
exponential_numbers<T> numbers_of_exponential(std::string_view function, const cubic_exponential& e) {
    check_cubic<T>(function, e.coefficients, e.clamp);
    check_weight_of_largest(function, e.coefficients);
    exponential_numbers<T> n{};
    for (std::size_t i = 0; i < 4; ++i) n.a[i] = static_cast<T>(e.coefficients[i]);
    n.min = static_cast<T>(-e.clamp);
    return n;
}

template <class T>
exponential_numbers<T> numbers_of_exponential(std::string_view function, const table_exponential& e) {
    check_cubic<T>(function, e.coefficients, 1);
    check_weight_of_largest(function, e.coefficients);
    if (!(e.cut >= 1 && e.cut < max_table_entries))
        fail(function, {"cut is ", e.cut, ", needs a whole number from 1 to 15"});
    exponential_numbers<T> n{};
    for (std::size_t i = 0; i < 4; ++i) n.a[i] = static_cast<T>(e.coefficients[i]);
    n.min = static_cast<T>(-e.cut);
    n.cut = e.cut;
    // By products of the rounded e^-1 in double: 15 of them are wrong by less than 2^-48.
    double x = 1;
    for (int i = 0; i <= e.cut; ++i, x *= 0.36787944117144232160) n.table[i] = static_cast<T>(x);
    return n;
}

}  // namespace detail
}  // namespace heed::inline HEED_ABI
