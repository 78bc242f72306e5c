// SPDX-License-Identifier: MIT
// heed/kernel/native/ranges.hpp: the mask of a branch: every query sees one range of keys
//
// The rows of a problem are the heads of a group one behind the other, `rows` queries each, whose ranges
// [low, high) are the same. Neither end falls from one query to the next. Cost: O(1) for a tile.
#pragma once

#include <heed/kernel/exact/program.hpp>
#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI::detail {

struct bound_ranges {
    const std::int32_t* low;
    const std::int32_t* high;
    index rows;

    cover classify(const tile& t) const {
        index first = t.query_begin % rows;
        index last = (t.query_end - 1) % rows;
        if (t.query_begin / rows != (t.query_end - 1) / rows) {
            first = 0;
            last = rows - 1;
        }
        if (t.key_begin >= high[last] || t.key_end <= low[first]) return cover::empty;
        return t.key_begin >= low[last] && t.key_end <= high[first] ? cover::full : cover::mixed;
    }

    // Of one row where lanes are keys, as the decode kernel asks.
    struct seen {
        std::int32_t low[most_lanes];
        std::int32_t high[most_lanes];
        HEED_INLINE bool operator()(at i, lane_pos x) const {
            return (i.key >= low[x.lane]) & (i.key < high[x.lane]);
        }
    };
    seen lanes(const lane_block& block) const {
        seen s;
        for (std::int32_t l = 0; l < most_lanes; ++l) {
            const index row = (block.first.query + (block.clamped(l) & block.query_step)) % rows;
            s.low[l] = low[row];
            s.high[l] = high[row];
        }
        return s;
    }
};

using ranges_program = score_program<score_steps<>, bound_ranges>;

}  // namespace heed::inline HEED_ABI::detail
