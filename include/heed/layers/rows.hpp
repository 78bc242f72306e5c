// SPDX-License-Identifier: MIT
// heed/layers/rows.hpp: what layers read and write, (batch, position, width), as the rows of one matrix
//
// Layers take Eigen tensors of rank 2 to 4, maps of them, row-major matrices and views; the last axis is
// the width, the one before it the position, and all axes in front are one batch (the (batch, patch row,
// patch, width) of a vision model too). Their elements stand one behind the other.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/check.hpp>
#include <heed/core/tensor.hpp>
#include <heed/kernel/dense/matrix.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct dense_rows {
    T* data = nullptr;
    index batch = 0;
    index positions = 0;
    index width = 0;

    index rows() const { return batch * positions; }
    operator dense_rows<const T>() const
    requires(!std::is_const_v<T>)
    {
        return {data, batch, positions, width};
    }
    matrix<T> as_matrix() const { return {data, rows(), width, width, 1}; }
    // Columns [first, first + heads * dim) as (batch, head, position, dim).
    view<T> heads_from(index first, index heads, index dim) const {
        return {data + first, {batch, heads, positions, dim}, {positions * width, dim, width, 1}};
    }
    byte_span bytes() const { return bytes_of(heads_from(0, 1, width)); }
};

// What a layer's forward writes and reads. `second` is what some layers read beside x, the memory of a cross
// attention or a table of positions; null where a call has none.
template <class T>
struct forward_rows {
    dense_rows<T> y;
    dense_rows<const T> x;
    const dense_rows<const T>* second = nullptr;
};
template <class T>
struct backward_rows {
    dense_rows<T> dx;
    const dense_rows<T>* d_second = nullptr;
    dense_rows<const T> dy, x;
    const dense_rows<const T>* second = nullptr;
};

// The rows of a tensor that a tape keeps, (batch, position, features).
template <class T>
dense_rows<T> rows_in(Eigen::Tensor<T, 3, Eigen::RowMajor>& t) {
    return {t.data(), t.dimension(0), t.dimension(1), t.dimension(2)};
}
template <class T>
dense_rows<const T> rows_in(const Eigen::Tensor<T, 3, Eigen::RowMajor>& t) {
    return {t.data(), t.dimension(0), t.dimension(1), t.dimension(2)};
}

// True where a list of arguments goes on with a tensor, and not with options.
template <class...>
inline constexpr bool begins_with_tensor = false;
template <class First, class... Rest>
inline constexpr bool begins_with_tensor<First, Rest...> = has_elements<First>;

// Are features one behind the other? A view says so when it is called.
template <class X>
constexpr bool has_rows() {
    if constexpr (eigen_tensor<X>)
        return tensor_traits<std::remove_cvref_t<X>>::row_major;
    else if constexpr (eigen_matrix<X>)
        return std::remove_cvref_t<X>::IsRowMajor || std::remove_cvref_t<X>::IsVectorAtCompileTime;
    else
        return true;
}

template <class T, class X>
dense_rows<T> rows_of(std::string_view function, const char* name, X&& x) {
    static_assert(
        has_rows<X>(),
        "heed: a layer reads rows, (…, position, width), and this tensor is column-major; declare it "
        "row-major, or write heed::reversed(t) where its dimensions are (width, position, batch)");
    const auto v = as_view(x);
    using E = stored_t<decltype(v)>;
    static_assert(std::is_same_v<std::remove_const_t<E>, std::remove_const_t<T>>,
                  "heed: a tensor's elements are not those of the layer's parameters");
    static_assert(std::is_const_v<T> || !std::is_const_v<E>,
                  "heed: a layer's result is written, and this tensor is const");
    check_extents(function, name, v);
    const std::array<index, 4>& e = v.extents;
    index stride = 1;
    for (std::size_t axis = 4; axis-- > 0; stride *= e[axis])
        if (e[axis] > 1 && v.strides[axis] != stride && v.size() > 0)
            fail(function, {name, " has a stride of ", v.strides[axis], " elements along axis ", axis,
                            ", needs its elements one behind the other"});
    return {v.data, e[0] * e[1], e[2], e[3]};
}

// What a call writes, its argument being a Y&&.
template <class T, class Y>
dense_rows<T> written_rows(std::string_view function, const char* name, std::remove_reference_t<Y>& y) {
    static_assert(table_may_be_kept<Y>,
                  "heed: a layer's result is written, and this tensor is a temporary; give it a name");
    return rows_of<T>(function, name, y);
}

inline void check_width(std::string_view function, const char* name, index got, index needed) {
    if (got != needed) fail(function, {name, " has a width of ", got, ", needs ", needed});
}

// The same rows of the same width: y and dx like x, dy like y.
template <class T, class X>
void check_like(std::string_view function, const char* name, const dense_rows<T>& t, const char* of_name,
                const dense_rows<X>& of, index width) {
    if (t.batch != of.batch)
        fail(function, {name, " has ", t.batch, " batch entries, ", of_name, " has ", of.batch});
    if (t.positions != of.positions)
        fail(function, {name, " has ", t.positions, " positions, ", of_name, " has ", of.positions});
    check_width(function, name, t.width, width);
}

template <class T>
void check_rows(std::string_view f, const forward_rows<T>& r, index input_width, index output_width) {
    check_width(f, "x", r.x.width, input_width);
    check_like(f, "y", r.y, "x", r.x, output_width);
}
template <class T>
void check_rows(std::string_view f, const backward_rows<T>& r, index input_width, index output_width) {
    check_width(f, "x", r.x.width, input_width);
    check_like(f, "dx", r.dx, "x", r.x, input_width);
    check_like(f, "dy", r.dy, "x", r.x, output_width);
}

// A new tensor of x's kind, with another width.
template <class X>
auto rows_like(const X& x, index width) {
    auto e = as_view(x).extents;
    e[3] = width;
    return result_of<X>::make(e);
}

}  // namespace heed::inline HEED_ABI::detail
