// SPDX-License-Identifier: MIT
// heed/kernel/sparse/rows-inl.hpp: rows of any elements, from and to the type of the sums

namespace heed::inline HEED_ABI::HEED_SIMD {

template <class E>
detail::row_conversions<E> row_conversions() {
    using T = typename detail::row_conversions<E>::T;
    return {&widen_rows<E, T>, &narrow_row<T, E>};
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
