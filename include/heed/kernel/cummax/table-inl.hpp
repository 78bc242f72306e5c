// SPDX-License-Identifier: MIT
// heed/kernel/cummax/table-inl.hpp: indices of maxima, and the table of cummax leaves that a target offers

#ifndef HEED_KERNEL_CUMMAX_TABLE_INL
#define HEED_KERNEL_CUMMAX_TABLE_INL

#include <heed/kernel/cummax/gradients-inl.hpp>
#include <heed/kernel/cummax/lanes-inl.hpp>
#include <heed/kernel/cummax/transpose-inl.hpp>

#define HEED_FOREACH <heed/kernel/cummax/table-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Indices of neighbouring features, from the bits of T to integers of the caller's.
template <class T, class Int>
HEED_NOINLINE void write_indices(const T* from, index from_stride, index rows, index n, void* to,
                                 index row_stride, index stride) {
    constexpr int w = lanes_of<T>;
    Int* row = static_cast<Int*>(to);
    for (index r = 0; r < rows; ++r, from += from_stride, row += row_stride) {
        index f = 0;
        for (; stride == 1 && f + w <= n; f += w) store_indices<T>(row + f, load(from + f));
        for (; f < n; ++f) row[f * stride] = static_cast<Int>(detail::scalar::bits_of(from[f]));
    }
}

template <class E>
const detail::cummax_leaves<E>& cummax_leaves() {
    using T = typename detail::cummax_leaves<E>::T;
    static constexpr detail::cummax_leaves<E> table{
        .widen = &widen_rows<E, T>,
        .narrow = &narrow_row<T, E>,
        .transpose_in = &transpose_in<E, T>,
        .transpose_out = &transpose_out<T, E>,
        .later = &elementwise<cummax_later_pair, T>,
        .scan = &elementwise<cummax_scan, T>,
        .scan_index = &elementwise<cummax_scan_index, T>,
        .scan_lanes = {&scan_lanes<T, void>, &scan_lanes<T, std::int32_t>, &scan_lanes<T, std::int64_t>},
        .write_indices = {&write_indices<T, std::int32_t>, &write_indices<T, std::int64_t>},
        .output = &elementwise<cummax_output, T>,
        .attend = {&elementwise<cummax_attend<false, false>, T>, &elementwise<cummax_attend<true, false>, T>,
                   &elementwise<cummax_attend<false, true>, T>, &elementwise<cummax_attend<true, true>, T>},
        .attend_two = {&elementwise<cummax_attend_two<false, false>, T>,
                       &elementwise<cummax_attend_two<true, false>, T>,
                       &elementwise<cummax_attend_two<false, true>, T>,
                       &elementwise<cummax_attend_two<true, true>, T>},
        .gradients = &elementwise<cummax_gradients, T>,
        .descend = {&elementwise<cummax_descend<true>, T>, &elementwise<cummax_descend<false>, T>},
        .ascend = &elementwise<cummax_ascend, T>,
        .route = &elementwise<cummax_route, T>,
        .collect = &elementwise<cummax_collect, T>,
        .release = &elementwise<cummax_release, T>,
        .pass_on = &elementwise<cummax_pass_on, T>,
        .add = &elementwise<cummax_add, T>,
        .weigh = &elementwise<cummax_weigh, T>,
        .normalise = &elementwise<cummax_normalise, T>,
        .blend = &elementwise<blend_two, T>,
        .blend_gradients = &elementwise<cummax_blend_gradients, T>,
        .softmax_gradient = &elementwise<cummax_softmax_gradient, T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
