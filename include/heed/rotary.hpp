// SPDX-License-Identifier: MIT
// heed/rotary.hpp: rotary position embedding
//
// Pairs of features turn by an angle that grows with the position, so that the product of a query and a
// key depends on how far they are apart:
//
//     y1 = x1 cos - x2 sin,   y2 = x2 cos + x1 sin
//
//     const auto angles = heed::rotary_table<float>(longest, dim);
//     heed::rotary_into(q, q, angles.cos, angles.sin);                    in place
//     auto y = heed::rotary(x, angles.cos, angles.sin, heed::positions(ids));
//     auto dx = heed::rotary_backward(dy, angles.cos, angles.sin);        turns back
//
// Shapes: x and y (batch, head, position, feature). cos and sin, each one angle for two features:
//     (position, pairs)           row p for position p, or row ids[b, p] with positions(ids)
//     (batch, position, pairs)    each batch entry has its own
// of x's elements, or float where x holds half or bfloat16. Features from 2 pairs on are copied, so the
// caches' width is the rotary dimension. Element types and layouts of x: heed/core/tensor.hpp.
//
// Options, each at most once:
//     interleaved       a pair is two neighbours (2i, 2i + 1); without it feature i of the first half of
//                       the rotary dimension and of the second (i, i + pairs)
//     positions(ids)    contiguous integers, (batch, position) or (position); kept by reference
//     on(device)
//
// Cost: one pass over x. Source: RoFormer (arXiv 2104.09864). y may be x, and shares no other element
// with an argument. Throws heed::error before anything is written when the arguments do not fit.
// Allocates the result and nothing else.
#pragma once

#include <cmath>

#include <heed/kernel/rotary.hpp>

namespace heed::inline HEED_ABI {

inline constexpr detail::interleaved_option interleaved{};

template <detail::integers R>
auto positions(R&& ids) {
    static_assert(detail::may_be_kept<R>,
                  "heed::positions: the ids are a temporary and would be gone; give them a name");
    if constexpr (detail::eigen_tensor<R>) {
        using traits = detail::tensor_traits<std::remove_cvref_t<R>>;
        static_assert(traits::row_major || traits::rank <= 1,
                      "heed::positions: this tensor is column-major (Eigen's default); declare it "
                      "Eigen::Tensor<int, 2, Eigen::RowMajor>");
    }
    const auto span = detail::span_of(ids);
    using Int = detail::element_t<decltype(span)>;
    return detail::positions_option<Int>(span);
}

namespace detail {

template <class Call>
struct rotary_call_base : call_base {
    // cos and sin have extents of their own, which run() looks at.
    template <class T>
    static std::array<call_extents, 1> shapes(std::string_view function, const view<const T>& x,
                                              const auto& cos, const auto& sin) {
        check_extents(function, Call::inputs[0], x);
        check_extents(function, "cos", cos);
        check_extents(function, "sin", sin);
        return {x.extents};
    }
    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::pairing, option_kind::positions, option_kind::on});
    }
};
struct rotary_call : rotary_call_base<rotary_call> {
    HEED_CALL("rotary", "y", "x", "cos or sin", "it takes interleaved, positions and on(device)");
    static constexpr const char* replaces = "x";
    template <class T>
    static void run(std::string_view function, call_memory& used, const view<T>& y, const view<const T>& x,
                    const auto& cos, const auto& sin, const auto&... options) {
        rotate(function, inputs[0], used, y, x, cos, sin, sum_t<T>(1), options...);
    }
};
struct rotary_backward_call : rotary_call_base<rotary_backward_call> {
    HEED_CALL("rotary_backward", "dx", "dy", "cos or sin", "it takes interleaved, positions and on(device)");
    static constexpr const char* replaces = "dy";
    template <class T>
    static void run(std::string_view function, call_memory& used, const view<T>& dx, const view<const T>& dy,
                    const auto& cos, const auto& sin, const auto&... options) {
        rotate(function, inputs[0], used, dx, dy, cos, sin, sum_t<T>(-1), options...);
    }
};

}  // namespace detail

// Writes y, sized by the caller; y may be x.
template <class Y, class X, class Cos, class Sin, class... Options>
void rotary_into(Y&& y, const X& x, const Cos& cos, const Sin& sin, const Options&... options) {
    detail::write_result(detail::rotary_call{}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(x, cos, sin), options...);
}

// A new tensor of x's kind.
template <class X, class Cos, class Sin, class... Options>
auto rotary(const X& x, const Cos& cos, const Sin& sin, const Options&... options) {
    return detail::make_result(detail::rotary_call{}, detail::tensors(x, cos, sin), options...);
}

// dx from dy: a rotation is orthogonal, so its transpose turns by the negative angle. dx may be dy.
template <class Dx, class Dy, class Cos, class Sin, class... Options>
void rotary_backward_into(Dx&& dx, const Dy& dy, const Cos& cos, const Sin& sin, const Options&... options) {
    detail::write_result(detail::rotary_backward_call{}, detail::tensors(std::forward<Dx>(dx)),
                         detail::tensors(dy, cos, sin), options...);
}

template <class Dy, class Cos, class Sin, class... Options>
auto rotary_backward(const Dy& dy, const Cos& cos, const Sin& sin, const Options&... options) {
    return detail::make_result(detail::rotary_backward_call{}, detail::tensors(dy, cos, sin), options...);
}

// cos and sin of the angles p base^(-2i / dim), (positions, dim / 2), worked out in double.
template <class T>
struct rotary_caches {
    Eigen::Tensor<T, 2, Eigen::RowMajor> cos;
    Eigen::Tensor<T, 2, Eigen::RowMajor> sin;
};

template <class T>
rotary_caches<T> rotary_table(index count, index dim, double base = 10000) {
    static_assert(element<T>, "heed::rotary_table<T>: T is float, double, Eigen::half or Eigen::bfloat16");
    if (count < 0)
        detail::fail("rotary_table", {"positions is ", count, ", needs a number that is not negative"});
    if (!(dim >= 0 && dim % 2 == 0))
        detail::fail("rotary_table", {"dim is ", dim, ", needs an even number that is not negative"});
    // Angles of 2^31 positions stay finite.
    if (!(base >= 1e-200 && base <= 1e200))
        detail::fail("rotary_table", {"base is ", base, ", needs a positive number from 1e-200 to 1e200"});
    detail::checked_product("rotary_table", count, dim / 2);
    rotary_caches<T> caches{{count, dim / 2}, {count, dim / 2}};
    for (index i = 0; i < dim / 2; ++i) {
        const double step = std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(dim));
        for (index p = 0; p < count; ++p) {
            caches.cos(p, i) = static_cast<T>(static_cast<sum_t<T>>(std::cos(static_cast<double>(p) * step)));
            caches.sin(p, i) = static_cast<T>(static_cast<sum_t<T>>(std::sin(static_cast<double>(p) * step)));
        }
    }
    return caches;
}

}  // namespace heed::inline HEED_ABI
