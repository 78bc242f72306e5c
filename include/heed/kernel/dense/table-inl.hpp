// SPDX-License-Identifier: MIT
// heed/kernel/dense/table-inl.hpp: the table of dense leaves that a target offers

namespace heed::inline HEED_ABI::HEED_SIMD {

template <class T>
const detail::dense_leaves<T>& dense_leaves() {
    static constexpr detail::dense_leaves<T> table{
        .row_panel = row_packs<T> * lanes_of<T>,
        .column_panel = dense_packs * lanes_of<T>,
        .pack_rows = &pack_panels<row_packs<T>, T>,
        .pack_columns = &pack_panels<dense_packs, T>,
        .multiply = &multiply_panels<T>,
        .multiply_few = &multiply_few<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
