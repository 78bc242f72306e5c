// SPDX-License-Identifier: MIT
// heed/kernel/cummax/leaves-inl.hpp: the operations of cummax attention, forward
//
// later(a, b) is b where b >= a or b is NaN: two comparisons and a selection, which copies bits. A build
// whose compiler assumes that NaN does not exist compares integers instead, that order numbers as they
// compare, -0 equal to +0 and every NaN above all (measured, 64 positions of 8 heads of 64 features in cache:
// 16 us, against 11). Sums and products are rounded one by one, so that targets give the same bits.

#ifndef HEED_KERNEL_CUMMAX_LEAVES_INL
#define HEED_KERNEL_CUMMAX_LEAVES_INL

#include <heed/kernel/cummax/problem.hpp>
#include <heed/kernel/elementwise/leaves-inl.hpp>
#include <heed/simd/lane_bits-inl.hpp>

#define HEED_FOREACH <heed/kernel/cummax/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
template <class V>
HEED_INLINE auto cummax_order(V x) {
    using C = constants<element_of<V>>;
    using Int = typename C::integer;
    constexpr Int max = ~C::sign_bit;
    const auto bits = bits_of(x);
    const auto magnitude = bits & max;
    const auto sign = bits >> static_cast<Int>(8 * sizeof(Int) - 1);
    // All ones where the magnitude is above infinity's: the difference is then negative.
    const auto nan = (C::infinity_bits - magnitude) >> static_cast<Int>(8 * sizeof(Int) - 1);
    return (((magnitude ^ sign) - sign) | nan) & (max | ~nan);
}
template <class V>
HEED_INLINE V cummax_later(V a, V b) {
    return choose(cummax_order(b) >= cummax_order(a), b, a);
}
#else
template <class V>
HEED_INLINE V cummax_later(V a, V b) {
    return choose((b >= a) | (b != b), b, a);
}
#endif

struct cummax_later_pair {
    static constexpr int reads = 2, writes = 1;
    static constexpr unsigned carried = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = cummax_later(x[0], x[1]);
    }
};
struct cummax_scan {
    static constexpr int reads = 2, writes = 2;
    static constexpr unsigned carried = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = y[1] = cummax_later(x[0], x[1]);
    }
};
// The index of the maximum beside it: where x and the maximum are the same bits, x is what set it.
struct cummax_scan_index {
    static constexpr int reads = 4, writes = 5;
    static constexpr unsigned carried = 1 + 4 + 8;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* step) {
        y[0] = y[1] = cummax_later(x[0], x[1]);
        y[2] = y[4] = choose(bits_of(x[1]) == bits_of(y[0]), x[3], x[2]);
        y[3] = float_of(bits_of(x[3]) + detail::scalar::bits_of(step[0]));
    }
};
template <class V>
HEED_INLINE V cummax_output_of(V p, V a1, V a2) {
    return rounded((p + a1) * a2) + a1;
}
struct cummax_output {
    static constexpr int reads = 3, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = cummax_output_of(x[0], x[1], x[2]);
    }
};
// The whole of a head in one pass: the maximum over positions, that over the heads so far, and the output.
template <bool ReadsP, bool WritesP>
struct cummax_attend {
    static constexpr int reads = ReadsP ? 5 : 4, writes = WritesP ? 3 : 2;
    static constexpr unsigned carried = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        const V e = cummax_later(x[0], x[1]);
        V p = e;
        if constexpr (ReadsP) p = cummax_later(x[4], e);
        y[0] = e;
        y[1] = cummax_output_of(p, x[2], x[3]);
        if constexpr (WritesP) y[2] = p;
    }
};
// Two heads: what the first hands to the second stays in a register.
template <bool ReadsP, bool WritesP>
struct cummax_attend_two {
    static constexpr int reads = ReadsP ? 9 : 8, writes = WritesP ? 5 : 4;
    static constexpr unsigned carried = 1 + 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = cummax_later(x[0], x[2]);
        y[1] = cummax_later(x[1], x[5]);
        V p = y[0];
        if constexpr (ReadsP) p = cummax_later(x[8], p);
        y[2] = cummax_output_of(p, x[3], x[4]);
        p = cummax_later(p, y[1]);
        y[3] = cummax_output_of(p, x[6], x[7]);
        if constexpr (WritesP) y[4] = p;
    }
};

// The softmax over heads. A maximum of -inf is that of nothing: all weights are 0.
struct cummax_weigh {
    static constexpr int reads = 3, writes = 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        const V max = choose(is_minus_infinity(x[1]), set<V>(0), x[1]);
        y[0] = exp_of_negative(x[0] - max);
        y[1] = x[2] + y[0];
    }
};
struct cummax_normalise {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        using C = constants<element_of<V>>;
        const auto empty = bits_of(x[1]) == bits_of(set<V>(0));
        y[0] = x[0] / choose(empty, set<V>(C::one), x[1]);
    }
};

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
