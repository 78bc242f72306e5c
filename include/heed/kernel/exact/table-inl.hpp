// SPDX-License-Identifier: MIT
// heed/kernel/exact/table-inl.hpp: the table of leaves that a target offers

#ifndef HEED_KERNEL_EXACT_TABLE_INL
#define HEED_KERNEL_EXACT_TABLE_INL

#include <heed/kernel/carry-inl.hpp>
#include <heed/kernel/convert-inl.hpp>
#include <heed/kernel/exact/panel-inl.hpp>
#include <heed/kernel/exact/row_outputs-inl.hpp>
#include <heed/kernel/exact/row_softmax-inl.hpp>
#include <heed/kernel/transpose-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/table-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Packs so short that a strip of three wastes little on the last queries.
template <class T>
inline constexpr bool few = lanes_of<T> <= 4 && HEED_SIMD_BYTES < 32;
template <class T>
inline constexpr int first_packs = few<T> ? 3 : 1;
template <class T>
inline constexpr int second_packs = few<T> ? 3 : 2;

template <class E>
const detail::exact_leaves<E>& exact_leaves() {
    using T = typename detail::exact_problem<E>::T;
    static constexpr detail::exact_leaves<E> table{
        .pack_lanes = lanes_of<T>,
        .fewest_packs = first_packs<T>,
        .widen = &widen_rows<E, T>,
        .narrow = &narrow_row<T, E>,
        .widen_scaled = &widen_scaled<E, T>,
        .narrow_scaled = &narrow_scaled<T, E>,
        .all_finite = &all_finite<T>,
        .transpose = &transpose_scaled<T>,
        .transpose_finite = &transpose_finite<T>,
        .weights = &weights_row<T>,
        .panel_scores = {&panel_scores<first_packs<T>, T>, &panel_scores<second_packs<T>, T>,
                         &panel_scores<3, T>},
        .panel_max = &panel_max<T>,
        .panel_softmax = &panel_softmax<T>,
        .panel_outputs = {&panel_outputs<first_packs<T>, T>, &panel_outputs<second_packs<T>, T>,
                          &panel_outputs<3, T>},
        .visible_outputs = &visible_outputs<T>,
        .carry = &carry_sums<T>,
        .row_scores = {&row_scores<1, T>, &row_scores<4, T>},
        .transposed_scores = &transposed_scores<T>,
        .rows_softmax = &rows_softmax<T>,
        .row_outputs = {&row_outputs<1, T>, &row_outputs<4, T>},
        .stored = stored_leaves_of<E, T>,
        .row_visible_outputs = &single_outputs<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
