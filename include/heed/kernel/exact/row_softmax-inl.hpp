// SPDX-License-Identifier: MIT
// heed/kernel/exact/row_softmax-inl.hpp: the softmax of a step of the decode kernel

#ifndef HEED_KERNEL_EXACT_ROW_SOFTMAX_INL
#define HEED_KERNEL_EXACT_ROW_SOFTMAX_INL

#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/lanes-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/row_softmax-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Scores of Rows rows to e^(s - m) in place; lanes past count up to a whole pack are hidden first. Bounded as
// in panel_max. The rows' maxima and sums are reduced together, each with the bits it has alone.
template <int Rows, class T>
HEED_INLINE void softmax_of_rows(T* s, index count, bool bounded, T* row_max, T* row_sum, T* rescale) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    const V lowest = set<V>(bounded ? constants<T>::lowest : detail::minus_infinity<T>());
    V reduced[Rows];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) reduced[r] = set<V>(detail::minus_infinity<T>());
    for (index i = 0; i < count; i += w) {
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            T* const at = s + r * detail::decode_keys + i;
            const V x = first_lanes(larger(lowest, load(at)), count - i, detail::minus_infinity<T>());
            store(at, x);
            reduced[r] = larger(x, reduced[r]);
        }
    }
    T found[w];
    store(found, lanes_reduced<largest_lanes, T>(reduced));
    T safe[Rows];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        const T m = found[r] > row_max[r] ? found[r] : row_max[r];
        safe[r] = detail::is_minus_infinity(m) ? T(0) : m;
        rescale[r] = row_max[r] == m ? T(1) : detail::scalar::exp_of_negative(row_max[r] - safe[r]);
        row_max[r] = m;
        reduced[r] = set<V>(0);
    }
    for (index i = 0; i < count; i += w) {
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            T* const at = s + r * detail::decode_keys + i;
            const V e = exp_of_negative(load(at) - set<V>(safe[r]));
            reduced[r] = reduced[r] + e;
            store(at, e);
        }
    }
    store(found, lanes_reduced<summed_lanes, T>(reduced));
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) row_sum[r] = row_sum[r] * rescale[r] + found[r];
}
// Rows a row of decode_keys apart.
template <class T>
HEED_NOINLINE void rows_softmax(T* s, index rows, index count, bool bounded, T* row_max, T* row_sum,
                                T* rescale) {
    constexpr int together = lanes_of<T> < 4 ? 1 : 4;
    index r = 0;
    for (; r + together <= rows; r += together)
        softmax_of_rows<together>(s + r * detail::decode_keys, count, bounded, row_max + r, row_sum + r,
                                  rescale + r);
    for (; r < rows; ++r)
        softmax_of_rows<1>(s + r * detail::decode_keys, count, bounded, row_max + r, row_sum + r,
                           rescale + r);
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
