// SPDX-License-Identifier: MIT
// heed/kernel/sparse/rows-inl.hpp: rows of any elements, from and to the type of the sums

#ifndef HEED_KERNEL_SPARSE_ROWS_INL
#define HEED_KERNEL_SPARSE_ROWS_INL

#include <type_traits>

#include <heed/kernel/convert-inl.hpp>

namespace heed::inline HEED_ABI::detail {

// A row of elements to the type sums are kept in, and back.
template <class E>
struct row_conversions {
    using T = std::conditional_t<std::is_same_v<E, double>, double, float>;
    void (*widen)(const E* from, index row_stride, index stride, index rows, index n, T* to, index to_stride);
    void (*narrow)(const T* from, index n, E* to, index stride);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/sparse/rows-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class E>
detail::row_conversions<E> row_conversions() {
    using T = typename detail::row_conversions<E>::T;
    return {&widen_rows<E, T>, &narrow_row<T, E>};
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
