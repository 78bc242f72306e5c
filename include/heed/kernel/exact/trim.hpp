// SPDX-License-Identifier: MIT
// heed/kernel/exact/trim.hpp: what of a tile that the mask hides in part is worth multiplying
//
// Packs of queries and groups of keys on both ends that see nothing of each other are left out. Only whole
// packs and groups are: a lane's arithmetic stays the same, and what remains asks the mask score by score.
// Cost: an answer of the mask for each pack or group left out, and for the two that end it.
#pragma once

#include <heed/kernel/exact/strips.hpp>

namespace heed::inline HEED_ABI::detail {

// Leaves out the packs of queries that see nothing of a mixed tile. True if there are some.
template <class E, class T>
bool trim_queries(const exact_problem<E>& p, const exact_leaves<E>& leaf, tile& here, strip<T>& t) {
    if (leaf.fewest_packs > 1) return false;
    const index w = leaf.pack_lanes;
    const int packs = t.packs;
    for (tile pack = here; t.packs > 1; --t.packs) {
        pack.query_begin = t.begin + (t.packs - 1) * w;
        pack.query_end = t.end;
        if (p.cover_of(pack) != cover::empty) break;
        t.end = pack.query_begin;
    }
    for (tile pack = here; t.packs > 1; --t.packs) {
        pack.query_begin = t.begin;
        pack.query_end = t.begin + w;
        if (p.cover_of(pack) != cover::empty) break;
        t.begin += w;
        t.query += w;
        t.output += w;
        t.row_max += w;
        t.row_sum += w;
        t.scale += w;
    }
    here.query_begin = t.begin;
    here.query_end = t.end;
    return t.packs < packs;
}

// Keys [first, end) of a mixed tile, counted from its first: narrowed to groups that some query sees.
template <class E>
void trim_keys(const exact_problem<E>& p, tile t, index& first, index& end) {
    const index origin = t.key_begin;
    first = (p.first_of(t) - origin) / row_group * row_group;
    for (; first < end; first = least(first + row_group, end)) {
        t.key_begin = origin + first;
        t.key_end = origin + least(first + row_group, end);
        if (p.cover_of(t) != cover::empty) break;
    }
    // Often there is one group alone, a global key or a step of a pattern.
    if (end - first > row_group) {
        t.key_begin = origin + first + row_group;
        t.key_end = origin + end;
        if (p.first_of(t) == t.key_end) end = first + row_group;
    }
    for (; first < end; end = (end - 1) / row_group * row_group) {
        t.key_begin = origin + (end - 1) / row_group * row_group;
        t.key_end = origin + end;
        if (p.cover_of(t) != cover::empty) break;
    }
}

}  // namespace heed::inline HEED_ABI::detail
