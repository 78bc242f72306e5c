// SPDX-License-Identifier: MIT
// heed/core/tensor.hpp: Eigen's tensors and matrices as views (the only place that knows them)
//
// Row-major tensors of rank 4, 3, 2, maps of them and row-major matrices are views as they stand. A
// column-major one would be read backwards, so it has to be wrapped in reversed() by its owner.
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
        static_assert(traits::row_major || traits::rank <= 1,
                      "heed: this tensor is column-major (Eigen's default); declare it "
                      "Eigen::Tensor<T, Rank, Eigen::RowMajor>, or wrap it in heed::reversed(t), which reads "
                      "its dimensions backwards");
        const sizes_of<X> sizes(x.dimensions());
        index stride = 1;
        for (std::size_t axis = traits::rank, to = 4; axis-- > 0;) {
            --to;
            t.extents[to] = static_cast<index>(sizes[axis]);
            t.strides[to] = stride;
            stride *= t.extents[to];
        }
        t.rank = traits::rank;
    } else {
        constexpr bool vector = Plain::IsVectorAtCompileTime;
        static_assert(vector || Plain::IsRowMajor,
                      "heed: this matrix is column-major (Eigen's default); declare it Eigen::Matrix<T, "
                      "Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>");
        if constexpr (vector && !Plain::IsRowMajor) {
            t.extents = {1, 1, 1, static_cast<index>(x.size())};
            t.strides[3] = static_cast<index>(x.innerStride());
        } else {
            t.extents = {1, 1, static_cast<index>(x.rows()), static_cast<index>(x.cols())};
            t.strides[2] = static_cast<index>(x.outerStride());
            t.strides[3] = static_cast<index>(x.innerStride());
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

namespace detail {

// A new tensor of a prototype's kind: its rank and layout for a tensor, a row-major matrix for a matrix,
// rank 4 for a view.
template <class X>
struct result_of {
    static_assert(eigen_tensor<X> || eigen_matrix<X>,
                  "heed: q, k and v are Eigen tensors, row-major Eigen matrices or a heed::view");
    using Plain = std::remove_cvref_t<X>;
    using T = std::remove_const_t<std::remove_pointer_t<decltype(std::declval<Plain&>().data())>>;

    static auto make(const std::array<index, 4>& e) {
        if constexpr (eigen_tensor<X>) {
            constexpr int rank = tensor_traits<Plain>::rank;
            Eigen::Tensor<T, rank, Eigen::RowMajor> y;
            Eigen::array<Eigen::Index, static_cast<std::size_t>(rank)> sizes;
            for (int axis = 0; axis < rank; ++axis)
                sizes[static_cast<std::size_t>(axis)] = e[static_cast<std::size_t>(4 - rank + axis)];
            y.resize(sizes);
            return y;
        } else {
            return Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(e[2], e[3]);
        }
    }
};
template <class V>
struct result_of<view<V>> {
    static auto make(const std::array<index, 4>& e) {
        return Eigen::Tensor<std::remove_const_t<V>, 4, Eigen::RowMajor>(e[0], e[1], e[2], e[3]);
    }
};
template <class V, int Rank>
struct result_of<reversed_view<V, Rank>> {
    static auto make(const std::array<index, 4>& e) {
        Eigen::Tensor<std::remove_const_t<V>, Rank, Eigen::ColMajor> y;
        Eigen::array<Eigen::Index, static_cast<std::size_t>(Rank)> sizes;
        for (int axis = 0; axis < Rank; ++axis)
            sizes[static_cast<std::size_t>(axis)] = e[static_cast<std::size_t>(3 - axis)];
        y.resize(sizes);
        return y;
    }
};
// The view of such a result.
template <class Y>
auto result_view(Y& y) {
    if constexpr (eigen_tensor<Y>) {
        if constexpr (!tensor_traits<Y>::row_major) {
            const auto r = reversed(y);
            return view<std::remove_pointer_t<decltype(y.data())>>(r);
        } else {
            return as_view(y);
        }
    } else {
        return as_view(y);
    }
}

}  // namespace detail
}  // namespace heed::inline HEED_ABI
