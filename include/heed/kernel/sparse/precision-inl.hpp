// SPDX-License-Identifier: MIT
// heed/kernel/sparse/precision-inl.hpp: rows of numbers as two planes of small integers, and their products
//
// x = step (16 high + low), step = max |x| / 119, high in [-7, 7], low in [-8, 7]: 119 = 16 * 7 + 7 is the
// largest number whose two halves are both signed and fit into four bits. A quotient is rounded to the
// nearest whole number, halves away from zero. Sums of products are integers, so they are exact in any order.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

// Writes `padded` of each plane; gives the step: 0 for a row of zeros, NaN for one that is not finite.
template <class T>
HEED_NOINLINE T split_row(const T* x, index n, index padded, signed char* high, signed char* low) {
    using C = constants<T>;
    T most = 0;
    bool finite = true;
    for (index i = 0; i < n; ++i) {
        const T size = detail::scalar::float_of(detail::scalar::bits_of(x[i]) & ~C::sign_bit);
        finite = finite && (detail::scalar::bits_of(x[i]) & C::infinity_bits) != C::infinity_bits;
        most = size > most ? size : most;
    }
    const T step = most / T(119);
    const T quiet = detail::scalar::float_of(C::infinity_bits | (C::infinity_bits >> 1));
    const bool usable = finite && step > T(0);
    for (index i = 0; i < padded; ++i) {
        int whole = 0;
        if (i < n && usable) {
            const T y = x[i] / step;
            const T by = y < T(0) ? T(-0.5) : T(0.5);
            whole = static_cast<int>(y + by);
            // A denormal step is coarse.
            whole = whole > 119 ? 119 : whole < -119 ? -119 : whole;
        }
        const int upper = (whole + 8) >> 4;
        high[i] = static_cast<signed char>(upper);
        low[i] = static_cast<signed char>(whole - 16 * upper);
    }
    return finite ? (usable ? step : T(0)) : quiet;
}

HEED_INLINE int product_sum(const signed char* a, const signed char* b, index n) {
    int sum = 0;
    for (index i = 0; i < n; ++i) sum += static_cast<int>(a[i]) * static_cast<int>(b[i]);
    return sum;
}

// scores[j] = factor steps[j] sum_f (16 qh + ql) (16 kh + [Low] kl), rows of `padded` numbers.
template <bool Low, class T>
HEED_NOINLINE void split_scores(const detail::split_query<T>& q, const signed char* high,
                                const signed char* low, const T* steps, index padded, index count,
                                T* scores) {
    for (index j = 0; j < count; ++j) {
        int sum = 16 * product_sum(q.numbers, high + j * padded, padded);
        if constexpr (Low) sum += product_sum(q.numbers, low + j * padded, padded);
        scores[j] = (static_cast<T>(sum) * q.factor) * steps[j];
    }
}

template <class T>
detail::split_leaves<T> split_leaves() {
    return {&split_row<T>, {&split_scores<false, T>, &split_scores<true, T>}};
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
