// SPDX-License-Identifier: MIT
// heed/core/view.hpp: a tensor as a pointer, four extents and four strides
//
// Axes are (batch, head, position, feature); strides count elements. A view owns nothing and costs
// nothing to copy. Every other layout becomes one without moving an element:
//
//     (batch, position, head, feature)        bshd(tensor)
//     (batch, position, heads * head_dim)     split_heads(tensor, heads)
//     (batch, head, feature, position)        transposed(x)
//     column-major, dimensions reversed       reversed(tensor)
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include <heed/core/element.hpp>
#include <heed/core/error.hpp>

namespace heed::inline HEED_ABI {

template <class T>
struct view {
    static_assert(element<std::remove_const_t<T>> || std::is_same_v<std::remove_const_t<T>, bool>,
                  "heed::view<T>: T is float, double, Eigen::half or Eigen::bfloat16 (bool for a mask), "
                  "possibly const");

    T* data = nullptr;
    std::array<index, 4> extents{};
    std::array<index, 4> strides{};

    view() = default;
    view(T* pointer, std::array<index, 4> shape, std::array<index, 4> steps)
        : data(pointer), extents(shape), strides(steps) {}
    // Dense and row-major: the last axis varies fastest. Extents that no memory holds are for calls to
    // refuse.
    view(T* pointer, std::array<index, 4> shape) : data(pointer), extents(shape), strides{0, 0, 0, 1} {
        for (std::size_t axis = 3; axis-- > 0;)
            if (!detail::fitting_product(strides[axis + 1], extents[axis + 1], strides[axis]))
                strides[axis] = PTRDIFF_MAX;
    }
    operator view<const T>() const
    requires(!std::is_const_v<T>)
    {
        return {data, extents, strides};
    }

    index batch() const { return extents[0]; }
    index heads() const { return extents[1]; }
    index positions() const { return extents[2]; }
    index features() const { return extents[3]; }
    index size() const { return extents[0] * extents[1] * extents[2] * extents[3]; }

    T& operator()(index b, index h, index p, index f) const {
        return data[b * strides[0] + h * strides[1] + p * strides[2] + f * strides[3]];
    }

    // The part of one axis that starts at `first`; throws heed::error when it leaves the view.
    view slice_batch(index first, index count) const { return slice(0, first, count, "batch"); }
    view slice_heads(index first, index count) const { return slice(1, first, count, "heads"); }
    view slice_positions(index first, index count) const { return slice(2, first, count, "positions"); }
    view slice_features(index first, index count) const { return slice(3, first, count, "features"); }

private:
    view slice(std::size_t axis, index first, index count, const char* name) const {
        if (!(first >= 0 && count >= 0 && first <= extents[axis] && count <= extents[axis] - first))
            detail::fail("view", {"a slice of ", count, " ", name, " from ", first, " leaves the ",
                                  extents[axis], " there are"});
        view part = *this;
        part.data += first * strides[axis];
        part.extents[axis] = count;
        return part;
    }
};

// A view made by reversed(): it remembers that its tensor is column-major, so that a result can be too.
template <class T, int Rank>
struct reversed_view : view<T> {
    using view<T>::view;
};

// Positions and features change places: reads (batch, head, feature, position).
template <class T>
view<T> transposed(view<T> x) {
    std::swap(x.extents[2], x.extents[3]);
    std::swap(x.strides[2], x.strides[3]);
    return x;
}

namespace detail {
// What a view, table or span points at, const where it is only read; and the same without const.
template <class X>
using stored_t = std::remove_pointer_t<decltype(std::declval<X&>().data)>;
template <class X>
using element_t = std::remove_const_t<stored_t<X>>;
}  // namespace detail

}  // namespace heed::inline HEED_ABI
