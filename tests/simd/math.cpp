// SPDX-License-Identifier: MIT
// tests/simd/math.cpp: heed::math against libm's double, over the whole range and at the ends
#include <bit>
#include <cmath>
#include <limits>

#include <heed/math.hpp>
#include <heed/score/dual.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/traps.hpp"

namespace {

// Largest error in ULP of the true result over random arguments, half of them of random exponent.
template <class T, class F, class G>
double worst(std::uint64_t seed, double low, double high, const F& f, const G& truth) {
    support::random r(seed);
    double most = 0;
    for (int i = 0; i < 400000; ++i) {
        double x = r.uniform(low, high);
        if (i % 2) x = std::ldexp(x, -static_cast<int>(r.between(0, 40)));
        const T argument = static_cast<T>(x);
        const long double want = truth(static_cast<long double>(argument));
        const double unit = support::ulp<T>(static_cast<double>(want));
        const double error =
            static_cast<double>(std::fabs(static_cast<long double>(f(argument)) - want)) / unit;
        most = error <= most ? most : error;
    }
    return most;
}

template <class T>
void sweep(double exp_low, double exp_high) {
    namespace m = heed::math;
    CHECK(worst<T>(
              1, exp_low, exp_high, [](T x) { return m::exp(x); },
              [](long double x) { return std::exp(x); }) <= 2);
    CHECK(worst<T>(
              2, -12, 12, [](T x) { return m::tanh(x); }, [](long double x) { return std::tanh(x); }) <= 3);
    CHECK(worst<T>(
              3, 1e-30, 1e30, [](T x) { return m::log(x); }, [](long double x) { return std::log(x); }) <= 2);
    CHECK(worst<T>(4, 0.5, 2, [](T x) { return m::log(x); }, [](long double x) { return std::log(x); }) <= 2);
    CHECK(worst<T>(
              5, -30, 30, [](T x) { return m::sigmoid(x); },
              [](long double x) { return 1 / (1 + std::exp(-x)); }) <= 4);
    CHECK(worst<T>(
              6, 0, 1e30, [](T x) { return m::sqrt(x); }, [](long double x) { return std::sqrt(x); }) <= 1);
}

// The derivatives that dual numbers carry, to the end of the normal range.
template <class T>
void slopes(double most) {
    namespace m = heed::math;
    using dual = heed::detail::dual<T>;
    const auto bell = [](long double x) {
        const long double e = std::exp(-std::fabs(x));
        return e / ((1 + e) * (1 + e));
    };
    for (const double end : {1.0, 12.0, most}) {
        CHECK(worst<T>(
                  7, -end / 2, end / 2, [](T x) { return m::tanh(dual(x, 1)).slope; },
                  [&](long double x) { return 4 * bell(2 * x); }) <= 5);
        CHECK(worst<T>(8, -end, end, [](T x) { return m::sigmoid(dual(x, 1)).slope; }, bell) <= 5);
    }
    for (const T x : {T(1e4), T(-1e4), std::numeric_limits<T>::infinity()}) {
        CHECK(m::tanh(dual(x, 1)).slope == 0);
        CHECK(m::sigmoid(dual(x, 1)).slope == 0);
    }
    CHECK(std::isnan(m::tanh(dual(std::numeric_limits<T>::quiet_NaN(), 1)).slope));
}

template <class T>
void ends() {
    namespace m = heed::math;
    constexpr T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    constexpr T denormal = std::numeric_limits<T>::denorm_min() * 8;
    CHECK(m::exp(T(0)) == 1);
    CHECK(m::exp(-inf) == 0);
    CHECK(m::exp(inf) == inf);
    CHECK(m::exp(T(1e4)) == inf);
    CHECK(m::exp(T(-1e4)) == 0);
    CHECK(std::isnan(m::exp(nan)));
    CHECK(m::tanh(T(0)) == 0);
    CHECK(std::signbit(m::tanh(T(-0.0))));
    CHECK(m::tanh(inf) == 1);
    CHECK(m::tanh(-inf) == -1);
    CHECK(m::tanh(T(1e30)) == 1);
    CHECK(m::tanh(denormal) == denormal);
    CHECK(std::isnan(m::tanh(nan)));
    CHECK(m::log(T(1)) == 0);
    CHECK(m::log(T(0)) == -inf);
    CHECK(m::log(inf) == inf);
    CHECK(std::isnan(m::log(T(-1))));
    CHECK(std::isnan(m::log(nan)));
    CHECK(std::fabs(m::log(denormal) - std::log(denormal)) <= 1e-6 * std::fabs(std::log(denormal)));
    CHECK(m::sigmoid(T(0)) == T(0.5));
    CHECK(m::sigmoid(inf) == 1);
    CHECK(m::sigmoid(-inf) == 0);
    CHECK(std::isnan(m::sigmoid(nan)));
    CHECK(m::sqrt(T(0)) == 0);
    CHECK(m::sqrt(T(4)) == 2);
    CHECK(m::sqrt(inf) == inf);
    CHECK(std::isnan(m::sqrt(T(-1))));
    CHECK(std::isnan(m::sqrt(nan)));
    CHECK(std::fabs(m::sqrt(denormal) - std::sqrt(denormal)) <= 1e-6 * std::sqrt(denormal));
    CHECK(m::abs(T(-3)) == 3);
    CHECK(m::min(T(2), T(-3)) == -3);
    CHECK(m::max(T(2), T(-3)) == 2);
    CHECK(m::select(true, T(1), T(2)) == 1);
    CHECK(m::select(false, T(1), T(2)) == 2);
}

}  // namespace

TEST_CASE("heed::math in float") { sweep<float>(-100, 88); }
TEST_CASE("heed::math in double") { sweep<double>(-740, 708); }
TEST_CASE("derivatives in float") { slopes<float>(86); }
TEST_CASE("derivatives in double") { slopes<double>(706); }
TEST_CASE("heed::math at the ends") {
    const heed_test::without_traps quiet;
    ends<float>();
    ends<double>();
}
TEST_CASE("tanh is odd and never falls") {
    for (const float step : {1e-4f, 1e-3f}) {
        float last = -1;
        long falls = 0, uneven = 0;
        for (int i = -12000; i <= 12000; ++i) {
            const float x = step * static_cast<float>(i), y = heed::math::tanh(x);
            // monotone to the last bits: a step down of one unit is allowed by 3 ULP of error
            falls += y < last - 2e-7f * std::fabs(last);
            uneven += std::bit_cast<std::uint32_t>(heed::math::tanh(-x)) !=
                      (std::bit_cast<std::uint32_t>(y) ^ 0x80000000u);
            last = y;
        }
        CHECK(falls == 0);
        CHECK(uneven == 0);
    }
}
