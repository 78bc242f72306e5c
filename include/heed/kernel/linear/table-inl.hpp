// SPDX-License-Identifier: MIT
// heed/kernel/linear/table-inl.hpp: the table of linear leaves that a target offers

#ifndef HEED_KERNEL_LINEAR_TABLE_INL
#define HEED_KERNEL_LINEAR_TABLE_INL

#include <heed/kernel/linear/decays-inl.hpp>
#include <heed/kernel/linear/exponents-inl.hpp>
#include <heed/kernel/linear/features-inl.hpp>
#include <heed/kernel/linear/matrix-inl.hpp>
#include <heed/kernel/linear/walk-inl.hpp>
#include <heed/kernel/transpose-inl.hpp>

#define HEED_FOREACH <heed/kernel/linear/table-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class E>
const detail::linear_leaves<E>& linear_leaves() {
    using T = typename detail::linear_leaves<E>::T;
    static constexpr detail::linear_leaves<E> table{
        .pack_lanes = lanes_of<T>,
        .widen = &widen_rows<E, T>,
        .write = &write_scaled<T, E>,
        .write_sums = &write_scaled<T, T>,
        .transpose = &transpose_scaled<T>,
        .multiply = &multiply_matrix<terms::all, T>,
        .multiply_lower = &multiply_matrix<terms::lower, T>,
        .multiply_upper = &multiply_matrix<terms::upper, T>,
        .multiply_to_lower = &multiply_to_lower<T>,
        .solve_lower = &solve_lower<T>,
        .solve_upper = &solve_upper<T>,
        .accumulate = &accumulate<T>,
        .decay_rows = &decay_rows<T>,
        .walk_state = &walk_state<T>,
        .decays_of_steps = &decays_of_steps<T>,
        .multiply_elements = &multiply_elements<T>,
        .scale_rows = &scale_rows<T>,
        .decay_lower = &decay_lower<T>,
        .decay_factors = &decay_factors<T>,
        .segment_decays = &segment_decays<T>,
        .segment_exponents = &segment_exponents<T>,
        .shift_rows = &shift_rows<T>,
        .relative_queries = &relative_queries<T>,
        .scale_elements = &scale_elements<T>,
        .scale_columns = &scale_columns<T>,
        .normalisers = &normalisers<T>,
        .add_running = &add_running<T>,
        .scale_lower = &scale_lower<T>,
        .add_products = &add_element_products<T>,
        .multiply_row = &multiply_row<T>,
        .row_products = &row_products<T>,
        .exponentials = &exponentials<T>,
        .scan_columns = &scan_columns<T>,
        .elu1 = &map_elements<elu1_map, T>,
        .elu1_gradient = &map_gradient<elu1_map, T>,
        .relu = &map_elements<relu_map, T>,
        .relu_gradient = &map_gradient<relu_map, T>,
        .softmax = &softmax_rows<T>,
        .softmax_gradient = &softmax_gradient<T>,
        .columns = &map_columns<T>,
        .columns_gradient = &columns_gradient<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
