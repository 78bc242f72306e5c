// SPDX-License-Identifier: MIT
// heed/mask/dilated.hpp: a window that skips: every step-th key around a query
//
//     |p - key| = c step, 0 <= c < width          p = query + (keys - queries)
//
// Looks both ways; heed::causal & dilated(width, step) looks back. The dilated window of Longformer
// (arXiv 2004.05150).
//
// Cost: no storage, O(1) for a tile, which is answered exactly. But a tile holds every distance, so the
// pattern costs as much as a full window of width * step keys a side. Where queries and keys of one remainder
// belong together, attention over a view of every step-th position with heed::window costs what it keeps.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// Sees distances within `inner`, and multiples of `step` within `outer`.
struct bound_steps {
    index inner;  // -1: none
    index outer;  // a multiple of step; -1: none
    index step;
    index shift;

    bool sees(index distance) const {
        const index d = distance < 0 ? -distance : distance;
        return d <= inner || (d <= outer && d % step == 0);
    }
    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        // A tile holds every distance p - key from min_distance to max_distance.
        const index min_distance = t.query_begin + shift - (t.key_end - 1);
        const index max_distance = t.query_end - 1 + shift - t.key_begin;
        const bool any_inner = min_distance <= inner && max_distance >= -inner && inner >= 0;
        const index low = min_distance < -outer ? -outer : min_distance;
        const index high = max_distance > outer ? outer : max_distance;
        const bool any_outer = outer >= 0 && low <= high && floor_divided(high, step) * step >= low;
        if (!any_inner && !any_outer) return cover::empty;
        const bool all = (min_distance >= -inner && max_distance <= inner) ||
                         (min_distance == max_distance && sees(min_distance)) ||
                         (step == 1 && min_distance >= -outer && max_distance <= outer);
        return all ? cover::full : cover::mixed;
    }
    index first_key(const tile& t) const {
        const index reach = inner > outer ? inner : outer;
        const index first = t.query_begin + shift - reach;
        if (reach < 0 || t.query_end - 1 + shift + reach < t.key_begin || first >= t.key_end)
            return t.key_end;
        return first > t.key_begin ? first : t.key_begin;
    }

    // Equal remainders are a multiple apart.
    struct remainders {
        std::int32_t of_lane[most_lanes];
        std::int32_t of_row[most_rows];
        std::int32_t shift;
        std::int32_t inner;
        std::int32_t outer;
        HEED_INLINE bool operator()(at i, lane_pos x) const {
            const std::int32_t d = i.query + shift - i.key;
            const std::int32_t distance = d < 0 ? -d : d;
            const int multiple = int{of_lane[x.lane] == of_row[x.row]} & int{distance <= outer};
            return (int{distance <= inner} | multiple) != 0;
        }
    };
    remainders lanes(const lane_block& block) const {
        remainders r;
        const bool over_queries = block.lanes_are_queries();
        const index query = block.first.query + shift;
        const index key = block.first.key;
        count_up(over_queries ? query : key, block.last + 1, r.of_lane);
        for (index l = block.last + 1; l < most_lanes; ++l) r.of_lane[l] = r.of_lane[block.last];
        count_up(over_queries ? key : query, block.rows, r.of_row);
        r.shift = static_cast<std::int32_t>(shift);
        r.inner = static_cast<std::int32_t>(inner);
        r.outer = static_cast<std::int32_t>(outer);
        return r;
    }

private:
    void count_up(index from, index count, std::int32_t* to) const {
        index r = floor_remainder(from, step);
        for (index i = 0; i < count; ++i) {
            to[i] = static_cast<std::int32_t>(r);
            r = r + 1 == step ? 0 : r + 1;
        }
    }
};

struct dilated_mask : mask_base {
    index width;
    index step;
    dilated_mask(index w, index s) : width(w), step(s) {}
    auto content() const { return std::tie(width, step); }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (!(width >= 0 && step >= 1))
            fail(function, {"dilated got (", width, ", ", step,
                            "), needs a count of keys that is not negative and a step of 1 or more"});
        // No distance is longer than an axis.
        const index s = step < longest_axis ? step : longest_axis;
        const index steps = longest_axis / s;
        const index outer = width == 0 ? -1 : (width - 1 < steps ? width - 1 : steps) * s;
        return bound_steps{-1, outer, s, shape.keys - shape.queries};
    }
};

}  // namespace detail

// `width` keys on each side, `step` apart, the own one counted on both.
template <class W, class S>
auto dilated(const W& width, const S& step) {
    static_assert(detail::whole_number<W> && detail::whole_number<S>,
                  "heed::dilated: needs two whole numbers, dilated(width, step)");
    return detail::dilated_mask(detail::index_of(width), detail::index_of(step));
}

}  // namespace heed::inline HEED_ABI
