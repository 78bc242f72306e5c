// SPDX-License-Identifier: MIT
// heed/kernel/exact/table-inl.hpp: the table of leaves that a target offers

namespace heed::inline HEED_ABI::HEED_SIMD {

// Packs so short that a strip of three wastes little on the last queries.
template <class T>
inline constexpr bool few = lanes_of<T> <= 4 && HEED_SIMD_BYTES < 32;

template <class E>
const detail::exact_leaves<E>& exact_leaves() {
    using T = typename detail::exact_problem<E>::T;
    static constexpr detail::exact_leaves<E> table{
        lanes_of<T>,
        few<T> ? 3 : 1,
        &widen_rows<E, T>,
        &narrow_row<T, E>,
        &widen_scaled<E, T>,
        &narrow_scaled<T, E>,
        &all_finite<T>,
        &transpose_scaled<T>,
        &weights_row<T>,
        {&panel_scores < few<T> ? 3 : 1, T >, &panel_scores < few<T> ? 3 : 2, T >, &panel_scores<3, T>},
        &panel_largest<T>,
        &panel_softmax<T>,
        {&panel_outputs < few<T> ? 3 : 1, T >, &panel_outputs < few<T> ? 3 : 2, T >, &panel_outputs<3, T>},
        &visible_outputs<T>,
        &carry_sums<T>,
        {&row_scores<1, T>, &row_scores<4, T>},
        &turned_scores<T>,
        &row_softmax<T>,
        {&row_outputs<1, T>, &row_outputs<4, T>},
        &single_outputs<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
