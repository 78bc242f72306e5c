// SPDX-License-Identifier: MIT
// heed/score/alibi.hpp: a penalty that grows with distance, s = s - slope |p - key|
//
// p = query + (keys - queries), as for window. Without slopes of the caller's, head h of H (a power of
// two) has 2^(-8 (h + 1) / H); for other H the first heads take the slopes of the power of two below, the
// rest every second one of the power of two above. Source: Press et al., arXiv 2108.12409.
#pragma once

#include <cmath>

#include <heed/core/broadcast.hpp>
#include <heed/math.hpp>
#include <heed/score/concept.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

inline double alibi_slope(index head, index heads) {
    index power = 1;
    while (power * 2 <= heads) power *= 2;
    return head < power
               ? std::exp2(-8.0 * static_cast<double>(head + 1) / static_cast<double>(power))
               : std::exp2(-4.0 * static_cast<double>(2 * (head - power) + 1) / static_cast<double>(power));
}

// Slope: a table of one number per head, or absent.
template <class S>
struct bound_alibi {
    table<const S> slopes;
    index heads;
    index shift;

    template <class T>
    struct penalised {
        T slope;
        std::int32_t shift;
        HEED_INLINE T operator()(T s, at i, place) const {
            const std::int32_t d = i.query + shift - i.key;
            return s - slope * static_cast<T>(d < 0 ? -d : d);
        }
    };
    template <class T>
    penalised<T> lanes(const lane_block& block) const {
        const std::int32_t h = block.first.head;
        const double slope = slopes.data == nullptr ? alibi_slope(h, heads)
                                                    : static_cast<double>(slopes.data[h * slopes.strides[3]]);
        return {static_cast<T>(slope), static_cast<std::int32_t>(shift)};
    }
};

template <class S>
struct alibi_option : option<option_kind::alibi> {
    table<const S> slopes;
    explicit alibi_option(const table<const S>& s) : slopes(s) {}
    const char* overlapped(const byte_span& output) const {
        return slopes.data != nullptr &&
                       overlap(output, bytes_of(slopes.data, slopes.extents, slopes.strides))
                   ? "the slopes"
                   : nullptr;
    }
    bound_alibi<S> bind(std::string_view function, const problem_shape& shape) const {
        if (slopes.data != nullptr)
            if (slopes.extents != std::array<index, 4>{1, 1, 1, shape.heads})
                fail(function, {"alibi has ", slopes.extents[3], " slopes, needs one for each of the ",
                                shape.heads, " heads"});
        return {slopes, shape.heads, shape.keys - shape.queries};
    }
};

}  // namespace detail

// The slopes of the paper.
inline auto alibi() { return detail::alibi_option<float>(detail::table<const float>{}); }

// One slope per head: a tensor or vector of numbers, or a contiguous range. Keeps a reference to it.
template <class X>
auto alibi(X&& slopes) {
    auto t = detail::number_table(std::forward<X>(slopes));
    return detail::alibi_option<std::remove_const_t<std::remove_pointer_t<decltype(t.data)>>>(t);
}

}  // namespace HEED_ABI
}  // namespace heed
