// SPDX-License-Identifier: MIT
// heed/kernel/exact/strips.hpp: how a block of queries is cut into strips of up to three packs
//
// Three packs each; four that are left make two and two. Under a mask that changes at multiples of some
// number of queries, each such grain is cut by itself: a strip in two of them would read the keys of both.
#pragma once

#include <heed/kernel/exact/problem.hpp>

namespace heed::inline HEED_ABI::detail {

// Strips of queries that share a converted tile and its place in the cache.
inline constexpr index block_strips = 4;

// The multiples at which strips are cut under a mask of this grain, or 0: where a block of the mask holds so
// few packs that leaving out single ones does as well, or ends within a pack.
inline index grain_of_strips(index grain, index pack_lanes) {
    const index longest = block_strips * panel_packs * pack_lanes;
    while (grain > longest && grain % 2 == 0) grain /= 2;
    return grain > longest || grain % pack_lanes != 0 || grain <= panel_packs * pack_lanes ? 0 : grain;
}

class strip_cuts {
public:
    // Of blocks of up to `queries` queries. A target of short packs has strips of `fewest_packs` alone.
    strip_cuts(index grain, index queries, index pack_lanes, int fewest_packs)
        : w_(pack_lanes), fewest_packs_(fewest_packs), grain_(grain_of_strips(grain, pack_lanes)) {
        if (grain_ == 0) grain_ = rounded_up(queries, panel_packs * w_);
        each_ = strips_of(grain_);
    }

    // Strips of so many queries.
    index count(index queries) const { return queries / grain_ * each_ + strips_of(queries % grain_); }

    // Queries of a block, from its first, and the packs that hold them.
    struct piece {
        index begin;
        index end;
        int packs;
    };
    piece piece_at(index strip, index queries) const {
        const index origin = strip / each_ * grain_;
        const index i = strip % each_;
        const index here = least(queries - origin, grain_);
        const index packs = rounded_up(here, w_) / w_;
        const index count_ = rounded_up(packs, panel_packs) / panel_packs;
        const index even_from =
            packs % panel_packs == 1 && packs > 1 && fewest_packs_ < panel_packs ? count_ - 2 : count_;
        const index first = i < even_from ? i * panel_packs : even_from * panel_packs + (i - even_from) * 2;
        const index mine = least(packs - first, i < even_from ? index{panel_packs} : index{2});
        const index end = least((first + mine) * w_, here);
        return {origin + first * w_, origin + end,
                static_cast<int>(mine < fewest_packs_ ? fewest_packs_ : mine)};
    }

private:
    index strips_of(index queries) const {
        return rounded_up(queries, panel_packs * w_) / (panel_packs * w_);
    }

    index w_;
    int fewest_packs_;
    index grain_;  // queries between cuts, and the strips they make
    index each_;
};

// One strip: `packs` packs of queries [begin, end).
template <class T>
struct strip {
    index begin;
    index end;
    int packs;
    T* query;    // (feature, lane), scaled
    T* output;   // (value feature, lane)
    T* row_max;  // running maximum of a lane
    T* row_sum;  // running sum of a lane
    T* scale;    // of a lane's weights, 1 or sum_scale
    // The sums of the groups of tiles before this one, relative to upper_max; nullptr where there is one.
    T* upper;
    T* upper_max;
    T* upper_sum;
};

// What all that works on strips needs.
template <class E>
struct strip_context {
    const exact_problem<E>& p;
    const exact_leaves<E>& leaf;
    index w = leaf.pack_lanes;
    index lanes = panel_packs * leaf.pack_lanes;  // of a strip
};

}  // namespace heed::inline HEED_ABI::detail
