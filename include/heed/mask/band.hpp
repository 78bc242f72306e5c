// SPDX-License-Identifier: MIT
// heed/mask/band.hpp: causal and sliding-window masks
//
// Query r looks at the keys of one interval around its place p among the keys:
//     p - left <= key <= p + right,   p = r + (keys - queries),   or p = r + offset
// The first p lines the last query up with the last key, so one mask serves a whole prompt and one new
// token over a cache; beside packed(query_offsets, key_offsets) it does so in each document
// (mask/positions.hpp). A query may see no key at all.
//
// Cost: no storage, O(1) for a tile.
#pragma once

#include <heed/mask/positions.hpp>

namespace heed::inline HEED_ABI {

// A side of a window that does not end: no number of keys, since an offset may take up any of those.
inline constexpr index unbounded = PTRDIFF_MAX;

namespace detail {

inline std::int32_t clamped_coordinate(index x) {
    return static_cast<std::int32_t>(x < -longest_axis ? -longest_axis : x > longest_axis ? longest_axis : x);
}

struct bound_band_row {
    std::int32_t low;   // key - query >= low
    std::int32_t high;  // key - query <= high
    HEED_INLINE bool operator()(at i, lane_pos) const {
        const std::int32_t d = i.key - i.query;
        return (d >= low) & (d <= high);
    }
};

template <class Offset>
struct bound_band {
    index left;
    index right;
    Offset offset;

    bound_band_row row(index batch) const {
        const index p = offset[batch];
        return {left == unbounded ? -2147483647 - 1 : clamped_coordinate(saturated_sum(p, -left)),
                right == unbounded ? 2147483647 : clamped_coordinate(saturated_sum(p, right))};
    }
    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        const bound_band_row r = row(t.batch);
        const index min_distance = t.key_begin - (t.query_end - 1);
        const index max_distance = t.key_end - 1 - t.query_begin;
        if (max_distance < r.low || min_distance > r.high) return cover::empty;
        return min_distance >= r.low && max_distance <= r.high ? cover::full : cover::mixed;
    }
    // The keys of the first query begin first, those of the last end last.
    index first_key(const tile& t) const {
        const bound_band_row r = row(t.batch);
        const index first = t.query_begin + r.low;
        if (t.query_end - 1 + r.high < t.key_begin || first >= t.key_end) return t.key_end;
        return first > t.key_begin ? first : t.key_begin;
    }
    bound_band_row lanes(const lane_block& block) const { return row(block.first.batch); }
};

// Offset: per_batch numbers, or absent for the rule that lines up the ends.
template <class Offset>
struct band_mask : mask_base {
    index left;
    index right;
    Offset offset;

    constexpr band_mask(index l, index r, Offset o) : left(l), right(r), offset(o) {}
    auto content() const { return std::tie(left, right, offset); }
    const char* overlapped(const byte_span& output) const {
        if constexpr (is_absent<Offset>)
            return nullptr;
        else
            return offset.many && offset.values.overlaps(output) ? "the offsets" : nullptr;
    }

    auto bind(std::string_view function, const problem_shape& shape) const {
        check_sides(function);
        if constexpr (is_absent<Offset>) {
            return bound_band<per_batch<index>>{left, right, {shape.keys - shape.queries, {}, false}};
        } else {
            offset.validate(function, "offset", shape.batch);
            for (index b = 0; b < (offset.many ? shape.batch : 1); ++b)
                if (!offset.within(b, -longest_axis, longest_axis))
                    fail(function,
                         {"offset is ", offset.text_of(b), ", needs a number of keys within 2^31 - 1"});
            return bound_band<Offset>{left, right, offset};
        }
    }
    // Among documents that say where their queries stand.
    template <class Q, class K>
    auto bind(std::string_view function, const problem_shape&,
              const document_positions<Q, K>& positions) const
    requires is_absent<Offset>
    {
        check_sides(function);
        return bound_document_band<document_positions<Q, K>>{left, right, positions};
    }

private:
    void check_sides(std::string_view function) const {
        if (!(left >= 0 && right >= 0))
            fail(function,
                 {"window got (", left, ", ", right, "), needs counts of keys that are not negative"});
    }
};

}  // namespace detail

// key <= query + (keys - queries): the last query sees the last key.
inline constexpr detail::band_mask<detail::absent> causal{unbounded, 0, {}};

// p - left <= key <= p + right with p = query + (keys - queries); `unbounded` on either side.
template <class L, class R>
auto window(const L& left, const R& right) {
    static_assert(detail::whole_number<L> && detail::whole_number<R>,
                  "heed::window: needs two whole numbers of keys, window(left, right)");
    return detail::band_mask<detail::absent>(detail::index_of(left), detail::index_of(right), {});
}

// key <= query + offset; causal_from(0) is the top-left rule. One number, or a range with one per batch.
template <class N>
auto causal_from(N&& offset) {
    static_assert(detail::whole_numbers<N>,
                  "heed::causal_from: needs a whole number, or a contiguous range of them with one for each "
                  "batch entry");
    static_assert(detail::may_be_kept<N>,
                  "heed::causal_from: the offsets are a temporary and would be gone; give them a name");
    return detail::band_mask(unbounded, 0, detail::numbers_of(offset));
}

// A window around query + offset.
template <class N, class L, class R>
auto window_from(N&& offset, const L& left, const R& right) {
    static_assert(detail::whole_numbers<N> && detail::whole_number<L> && detail::whole_number<R>,
                  "heed::window_from: needs whole numbers, window_from(offset, left, right), or a contiguous "
                  "range of offsets with one for each batch entry");
    static_assert(detail::may_be_kept<N>,
                  "heed::window_from: the offsets are a temporary and would be gone; give them a name");
    return detail::band_mask(detail::index_of(left), detail::index_of(right), detail::numbers_of(offset));
}

}  // namespace heed::inline HEED_ABI
