// SPDX-License-Identifier: MIT
// heed/kernel/linear/table-inl.hpp: the table of linear leaves that a target offers

namespace heed::inline HEED_ABI::HEED_SIMD {

template <class E>
const detail::linear_leaves<E>& linear_leaves() {
    using T = typename detail::linear_leaves<E>::T;
    static constexpr detail::linear_leaves<E> table{
        lanes_of<T>,
        &widen_rows<E, T>,
        &write_scaled<T, E>,
        &write_scaled<T, T>,
        &transpose_scaled<T>,
        &multiply_matrix<terms::all, T>,
        &multiply_matrix<terms::lower, T>,
        &multiply_matrix<terms::upper, T>,
        &multiply_to_lower<T>,
        &solve_lower<T>,
        &solve_upper<T>,
        &accumulate<T>,
        &decay_rows<T>,
        &walk_state<T>,
        &decays_of_steps<T>,
        &multiply_elements<T>,
        &scale_rows<T>,
        &decay_lower<T>,
        &decay_factors<T>,
        &segment_decays<T>,
        &segment_exponents<T>,
        &shift_rows<T>,
        &relative_queries<T>,
        &scale_elements<T>,
        &scale_columns<T>,
        &normalisers<T>,
        &add_running<T>,
        &scale_lower<T>,
        &add_element_products<T>,
        &multiply_row<T>,
        &row_products<T>,
        &exponentials<T>,
        &scan_columns<T>,
        &map_elements<elu1_map, T>,
        &map_gradient<elu1_map, T>,
        &map_elements<relu_map, T>,
        &map_gradient<relu_map, T>,
        &softmax_rows<T>,
        &softmax_gradient<T>,
        &map_columns<T>,
        &columns_gradient<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
