// SPDX-License-Identifier: MIT
// heed/cummax/options.hpp: the options of cummax and cummax attention
//
//     along::position, ::head, ::feature, ::automatic    the axis that the running maximum runs along
//     reverse                                            from the last element to the first
//     across_heads, heads_apart                          a second maximum over heads, or none
//     hybrid(alpha), hybrid_gradient(t)                  blend the maximum over heads with their softmax
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/device.hpp>
#include <heed/core/overlap.hpp>
#include <heed/core/workspace.hpp>
#include <heed/state/options.hpp>

namespace heed::inline HEED_ABI {

// The axis of a running maximum, as an option. Automatic is position where there is more than one, else head
// where there is more than one, else feature; a call with a state runs along positions.
struct along : detail::option<option_kind::along> {
    enum class axis { position, head, feature, automatic };

    static const along position;
    static const along head;
    static const along feature;
    static const along automatic;

    constexpr explicit along(axis a) : of(a) {}
    auto content() const { return std::tie(of); }
    axis of;

    // The axis of a call, automatic resolved.
    axis resolved(index positions, index heads) const {
        if (of != axis::automatic) return of;
        return positions > 1 ? axis::position : heads > 1 ? axis::head : axis::feature;
    }
};
inline constexpr along along::position{along::axis::position};
inline constexpr along along::head{along::axis::head};
inline constexpr along along::feature{along::axis::feature};
inline constexpr along along::automatic{along::axis::automatic};

namespace detail {

struct reverse_option : option<option_kind::direction> {};

template <bool Across>
struct heads_option : option<option_kind::heads_mode> {
    static constexpr bool across = Across;
};

// One number for all heads, or a table with one for each.
template <class S>
struct hybrid_option : option<option_kind::hybrid> {
    double single = 0;
    table<const S> many{};
    bool for_each_head = false;
    auto content() const { return std::tie(single, many); }

    const char* overlapped(const byte_span& output) const {
        if (!for_each_head) return nullptr;
        return overlap(output, bytes_of(many.data, many.extents, many.strides)) ? "hybrid" : nullptr;
    }
    void validate(std::string_view function, index heads) const {
        if (!(single - single == 0)) fail(function, {"hybrid is ", single, ", needs a finite number"});
        if (for_each_head && many.extents != std::array<index, 4>{1, 1, 1, heads})
            fail(function, {"hybrid has ", many.extents[3], " numbers, needs one, or one for each of the ",
                            heads, " heads"});
    }
    double operator[](index head) const {
        return for_each_head ? static_cast<double>(many.data[head * many.strides[3]]) : single;
    }
};

}  // namespace detail

// From the last element to the first.
inline constexpr detail::reverse_option reverse{};

// The maximum over positions, then over the heads up to each; or over positions alone.
inline constexpr detail::heads_option<true> across_heads{};
inline constexpr detail::heads_option<false> heads_apart{};

// p = alpha cummax_heads(e) + (1 - alpha) softmax_heads(e). One number, or a tensor, vector or contiguous
// range with one for each head, kept by reference.
template <class X>
auto hybrid(X&& alpha) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<X>>) {
        return detail::hybrid_option<double>{{}, static_cast<double>(alpha), {}, false};
    } else {
        auto t = detail::number_table("hybrid", std::forward<X>(alpha));
        using S = detail::element_t<decltype(t)>;
        return detail::hybrid_option<S>{{}, 0, t, true};
    }
}

// The backward also writes the gradient of alpha: a tensor of one number (the sum over heads) or one for
// each.
template <class X>
auto hybrid_gradient(X&& t) {
    return detail::writing<option_kind::hybrid_gradient>(std::forward<X>(t));
}

}  // namespace heed::inline HEED_ABI
