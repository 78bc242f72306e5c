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

// What result_of makes the indices of x after.
template <class X>
using index_kind = std::conditional_t<
    eigen_matrix<X>, Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>,
    Eigen::Tensor<std::int32_t, eigen_tensor<X> ? tensor_traits<std::remove_cvref_t<X>>::rank : 4,
                  Eigen::RowMajor>>;

}  // namespace detail

// Writes y, which may be x itself.
template <class Y, class X, class... Options>
void cummax_into(Y&& y, const X& x, const Options&... options) {
    detail::write_result(detail::cummax_scan_call{}, detail::tensors(std::forward<Y>(y)), detail::tensors(x),
                         options...);
}

// A new tensor of x's kind.
template <class X, class... Options>
auto cummax(const X& x, const Options&... options) {
    return detail::make_result(detail::cummax_scan_call{}, detail::tensors(x), options...);
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
    const auto to = detail::as_table(indices);
    using Index = detail::stored_t<decltype(to)>;
    static_assert(
        detail::table_may_be_kept<Int> && !std::is_const_v<Index>,
        "heed::cummax_with_index_into: indices are written, and this tensor is a temporary or const");
    static_assert(std::is_integral_v<Index> && sizeof(Index) >= 4,
                  "heed::cummax_with_index_into: indices are written as integers of 32 bits or more");
    detail::write_result(detail::cummax_index_call<Index>{{}, to}, detail::tensors(std::forward<Y>(values)),
                         detail::tensors(x), options...);
}

// New tensors: values of x's kind, indices of std::int32_t, row-major, of x's rank (4 for a view).
template <class X, class... Options>
auto cummax_with_index(const X& x, const Options&... options) {
    const auto from = as_view(x);
    detail::check_extents("cummax_with_index", "x", from);
    auto indices = detail::result_of<detail::index_kind<X>>::make(from.extents);
    const detail::cummax_index_call<std::int32_t> call{{}, detail::as_table(indices)};
    auto values = detail::make_result(call, detail::tensors(x), options...);
    return cummax_result<decltype(values), decltype(indices)>{std::move(values), std::move(indices)};
}

// Writes the gradient of x; dy is that of the values, of x's type or, where that is half or bfloat16, float.
template <class Dx, class Dy, class X, class... Options>
void cummax_backward_into(Dx&& dx, const Dy& dy, const X& x, const Options&... options) {
    detail::write_result(detail::cummax_scan_backward_call{}, detail::tensors(std::forward<Dx>(dx)),
                         detail::tensors(x, dy), options...);
}

// A new tensor of x's kind.
template <class Dy, class X, class... Options>
auto cummax_backward(const Dy& dy, const X& x, const Options&... options) {
    return detail::make_result(detail::cummax_scan_backward_call{}, detail::tensors(x, dy), options...);
}

}  // namespace heed::inline HEED_ABI
