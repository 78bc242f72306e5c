// SPDX-License-Identifier: MIT
// tests/simd/exp-inl.hpp: the exponential of a target against one of our own in double
//
// Compiled once per target inside its region, so that both the function under test and the check
// run at the target's speed: there are 1.1e9 floats in [-104, 0].
//
// The check is e^x = 2^n e^r with the Taylor series of e^r to r^10/10!, |r| <= ln2/2: relative
// error below 3e-13, a 200,000th of a float's last place. It is written with what SSE2 can do two
// at a time, because the portable and baseline targets have to get through as many floats.

#ifndef HEED_TESTS_SIMD_EXP_INL
#define HEED_TESTS_SIMD_EXP_INL

#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH "simd/exp-inl.hpp"
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

struct exp_under_test {
    static HEED_INLINE pack<float> apply(pack<float> x) { return exp(x); }
};
struct exp_of_negative_under_test {
    static HEED_INLINE pack<float> apply(pack<float> x) { return exp_of_negative(x); }
};

HEED_INLINE double double_of(std::int64_t n) { return detail::scalar::float_of(n); }
HEED_INLINE std::int64_t bits_of_double(double x) { return detail::scalar::bits_of(x); }

// The largest error in units of the last place of the true result over the negative floats whose
// magnitudes have the bits [first, last). Tiny: |x| < 2^-25, where e^x rounds to 1 and the units
// are those below it. Denormal: the last place is never less than 2^-149.
enum class range { tiny, normal, denormal };

template <class F, range Range>
double exp_sweep(std::uint32_t first, std::uint32_t last) {
    constexpr int block = 1024;
    static_assert(block % lanes_of<float> == 0);
    float x[block], y[block];
    double worst = 0;
    for (std::uint32_t begin = first; begin < last; begin += block) {
        const std::int32_t left = static_cast<std::int32_t>(last - begin) - 1;
        for (std::int32_t i = 0; i < block; ++i)
            x[i] = -detail::scalar::float_of(static_cast<std::int32_t>(begin) + (i < left ? i : left));
        for (int i = 0; i < block; i += lanes_of<float>) store(y + i, F::apply(load(x + i)));
        if constexpr (Range == range::tiny) {
            std::int32_t most = 0;
            for (int i = 0; i < block; ++i) {
                const std::int32_t below = 0x3F800000 - detail::scalar::bits_of(y[i]);
                const std::int32_t off = below < 0 ? -2 * below : below;
                most = off > most ? off : most;
            }
            worst = most > worst ? most : worst;
            continue;
        }
        double error[block];
        for (int i = 0; i < block; ++i) {
            const double t = static_cast<double>(x[i]);
            const double rounded = t * 1.4426950408889634 + 0x1.8p52;
            const double n = rounded - 0x1.8p52;
            const double r = (t - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
            double s = 1.0 / 3628800.0;
            s = s * r + 1.0 / 362880.0;
            s = s * r + 1.0 / 40320.0;
            s = s * r + 1.0 / 5040.0;
            s = s * r + 1.0 / 720.0;
            s = s * r + 1.0 / 120.0;
            s = s * r + 1.0 / 24.0;
            s = s * r + 1.0 / 6.0;
            s = s * r + 0.5;
            s = (s * r + 1.0) * r + 1.0;
            const double truth = s * double_of((bits_of_double(rounded) + 1023) << 52);
            // 2^23 over the power of two at or below the true result
            const auto power = static_cast<std::uint64_t>(bits_of_double(truth)) & 0x7FF0000000000000;
            double units = double_of(static_cast<std::int64_t>((std::uint64_t{2046 + 23} << 52) - power));
            if constexpr (Range == range::denormal) units = units < 0x1p149 ? units : 0x1p149;
            error[i] = (static_cast<double>(y[i]) - truth) * units;
        }
        for (int i = 0; i < block; ++i) {
            const double size = error[i] < 0 ? -error[i] : error[i];
            worst = size <= worst ? worst : size;  // NaN comes through
        }
    }
    return worst;
}

template <class F>
double worst_of(std::uint32_t first, std::uint32_t last) {
    constexpr std::uint32_t tiny = 0x33000000;      // 2^-25
    constexpr std::uint32_t denormal = 0x42AE0000;  // 87
    const auto part = [&](std::uint32_t low, std::uint32_t high, auto sweep) {
        low = low > first ? low : first;
        high = high < last ? high : last;
        return low < high ? sweep(low, high) : 0.0;
    };
    const double a = part(0, tiny, exp_sweep<F, range::tiny>);
    const double b = part(tiny, denormal, exp_sweep<F, range::normal>);
    const double c = part(denormal, 0x7F800000, exp_sweep<F, range::denormal>);
    const double ab = a > b ? a : b;
    return ab > c ? ab : c;
}

inline double worst_exp(std::uint32_t first, std::uint32_t last) {
    return worst_of<exp_under_test>(first, last);
}
inline double worst_exp_of_negative(std::uint32_t first, std::uint32_t last) {
    return worst_of<exp_of_negative_under_test>(first, last);
}
inline float one_exp_of_negative(float x) {
    float lanes[lanes_of<float>];
    store(lanes, exp_of_negative(set<pack<float>>(x)));
    return lanes[0];
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
