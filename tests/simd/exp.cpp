// SPDX-License-Identifier: MIT
// tests/simd/exp.cpp: exp within 2 ULP for every float in [-104, 0], on the active target (R4)
//
// heed has two: exp, good for every argument, and exp_of_negative, the softmax's own, which gives
// 0 where the result would be denormal (below -87.34).
#include <heed/simd/dispatch.hpp>

#include <bit>
#include <cmath>

#include "simd/exp-inl.hpp"
#include "support/catch.hpp"
#include "support/traps.hpp"

namespace {

double worst_exp(std::uint32_t first, std::uint32_t last) { HEED_RETURN_ON_TARGET(worst_exp(first, last)); }
double worst_exp_of_negative(std::uint32_t first, std::uint32_t last) {
    HEED_RETURN_ON_TARGET(worst_exp_of_negative(first, last));
}
float exp_of_negative(float x) { HEED_RETURN_ON_TARGET(one_exp_of_negative(x)); }

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

}  // namespace

TEST_CASE("the check itself sees an error of half a last place") {
    // e^-1 rounded to float is off by less than half a unit, its neighbours by more.
    const float nearest = static_cast<float>(std::exp(-1.0));
    const double ulp = std::ldexp(1.0, -25);
    CHECK(std::fabs(double(std::nextafter(nearest, 1.0f)) - std::exp(-1.0)) / ulp > 0.5);
    CHECK(std::fabs(double(nearest) - std::exp(-1.0)) / ulp <= 0.5);
    CHECK(worst_exp(bits(1.0f), bits(1.0f) + 1) <= 1);
}

TEST_CASE("exp is within 2 ULP for every float in [-104, 0]") {
    const double worst = worst_exp(0, bits(104.0f) + 1);
    CAPTURE(worst);
    CHECK(worst <= 2);
    CHECK(worst >= 0.5);  // a correctly rounded result would be suspicious: the check must see errors
}

TEST_CASE("the softmax's exp is within 2 ULP for every float whose result is normal") {
    // ln(2^-126) = -87.3365...
    const double worst = worst_exp_of_negative(bits(0x1p-25f), bits(87.33f) + 1);
    CAPTURE(worst);
    CHECK(worst <= 2);
}

TEST_CASE("the softmax's exp at its ends") {
    const heed_test::without_traps quiet;
    CHECK(bits(exp_of_negative(0.0f)) == bits(1.0f));
    CHECK(bits(exp_of_negative(-0.0f)) == bits(1.0f));
    for (const float x : {-88.0f, -104.0f, -1e10f, -3.4028234e38f, -HUGE_VALF})
        CHECK(bits(exp_of_negative(x)) == 0);
    CHECK(std::isnan(exp_of_negative(std::nanf(""))));
}
