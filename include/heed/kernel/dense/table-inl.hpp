// SPDX-License-Identifier: MIT
// heed/kernel/dense/table-inl.hpp: the table of dense leaves that a target offers

#ifndef HEED_KERNEL_DENSE_TABLE_INL
#define HEED_KERNEL_DENSE_TABLE_INL

#include <heed/kernel/dense/few-inl.hpp>

#define HEED_FOREACH <heed/kernel/dense/table-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
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
#include <heed/simd/region_end.hpp>
#endif
