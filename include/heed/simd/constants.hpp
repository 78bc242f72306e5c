// SPDX-License-Identifier: MIT
// heed/simd/constants.hpp: the numbers behind simd/math-inl.hpp, for float and for double
#pragma once

#include <cstdint>

#include <heed/core/config.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct constants;

template <>
struct constants<float> {
    using integer = std::int32_t;
    static constexpr float one = 1.0f, half = 0.5f, three_halves = 1.5f;
    static constexpr float log2e = 1.44269504088896340736f;
    // ln2 in two parts: the first has enough zero bits that n * ln2_high is exact.
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
    // Below, 2^n has n = -127 and is 0.
    static constexpr float exp_flush = -87.6833f;
    static constexpr float exp_min = -104.0f, exp_max = 89.0f;
    // As far as e^x + 2 and its inverse are normal numbers.
    static constexpr float tanh_max = 87.0f;
    static constexpr int exp_terms = 5;
    static constexpr float exp_q[] = {0.49999994f, 0.1666652f, 0.041668408f, 0.0083689215f, 0.0013814174f};
    static constexpr int log_terms = 4;
    static constexpr float log_p[] = {2.0f / 3, 2.0f / 5, 2.0f / 7, 2.0f / 9};
    static constexpr float sqrt2 = 1.41421356237309504880f;
    static constexpr float min_normal = 1.17549435e-38f;
    static constexpr float denormal_scale = 16777216.0f, denormal_exponent = 24.0f;  // 2^24
    static constexpr float denormal_root = 1.0f / 4096;                              // 2^-12
    static constexpr float overflow_scale = 0x1p-96f;  // squares of what it scales stay far from both ends
    static constexpr int rsqrt_steps = 3;
    static constexpr integer rsqrt_magic = 0x5f375a86;
    static constexpr integer mantissa = 23, bias = 127, mantissa_mask = 0x007fffff;
    static constexpr integer infinity_bits = 0x7f800000, minus_infinity_bits = ~0x007fffff;
    static constexpr integer sign_bit = -2147483647 - 1;
    static constexpr float lowest = -3.40282346638528859812e+38f;
};

template <>
struct constants<double> {
    using integer = std::int64_t;
    static constexpr double one = 1.0, half = 0.5, three_halves = 1.5;
    static constexpr double log2e = 1.44269504088896340736;
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double exp_flush = -708.7437;
    static constexpr double exp_min = -746.0, exp_max = 710.0;
    static constexpr double tanh_max = 708.0;
    static constexpr int exp_terms = 12;
    static constexpr double exp_q[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                       1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                       1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    static constexpr int log_terms = 10;
    static constexpr double log_p[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                       2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
    static constexpr double sqrt2 = 1.41421356237309504880;
    static constexpr double min_normal = 2.2250738585072014e-308;
    static constexpr double denormal_scale = 18014398509481984.0, denormal_exponent = 54.0;  // 2^54
    static constexpr double denormal_root = 1.0 / 134217728;                                 // 2^-27
    static constexpr double overflow_scale = 0x1p-768;
    static constexpr int rsqrt_steps = 4;
    static constexpr integer rsqrt_magic = 0x5fe6eb50c7b537a9;
    static constexpr integer mantissa = 52, bias = 1023, mantissa_mask = 0x000fffffffffffff;
    static constexpr integer infinity_bits = 0x7ff0000000000000, minus_infinity_bits = ~0x000fffffffffffff;
    static constexpr integer sign_bit = -9223372036854775807 - 1;
    static constexpr double lowest = -1.79769313486231570815e+308;
};

}  // namespace heed::inline HEED_ABI::detail
