// SPDX-License-Identifier: MIT
// heed/core/eigen.hpp: Eigen's tensors and matrices as views, with core/result.hpp all that knows their types
//
// Tensors of rank 4, 3, 2, maps of them, matrices and arrays are read by index, whatever their storage order:
// t(b, h, p, f) is batch entry b, head h, position p, feature f. Of a column-major one the features are far
// apart in memory, and kernels copy tiles of it first; a caller whose dimensions mean it the other way round
// says heed::reversed(t) (core/layouts.hpp), which costs nothing.
#pragma once

#include <ranges>
#include <utility>

#include <Eigen/Core>
#if __has_include(<unsupported/Eigen/CXX11/Tensor>)
#include <unsupported/Eigen/CXX11/Tensor>
#else
#include <unsupported/Eigen/Tensor>
#endif

#include <heed/core/view.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// What a tensor type is: its element (const where it cannot be written), rank and storage order.
template <class X>
struct tensor_traits {
    static constexpr bool known = false;
    static constexpr int rank = 2;  // a matrix
};

template <class X>
struct dense_tensor_traits {
    static constexpr bool known = true;
    static constexpr int rank = static_cast<int>(X::NumDimensions);
    static constexpr bool row_major = static_cast<int>(X::Layout) == static_cast<int>(Eigen::RowMajor);
};
template <class T, int Rank, int Options, class Int>
struct tensor_traits<Eigen::Tensor<T, Rank, Options, Int>>
    : dense_tensor_traits<Eigen::Tensor<T, Rank, Options, Int>> {};
template <class T, class Dimensions, int Options, class Int>
struct tensor_traits<Eigen::TensorFixedSize<T, Dimensions, Options, Int>>
    : dense_tensor_traits<Eigen::TensorFixedSize<T, Dimensions, Options, Int>> {};
template <class Plain, int Options, template <class> class Pointer>
struct tensor_traits<Eigen::TensorMap<Plain, Options, Pointer>>
    : dense_tensor_traits<Eigen::TensorMap<Plain, Options, Pointer>> {};

template <class X>
concept eigen_tensor = tensor_traits<std::remove_cvref_t<X>>::known;
template <class X>
concept eigen_matrix = std::is_base_of_v<Eigen::DenseBase<std::remove_cvref_t<X>>, std::remove_cvref_t<X>> &&
                       requires(const std::remove_cvref_t<X>& x) {
                           x.data();
                           x.outerStride();
                           x.innerStride();
                       };

// An object that owns its elements, so that a temporary of it must not be kept by reference.
template <class X>
inline constexpr bool owns_elements = false;
template <class T, int Rank, int Options, class Int>
inline constexpr bool owns_elements<Eigen::Tensor<T, Rank, Options, Int>> = true;
template <class T, class Dimensions, int Options, class Int>
inline constexpr bool owns_elements<Eigen::TensorFixedSize<T, Dimensions, Options, Int>> = true;
template <class T, int R, int C, int O, int MR, int MC>
inline constexpr bool owns_elements<Eigen::Matrix<T, R, C, O, MR, MC>> = true;
template <class T, int R, int C, int O, int MR, int MC>
inline constexpr bool owns_elements<Eigen::Array<T, R, C, O, MR, MC>> = true;

// An Eigen tensor's sizes: its kinds do not agree on the type of an axis number, but DSizes is made from all.
template <class X>
using sizes_of = Eigen::DSizes<Eigen::Index, tensor_traits<std::remove_cvref_t<X>>::rank>;

// A strided table of any element, right-aligned to four axes: axes in front have extent 1.
template <class T>
struct table {
    T* data = nullptr;
    std::array<index, 4> extents{1, 1, 1, 1};
    std::array<index, 4> strides{};
    int rank = 4;
};

template <class T>
table<T> as_table(const view<T>& v) {
    return {v.data, v.extents, v.strides, 4};
}
template <class X>
concept heed_view = requires(const std::remove_cvref_t<X>& x) { x.slice_batch(index{}, index{}); };
// What has its elements in memory, so that a table can be made of it.
template <class X>
concept has_elements = heed_view<X> || eigen_tensor<X> || eigen_matrix<X>;
// What has elements but not their extents, and what to write instead.
template <class X>
constexpr bool says_its_extents() {
    using Plain = std::remove_cvref_t<X>;
    constexpr bool pointer = !has_elements<X> && std::is_pointer_v<std::decay_t<X>>;
    static_assert(!pointer,
                  "heed: a pointer or C array does not say its extents; wrap it in a view, "
                  "heed::view<const T>(pointer, {batch, heads, positions, features})");
    constexpr bool container = !has_elements<X> && std::ranges::range<Plain>;
    static_assert(
        !container,
        "heed: a std::vector, std::array or std::span does not say its extents; wrap its elements in "
        "a view, heed::view<const T>(x.data(), {batch, heads, positions, features})");
    return !pointer && !container;
}
template <class X>
constexpr bool is_expression = requires { typename std::remove_cvref_t<X>::Scalar; };

template <class X>
requires(!heed_view<X>)
auto as_table(X&& x) {
    static_assert(says_its_extents<X>());
    static_assert(has_elements<X> || is_expression<X>,
                  "heed: needs an Eigen tensor, an Eigen matrix or a heed::view; this is none of them");
    static_assert(has_elements<X>,
                  "heed: needs an Eigen tensor or matrix that has its elements in memory; an expression has "
                  "none, so evaluate it into a tensor with a name");
    using Plain = std::remove_cvref_t<X>;
    using T = std::remove_pointer_t<decltype(x.data())>;
    table<T> t;
    t.data = x.data();
    if constexpr (eigen_tensor<X>) {
        using traits = tensor_traits<Plain>;
        static_assert(traits::rank <= 4, "heed: a tensor has at most four axes, (batch, head, query, key)");
        const sizes_of<X> sizes(x.dimensions());
        index stride = 1;
        const auto put = [&](std::size_t axis) {
            const std::size_t to = 4 - std::size_t{traits::rank} + axis;
            t.extents[to] = static_cast<index>(sizes[axis]);
            t.strides[to] = stride;
            stride *= t.extents[to];
        };
        if constexpr (traits::row_major)
            for (std::size_t axis = traits::rank; axis-- > 0;) put(axis);
        else
            for (std::size_t axis = 0; axis < std::size_t{traits::rank}; ++axis) put(axis);
        t.rank = traits::rank;
    } else {
        constexpr bool vector = Plain::IsVectorAtCompileTime;
        if constexpr (vector && !Plain::IsRowMajor) {
            t.extents = {1, 1, 1, static_cast<index>(x.size())};
            t.strides[3] = static_cast<index>(x.innerStride());
        } else {
            const index outer = static_cast<index>(x.outerStride());
            const index inner = static_cast<index>(x.innerStride());
            t.extents = {1, 1, static_cast<index>(x.rows()), static_cast<index>(x.cols())};
            t.strides[2] = Plain::IsRowMajor ? outer : inner;
            t.strides[3] = Plain::IsRowMajor ? inner : outer;
        }
        t.rank = 2;
    }
    return t;
}

template <class T>
view<T> table_view(const table<T>& t) {
    return {t.data, t.extents, t.strides};
}

}  // namespace detail

// Anything an attention function takes as q, k, v, … as a view of its elements.
template <class T>
view<T> as_view(const view<T>& x) {
    return x;
}
template <class T, int Rank>
view<T> as_view(const reversed_view<T, Rank>& x) {
    return x;
}
template <class X>
requires(!detail::heed_view<X>)
auto as_view(X&& x) {
    if constexpr (detail::eigen_tensor<X>) {
        constexpr int rank = detail::tensor_traits<std::remove_cvref_t<X>>::rank;
        static_assert(rank >= 2 && rank <= 4,
                      "heed: a tensor is (batch, head, position, feature), (head, position, feature) or "
                      "(position, feature)");
    }
    return detail::table_view(detail::as_table(x));
}

namespace detail {
// The elements of a tensor that a call is given.
template <class X>
using element_of_argument = element_t<decltype(as_view(std::declval<X&>()))>;
}  // namespace detail

}  // namespace heed::inline HEED_ABI
