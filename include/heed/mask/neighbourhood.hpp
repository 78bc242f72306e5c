// SPDX-License-Identifier: MIT
// heed/mask/neighbourhood.hpp: positions of a grid see the window around them
//
//     neighbourhood(std::array{56, 56}, std::array{7, 7})                      an image, row behind row
//     neighbourhood({16, 28, 28}, {4, 7, 7}, {1, 2, 2})                        a video, dilated in space
//
// Keys are the positions of a grid of one, two or three axes, the last one fastest; query i stands at
// position i + (keys - queries). On each axis of n positions a query at x sees `window` keys, `dilation`
// apart, of which the one at x is in the middle (of an even window the one behind the middle). At a border
// the window moves inwards instead of being cut: every query sees as many keys. Heads and batch entries
// alike.
//
// Source: Neighborhood Attention (arXiv 2204.07143), dilated: arXiv 2209.15001. Cost: no storage, O(1) for a
// tile. Tiles run along the last axis, so of a window smaller than a tile on it the rest is multiplied too.
#pragma once

#include <array>
#include <initializer_list>

#include <heed/core/numbers.hpp>
#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// One axis of the grid.
struct grid_axis {
    index extent = 1;
    index window = 1;
    index dilation = 1;

    // The first key that x sees, and the last: positions of its remainder, of which there are enough.
    index low(index x) const {
        const index r = x % dilation;
        const index there = (extent - 1 - r) / dilation + 1;
        return r + dilation * least(greatest(x / dilation - window / 2, 0), there - window);
    }
    index high(index x) const { return low(x) + (window - 1) * dilation; }
    // Bounds for all of [first, last]; those of one remainder do not fall, and of `dilation` neighbours each
    // remainder has one.
    index lowest(index first, index last) const {
        index bound = low(first);
        for (index x = first + 1; x <= last && x < first + dilation; ++x) bound = least(bound, low(x));
        return bound;
    }
    index highest(index first, index last) const {
        index bound = high(last);
        for (index x = last - 1; x >= first && x > last - dilation; --x) bound = greatest(bound, high(x));
        return bound;
    }
};

struct bound_neighbourhood {
    static constexpr std::size_t axes = 3;  // those that a grid does not have are one position long, in front
    grid_axis axis[axes];
    index shift;

    using place_on_grid = std::array<index, axes>;
    place_on_grid at_position(index p) const {
        place_on_grid x{};
        for (std::size_t a = axes; a-- > 0;) {
            x[a] = p % axis[a].extent;
            p /= axis[a].extent;
        }
        return x;
    }

    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        // A query in front of the grid sees nothing.
        if (t.query_end - 1 + shift < 0) return cover::empty;
        const index before = t.query_begin + shift;
        const place_on_grid q0 = at_position(greatest(before, 0));
        const place_on_grid q1 = at_position(t.query_end - 1 + shift);
        const place_on_grid k0 = at_position(t.key_begin);
        const place_on_grid k1 = at_position(t.key_end - 1);
        bool all = before >= 0;
        bool one_query = true;  // is the tile within one position of the axes before?
        bool one_key = true;
        for (std::size_t a = 0; a < axes; ++a) {
            const grid_axis& g = axis[a];
            const index first = one_query ? q0[a] : 0;
            const index last = one_query ? q1[a] : g.extent - 1;
            const index key = one_key ? k0[a] : 0;
            const index last_key = one_key ? k1[a] : g.extent - 1;
            if (g.highest(first, last) < key || g.lowest(first, last) > last_key) return cover::empty;
            const bool alone = first == last && key == last_key && (first - key) % g.dilation == 0;
            all = all && (alone || (g.dilation == 1 && g.low(last) <= key && g.high(first) >= last_key));
            one_query = one_query && q0[a] == q1[a];
            one_key = one_key && k0[a] == k1[a];
        }
        return all ? cover::full : cover::mixed;
    }
    index first_key(const tile& t) const {
        if (t.query_end - 1 + shift < 0) return t.key_end;
        const place_on_grid q0 = at_position(greatest(t.query_begin + shift, 0));
        const place_on_grid q1 = at_position(t.query_end - 1 + shift);
        // Along the first axis that has more than one position.
        std::size_t a = 0;
        while (a + 1 < axes && axis[a].extent == 1) ++a;
        index plane = 1;
        for (std::size_t i = a + 1; i < axes; ++i) plane *= axis[i].extent;
        const index first = axis[a].lowest(q0[a], q1[a]) * plane;
        const index last = (axis[a].highest(q0[a], q1[a]) + 1) * plane - 1;
        if (last < t.key_begin || first >= t.key_end) return t.key_end;
        return greatest(first, t.key_begin);
    }

    // On each axis low <= key <= high: key - low and high - key as sums of a number of the lane and one of
    // the row, none of them negative, and all remainders as one number that is equal.
    struct windows {
        std::int32_t lane[2 * axes][most_lanes];
        std::int32_t row[2 * axes][most_rows];
        std::int32_t lane_remainder[most_lanes];
        std::int32_t row_remainder[most_rows];
        HEED_INLINE bool operator()(at, lane_pos x) const {
            std::int32_t sign = 0;
            for (std::size_t i = 0; i < 2 * axes; ++i) sign |= lane[i][x.lane] + row[i][x.row];
            return (int{sign >= 0} & int{lane_remainder[x.lane] == row_remainder[x.row]}) != 0;
        }
    };
    windows lanes(const lane_block& block) const {
        windows w;
        const auto put = [&](bool is_query, index position, std::int32_t i, std::int32_t* remainder,
                             const auto& to) {
            index r = 0;
            const place_on_grid x = at_position(greatest(position, 0));
            for (std::size_t a = 0; a < axes; ++a) {
                const grid_axis& g = axis[a];
                const index at_axis = x[a];
                r = r * g.dilation + at_axis % g.dilation;
                // In front of the grid nothing is seen.
                const index low = position < 0 ? g.extent : g.low(at_axis);
                to(2 * a, i, is_query ? -low : at_axis);
                to(2 * a + 1, i, is_query ? (position < 0 ? -1 : g.high(at_axis)) : -at_axis);
            }
            *remainder = static_cast<std::int32_t>(r);
        };
        const bool over_queries = block.lanes_are_queries();
        const auto position = [&](bool is_query, std::int32_t i) {
            return is_query ? block.first.query + shift + i : index{block.first.key} + i;
        };
        for (std::int32_t l = 0; l < most_lanes; ++l)
            put(over_queries, position(over_queries, block.clamped(l)), l, &w.lane_remainder[l],
                [&](std::size_t i, std::int32_t at_lane, index x) {
                    w.lane[i][at_lane] = static_cast<std::int32_t>(x);
                });
        for (std::int32_t r = 0; r < block.rows; ++r)
            put(!over_queries, position(!over_queries, r), r, &w.row_remainder[r],
                [&](std::size_t i, std::int32_t at_row, index x) {
                    w.row[i][at_row] = static_cast<std::int32_t>(x);
                });
        return w;
    }
};

struct neighbourhood_mask : mask_base {
    // In the caller's order.
    struct numbers {
        index size = 0;
        std::array<index, 3> value{};
    };
    numbers extents;
    numbers window;
    numbers dilation;
    neighbourhood_mask(const numbers& e, const numbers& w, const numbers& d)
        : extents(e), window(w), dilation(d) {}
    auto content() const { return std::tie(extents.value, window.value, dilation.value); }

    bound_neighbourhood bind(std::string_view function, const problem_shape& shape) const {
        if (!(extents.size >= 1 && extents.size <= 3))
            fail(function, {"neighbourhood got ", extents.size, " extents, needs 1, 2 or 3"});
        if (window.size != extents.size)
            fail(function, {"neighbourhood got a window of ", window.size, " numbers, needs ", extents.size,
                            ", as many as extents"});
        if (!(dilation.size == 0 || dilation.size == extents.size))
            fail(function, {"neighbourhood got ", dilation.size, " dilations, needs ", extents.size,
                            ", as many as extents, or none"});
        bound_neighbourhood b{{}, shape.keys - shape.queries};
        index positions = 1;
        for (index i = 0; i < extents.size; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const grid_axis g{extents.value[at], window.value[at],
                              dilation.size == 0 ? 1 : dilation.value[at]};
            const bool fits = g.extent >= 1 && g.extent <= longest_axis && g.window >= 1 && g.dilation >= 1 &&
                              g.window <= g.extent && g.dilation <= g.extent / g.window;
            if (!fits)
                fail(function,
                     {"neighbourhood has an axis of ", g.extent, " positions with a window of ", g.window,
                      " keys ", g.dilation,
                      " apart, needs positive numbers, and window x dilation no longer than the axis"});
            positions = positions > longest_axis / g.extent ? longest_axis + 1 : positions * g.extent;
            b.axis[bound_neighbourhood::axes - static_cast<std::size_t>(extents.size) + at] = g;
        }
        if (positions != shape.keys)
            fail(function,
                 {"neighbourhood has a grid of ", positions, positions > longest_axis ? " or more" : "",
                  " positions, needs the ", shape.keys, " of k"});
        return b;
    }
};

template <integers R>
neighbourhood_mask::numbers grid_numbers(const R& range) {
    const auto from = span_of(range);
    neighbourhood_mask::numbers to{from.size, {}};
    for (index i = 0; i < least(from.size, 3); ++i)
        to.value[static_cast<std::size_t>(i)] = fits_index(from.data[i]) ? from[i] : PTRDIFF_MAX;
    return to;
}

}  // namespace detail

// Ranges of one, two or three whole numbers each, which are copied. Without a dilation it is 1 on every axis.
template <class E, class W, class D = std::array<index, 0>>
auto neighbourhood(const E& extents, const W& window, const D& dilation = {}) {
    static_assert(detail::integers<E> && detail::integers<W> && detail::integers<D>,
                  "heed::neighbourhood: needs ranges of whole numbers, neighbourhood(extents, window) or "
                  "neighbourhood(extents, window, dilation)");
    return detail::neighbourhood_mask(detail::grid_numbers(extents), detail::grid_numbers(window),
                                      detail::grid_numbers(dilation));
}
inline auto neighbourhood(std::initializer_list<index> extents, std::initializer_list<index> window,
                          std::initializer_list<index> dilation = {}) {
    return detail::neighbourhood_mask(detail::grid_numbers(extents), detail::grid_numbers(window),
                                      detail::grid_numbers(dilation));
}

}  // namespace heed::inline HEED_ABI
