// SPDX-License-Identifier: MIT
// heed/core/layouts.hpp: tensors of other layouts as views, without a copy
//
//     bshd(t)                  (batch, position, head, feature), or its last three axes
//     split_heads(t, heads)    (batch, position, heads * head_dim), as projections leave it
//     transposed(t)            positions and features change places
//     reversed(t)              a column-major tensor (feature, position, head, batch), read backwards
#pragma once

#include <heed/core/eigen.hpp>

namespace heed::inline HEED_ABI {

// (batch, position, head, feature), or (position, head, feature).
template <class X>
auto bshd(X&& x) {
    static_assert(!detail::owns_elements<std::remove_cvref_t<X>> || std::is_lvalue_reference_v<X>,
                  "heed::bshd: the tensor is a temporary and would be gone; give it a name");
    if constexpr (detail::eigen_tensor<X> || detail::eigen_matrix<X>)
        static_assert(detail::tensor_traits<std::remove_cvref_t<X>>::rank >= 3,
                      "heed::bshd: needs (batch, position, head, feature) or (position, head, feature)");
    auto t = detail::as_table(x);
    std::swap(t.extents[1], t.extents[2]);
    std::swap(t.strides[1], t.strides[2]);
    return detail::table_view(t);
}

// (batch, position, heads * head_dim), or (position, heads * head_dim), as projections leave it.
template <class X>
auto split_heads(X&& x, index heads) {
    static_assert(!detail::owns_elements<std::remove_cvref_t<X>> || std::is_lvalue_reference_v<X>,
                  "heed::split_heads: the tensor is a temporary and would be gone; give it a name");
    auto t = detail::as_table(x);
    if (t.extents[0] != 1)
        detail::fail("split_heads", {"the tensor has four axes, needs (batch, position, width)"});
    if (!(heads > 0 && t.extents[3] % heads == 0))
        detail::fail("split_heads", {"a width of ", t.extents[3], " does not divide into ", heads, " heads"});
    const index head_dim = t.extents[3] / heads;
    t.extents = {t.extents[1], heads, t.extents[2], head_dim};
    t.strides = {t.strides[1], head_dim * t.strides[3], t.strides[2], t.strides[3]};
    return detail::table_view(t);
}

// (batch, head, feature, position), or its last three or two axes.
template <class X>
requires(detail::eigen_tensor<X> || detail::eigen_matrix<X>)
auto transposed(X&& x) {
    static_assert(!detail::owns_elements<std::remove_cvref_t<X>> || std::is_lvalue_reference_v<X>,
                  "heed::transposed: the tensor is a temporary and would be gone; give it a name");
    return transposed(as_view(x));
}

// A column-major tensor (feature, position, head, batch), or its first three or two axes.
template <class X>
auto reversed(X&& x) {
    using Plain = std::remove_cvref_t<X>;
    static_assert(detail::eigen_tensor<X>, "heed::reversed: needs an Eigen tensor");
    using traits = detail::tensor_traits<Plain>;
    static_assert(!traits::row_major, "heed::reversed: this tensor is row-major; pass it as it is");
    static_assert(traits::rank >= 2 && traits::rank <= 4, "heed::reversed: needs a tensor of rank 2, 3 or 4");
    static_assert(!detail::owns_elements<Plain> || std::is_lvalue_reference_v<X>,
                  "heed::reversed: the tensor is a temporary and would be gone; give it a name");
    using T = std::remove_pointer_t<decltype(x.data())>;
    std::array<index, 4> extents{1, 1, 1, 1};
    std::array<index, 4> strides{};
    const detail::sizes_of<X> sizes(x.dimensions());
    index stride = 1;
    for (std::size_t axis = 0; axis < std::size_t{traits::rank}; ++axis) {
        extents[3 - axis] = static_cast<index>(sizes[axis]);
        strides[3 - axis] = stride;
        stride *= extents[3 - axis];
    }
    return reversed_view<T, traits::rank>(x.data(), extents, strides);
}

}  // namespace heed::inline HEED_ABI
