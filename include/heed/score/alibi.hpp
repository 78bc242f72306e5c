// SPDX-License-Identifier: MIT
// heed/score/alibi.hpp: a penalty that grows with distance, s = s - slope |p - key|
//
// p as for window (mask/positions.hpp). Without slopes of the caller's, head h of H (a power of
// two) has 2^(-8 (h + 1) / H); for other H the first heads take the slopes of the power of two below, the
// rest every second one of the power of two above. A penalty too large for the type is the largest number.
// Source: Press et al., arXiv 2108.12409.
#pragma once

#include <cmath>

#include <heed/core/broadcast.hpp>
#include <heed/mask/positions.hpp>
#include <heed/math.hpp>
#include <heed/score/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

inline double alibi_slope(index head, index heads) {
    index power = 1;
    while (power * 2 <= heads) power *= 2;
    return head < power
               ? std::exp2(-8.0 * static_cast<double>(head + 1) / static_cast<double>(power))
               : std::exp2(-4.0 * static_cast<double>(2 * (head - power) + 1) / static_cast<double>(power));
}

// p - query: the same for all queries of a call, or of each document.
struct common_shift {
    index shift;

    struct of_block {
        std::int32_t shift;
        HEED_INLINE std::int32_t operator()(lane_pos) const { return shift; }
    };
    of_block lanes(const lane_block&) const { return {static_cast<std::int32_t>(shift)}; }
};
template <class Positions>
struct document_shift {
    Positions positions;

    struct of_block {
        query_numbers shift;
        HEED_INLINE std::int32_t operator()(lane_pos x) const {
            return shift.lane[x.lane] + shift.row[x.row];
        }
    };
    of_block lanes(const lane_block& block) const {
        of_block s;
        fill_numbers(positions, block, 0, s.shift,
                     [&](index, index d) { return static_cast<std::int32_t>(positions.shift(d)); });
        return s;
    }
};

// A table of one number per head, or one without memory: the paper's slopes.
template <class S, class Shift>
struct bound_alibi {
    table<const S> slopes;
    index heads;
    Shift shift;

    template <class T>
    struct penalised {
        T slope;
        typename Shift::of_block shift;
        HEED_INLINE T operator()(T s, at i, lane_pos x) const {
            const std::int32_t d = i.query + shift(x) - i.key;
            constexpr T most = -constants<T>::lowest;
            T reward = -slope * static_cast<T>(d < 0 ? -d : d);
            reward = scalar::choose(reward < -most, -most, reward);
            return bounded_sum(s, scalar::choose(reward > most, most, reward));
        }
    };
    template <class T>
    penalised<T> lanes(const lane_block& block) const {
        const std::int32_t h = block.first.head;
        const double slope = slopes.data == nullptr ? alibi_slope(h, heads)
                                                    : static_cast<double>(slopes.data[h * slopes.strides[3]]);
        return {kept_finite<T>(slope), shift.lanes(block)};
    }
};

template <class S>
struct alibi_option : option<option_kind::alibi> {
    table<const S> slopes;
    explicit alibi_option(const table<const S>& s) : slopes(s) {}
    auto content() const { return std::tie(slopes); }
    const char* overlapped(const byte_span& output) const {
        return slopes.data != nullptr &&
                       overlap(output, bytes_of(slopes.data, slopes.extents, slopes.strides))
                   ? "the slopes"
                   : nullptr;
    }
    auto bind(std::string_view function, const problem_shape& shape) const {
        return bound(function, shape, common_shift{shape.keys - shape.queries});
    }
    template <class Q, class K>
    auto bind(std::string_view function, const problem_shape& shape,
              const document_positions<Q, K>& positions) const {
        return bound(function, shape, document_shift<document_positions<Q, K>>{positions});
    }

private:
    template <class Shift>
    bound_alibi<S, Shift> bound(std::string_view function, const problem_shape& shape,
                                const Shift& shift) const {
        if (slopes.data != nullptr)
            if (slopes.extents != std::array<index, 4>{1, 1, 1, shape.heads})
                fail(function, {"alibi has ", slopes.extents[3], " slopes, needs one for each of the ",
                                shape.heads, " heads"});
        return {slopes, shape.heads, shift};
    }
};

}  // namespace detail

// The slopes of the paper.
inline auto alibi() { return detail::alibi_option<float>(detail::table<const float>{}); }

// One slope per head: a tensor or vector of numbers, or a contiguous range. Keeps a reference to it.
template <class X>
auto alibi(X&& slopes) {
    auto t = detail::number_table("alibi", std::forward<X>(slopes));
    return detail::alibi_option<detail::element_t<decltype(t)>>(t);
}

}  // namespace heed::inline HEED_ABI
