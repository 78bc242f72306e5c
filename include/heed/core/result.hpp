// SPDX-License-Identifier: MIT
// heed/core/result.hpp: a call's result is of the kind of the tensor it is made from
//
//     a tensor              one of its rank and storage order; of fixed size where all its sizes are known
//     a matrix, an array    the same, rows and columns fixed where they are known
//     heed::view            Eigen::Tensor<T, 4, Eigen::RowMajor>
//     heed::reversed(t)     a column-major tensor of t's rank, its dimensions backwards
#pragma once

#include <heed/core/layouts.hpp>

namespace heed::inline HEED_ABI::detail {

// The last axis of a tensor or matrix where its type says it, else -1: what a result has of another argument.
template <class X>
inline constexpr std::ptrdiff_t last_extent = -1;
template <class X>
requires eigen_matrix<X>
inline constexpr std::ptrdiff_t last_extent<X> =
    std::remove_cvref_t<X>::IsVectorAtCompileTime && !std::remove_cvref_t<X>::IsRowMajor
        ? -1  // a column vector is read as one position
        : std::remove_cvref_t<X>::ColsAtCompileTime;
template <class Plain, int Options, template <class> class Pointer>
inline constexpr std::ptrdiff_t last_extent<Eigen::TensorMap<Plain, Options, Pointer>> =
    last_extent<std::remove_const_t<Plain>>;
template <class T, std::ptrdiff_t... Sizes, int Options, class Int>
inline constexpr std::ptrdiff_t last_extent<Eigen::TensorFixedSize<T, Eigen::Sizes<Sizes...>, Options, Int>> =
    std::array{Sizes...}.back();

// The tensor type with another last axis: of a fixed size if that is known, else one that is told its sizes.
template <class Sizes, std::ptrdiff_t Last, class = void>
struct with_last;
template <std::ptrdiff_t... Sizes, std::ptrdiff_t Last>
struct with_last<Eigen::Sizes<Sizes...>, Last> {
    template <std::size_t... Axis>
    static auto replaced(std::index_sequence<Axis...>)
        -> Eigen::Sizes<(Axis + 1 < sizeof...(Sizes) ? std::array{Sizes...}[Axis] : Last)...>;
    using type = decltype(replaced(std::make_index_sequence<sizeof...(Sizes)>()));
};

template <class X, std::ptrdiff_t Last>
struct plain_tensor;
template <class T, int Rank, int Options, class Int, std::ptrdiff_t Last>
struct plain_tensor<Eigen::Tensor<T, Rank, Options, Int>, Last> {
    using type = Eigen::Tensor<T, Rank, Options>;
};
template <class T, class Sizes, int Options, class Int, std::ptrdiff_t Last>
struct plain_tensor<Eigen::TensorFixedSize<T, Sizes, Options, Int>, Last> {
    using type = Eigen::TensorFixedSize<T, typename with_last<Sizes, Last>::type, Options>;
};
template <class T, class Sizes, int Options, class Int>
struct plain_tensor<Eigen::TensorFixedSize<T, Sizes, Options, Int>, -1> {
    using type = Eigen::Tensor<T, static_cast<int>(Sizes::count), Options>;
};
template <class Plain, int Options, template <class> class Pointer, std::ptrdiff_t Last>
struct plain_tensor<Eigen::TensorMap<Plain, Options, Pointer>, Last>
    : plain_tensor<std::remove_const_t<Plain>, Last> {};

// The owner of a matrix or array with another number of columns. A vector is a matrix of one row or column to
// Eigen, which fixes its storage order.
template <class X, std::ptrdiff_t Last, bool Rows>
struct plain_matrix {
    using Plain = std::remove_cvref_t<X>;
    using T = std::remove_const_t<std::remove_pointer_t<decltype(std::declval<Plain&>().data())>>;
    // A column vector is read as one position.
    static constexpr bool one_position = Plain::IsVectorAtCompileTime && !Plain::IsRowMajor;
    static constexpr int rows = one_position || !Rows ? Eigen::Dynamic : int{Plain::RowsAtCompileTime};
    static constexpr int columns = static_cast<int>(Last);
    static constexpr bool row_major = rows == 1 || (columns != 1 && (one_position || Plain::IsRowMajor));
    static constexpr int order = row_major ? Eigen::RowMajor : Eigen::ColMajor;
    static constexpr bool is_array = std::is_base_of_v<Eigen::ArrayBase<Plain>, Plain>;
    using type = std::conditional_t<is_array, Eigen::Array<T, rows, columns, order>,
                                    Eigen::Matrix<T, rows, columns, order>>;
};

// A new tensor of X's kind: of X's extents but for the last axis, which is as long as that of Last; without a
// Last of any extents.
template <class X, class Last = void>
struct result_of {
    static_assert(eigen_tensor<X> || eigen_matrix<X>,
                  "heed: q, k and v are Eigen tensors, Eigen matrices or a heed::view");
    static constexpr std::ptrdiff_t last = last_extent<std::remove_cvref_t<Last>>;

    static auto make(const std::array<index, 4>& e) {
        if constexpr (eigen_tensor<X>) {
            using Y = typename plain_tensor<std::remove_cvref_t<X>, last>::type;
            constexpr std::size_t rank = Y::NumDimensions;
            Y y;
            Eigen::array<Eigen::Index, rank> sizes;
            for (std::size_t axis = 0; axis < rank; ++axis) sizes[axis] = e[4 - rank + axis];
            if constexpr (requires { y.resize(sizes); })
                y.resize(sizes);
            else
                y.setZero();  // compilers warn of a move of numbers that were not written
            return y;
        } else {
            typename plain_matrix<X, last, !std::is_void_v<Last>>::type y;
            y.resize(e[2], e[3]);
            if constexpr (decltype(y)::SizeAtCompileTime != Eigen::Dynamic) y.setZero();
            return y;
        }
    }
    template <class Y>
    static auto view_of(Y& y) {
        return as_view(y);
    }
};
template <class V, class Last>
struct result_of<view<V>, Last> {
    static auto make(const std::array<index, 4>& e) {
        return Eigen::Tensor<std::remove_const_t<V>, 4, Eigen::RowMajor>(e[0], e[1], e[2], e[3]);
    }
    template <class Y>
    static auto view_of(Y& y) {
        return as_view(y);
    }
};
template <class V, int Rank, class Last>
struct result_of<reversed_view<V, Rank>, Last> {
    static auto make(const std::array<index, 4>& e) {
        Eigen::Tensor<std::remove_const_t<V>, Rank, Eigen::ColMajor> y;
        Eigen::array<Eigen::Index, static_cast<std::size_t>(Rank)> sizes;
        for (std::size_t axis = 0; axis < std::size_t{Rank}; ++axis) sizes[axis] = e[3 - axis];
        y.resize(sizes);
        return y;
    }
    template <class Y>
    static auto view_of(Y& y) {
        return view<std::remove_const_t<V>>(reversed(y));
    }
};

}  // namespace heed::inline HEED_ABI::detail
