// SPDX-License-Identifier: MIT
// heed/cummax/scan.hpp: the running maximum of a tensor along an axis
//
//     auto e = heed::cummax(x, heed::along::position);                    y[t] = max over u <= t of x[u]
//     auto e = heed::cummax(x, heed::along::feature, heed::reverse);      y[t] = max over u >= t
//     auto r = heed::cummax_with_index(x, heed::along::head);             r.values, r.indices
//     auto dx = heed::cummax_backward(dy, x, heed::along::position);
//
// x is any tensor of attention (heed/core/tensor.hpp). Options: along::axis (position by default), reverse,
// on(device), use(workspace), and each function has an _into twin. y may be x itself.
//
// Of equal elements (+0 and -0 are) the later takes over, and so does every NaN, which then stays: values and
// indices are those of torch.cummax, to the bit, with -ffast-math too. An index counts along the axis of x,
// whatever the direction.
//
// The backward needs no indices: an element set the maximum exactly where both are the same bits. A gradient
// goes to the element that set the maximum; sums are made in chunks of 256 from where the walk starts: the
// first element of the axis, with reverse the last.
//
// Cost: one pass, O(1) an element, whether the axis or another one is contiguous: at any length, rows a power
// of two apart too, both take the time of reading x and writing y. Where neither is, element by element. The
// backward reads x twice. Any number of threads gives the same bits. Throws heed::error before anything is
// written.
#pragma once

#include <heed/cummax/attention.hpp>
#include <heed/kernel/cummax/scan_index.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class X>
auto index_result(const std::array<index, 4>& e) {
    using Plain = std::remove_cvref_t<X>;
    if constexpr (eigen_tensor<X>) {
        constexpr int rank = tensor_traits<Plain>::rank;
        Eigen::array<Eigen::Index, static_cast<std::size_t>(rank)> sizes;
        for (int axis = 0; axis < rank; ++axis)
            sizes[static_cast<std::size_t>(axis)] = e[static_cast<std::size_t>(4 - rank + axis)];
        return Eigen::Tensor<std::int32_t, rank, Eigen::RowMajor>(sizes);
    } else if constexpr (eigen_matrix<X>) {
        return Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(e[2], e[3]);
    } else {
        return Eigen::Tensor<std::int32_t, 4, Eigen::RowMajor>(e[0], e[1], e[2], e[3]);
    }
}

}  // namespace detail

// Writes y, which may be x itself.
template <class Y, class X, class... Options>
void cummax_into(Y&& y, const X& x, const Options&... options) {
    using T = detail::element_of_argument<const X>;
    if constexpr (detail::cummax_scan_options::validate<Options...>() && detail::check_written<Y>() &&
                  detail::check_cummax_elements<const X, Y>())
        detail::run_cummax<T>("cummax_into", as_view(y), as_view(x), options...);
}

// A new tensor of x's kind.
template <class X, class... Options>
auto cummax(const X& x, const Options&... options) {
    using T = detail::element_of_argument<const X>;
    const view<const T> from(as_view(x));
    detail::check_extents("cummax", "x", from);
    auto y = detail::result_of<X>::make(from.extents);
    if constexpr (detail::cummax_scan_options::validate<Options...>())
        detail::run_cummax<T>("cummax", detail::result_view(y), from, options...);
    return y;
}

// Values, and the index of each along the axis.
template <class Values, class Indices>
struct cummax_result {
    Values values;
    Indices indices;
};

// Writes values (which may be x itself) and indices, a row-major tensor or matrix of integers.
template <class Y, class Int, class X, class... Options>
void cummax_with_index_into(Y&& values, Int&& indices, const X& x, const Options&... options) {
    using T = detail::element_of_argument<const X>;
    const auto to = detail::as_table(indices);
    using Index = detail::stored_t<decltype(to)>;
    static_assert(
        detail::table_may_be_kept<Int> && !std::is_const_v<Index>,
        "heed::cummax_with_index_into: indices are written, and this tensor is a temporary or const");
    static_assert(std::is_integral_v<Index> && sizeof(Index) >= 4,
                  "heed::cummax_with_index_into: indices are written as integers of 32 bits or more");
    if constexpr (detail::cummax_scan_options::validate<Options...>() && detail::check_written<Y>() &&
                  detail::check_cummax_elements<const X, Y>())
        detail::run_cummax_with_index<T>("cummax_with_index_into", as_view(values), to,
                                         view<const T>(as_view(x)), options...);
}

// New tensors: values of x's kind, indices of std::int32_t, row-major, of x's rank (4 for a view).
template <class X, class... Options>
auto cummax_with_index(const X& x, const Options&... options) {
    using T = detail::element_of_argument<const X>;
    const view<const T> from(as_view(x));
    detail::check_extents("cummax_with_index", "x", from);
    auto values = detail::result_of<X>::make(from.extents);
    auto indices = detail::index_result<X>(from.extents);
    if constexpr (detail::cummax_scan_options::validate<Options...>())
        detail::run_cummax_with_index<T>("cummax_with_index", detail::result_view(values),
                                         detail::as_table(indices), from, options...);
    return cummax_result<decltype(values), decltype(indices)>{std::move(values), std::move(indices)};
}

// Writes the gradient of x; dy is that of the values.
template <class Dx, class Dy, class X, class... Options>
void cummax_backward_into(Dx&& dx, const Dy& dy, const X& x, const Options&... options) {
    using T = detail::element_of_argument<const X>;
    if constexpr (detail::cummax_scan_options::validate<Options...>() && detail::check_written<Dx>() &&
                  detail::check_cummax_elements<const X, const Dy, Dx>())
        detail::run_cummax_backward<T>("cummax_backward_into", as_view(dx), as_view(dy), as_view(x),
                                       options...);
}

// A new tensor of x's kind.
template <class Dy, class X, class... Options>
auto cummax_backward(const Dy& dy, const X& x, const Options&... options) {
    using T = detail::element_of_argument<const X>;
    const view<const T> from(as_view(x));
    detail::check_extents("cummax_backward", "x", from);
    auto dx = detail::result_of<X>::make(from.extents);
    if constexpr (detail::cummax_scan_options::validate<Options...>() &&
                  detail::check_cummax_elements<const X, const Dy>())
        detail::run_cummax_backward<T>("cummax_backward", detail::result_view(dx), as_view(dy), from,
                                       options...);
    return dx;
}

}  // namespace heed::inline HEED_ABI
