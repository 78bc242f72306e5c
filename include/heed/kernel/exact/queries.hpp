// SPDX-License-Identifier: MIT
// heed/kernel/exact/queries.hpp: queries in the layouts that the products read
#pragma once

#include <heed/kernel/exact/problem.hpp>

namespace heed::inline HEED_ABI::detail {

// Rows that a leaf can read where they stand.
template <class T, class X>
bool stands_in_rows(const strided<X>& x) {
    return std::is_same_v<std::remove_const_t<X>, T> && x.stride[3] == 1;
}

// Queries [begin, end) of a head, fewer than `packs` packs of lanes, to (feature, lane), times the scale;
// lanes past the last are zero. A row of `to` has space for panel_packs packs.
template <class E, class T = typename exact_inputs<E>::T>
void queries_to_lanes(const exact_inputs<E>& p, const exact_leaves<E>& leaf, index b, index h, index begin,
                      index end, int packs, T* to) {
    const index w = leaf.pack_lanes;
    const index lanes = panel_packs * w;
    T edge[most_pack_lanes * most_pack_lanes];
    T factor[most_pack_lanes];
    for (index i = 0; i < w; ++i) factor[i] = p.scale;
    for (index q = 0; q < packs * w; q += w)
        for (index f = 0; f < p.features; f += w) {
            const auto* const at_query = p.q.row(b, h, begin + q) + f * p.q.stride[3];
            const T* from = edge;
            index stride = w;
            if (stands_in_rows<T>(p.q) && begin + q + w <= end && f + w <= p.features) {
                from = reinterpret_cast<const T*>(at_query);
                stride = p.q.stride[2];
            } else {
                for (index i = 0; i < w * w; ++i) edge[i] = 0;
                leaf.widen(at_query, p.q.stride[2], p.q.stride[3], least(end - begin - q, w),
                           least(p.features - f, w), edge, w);
            }
            leaf.transpose(from, stride, to + f * lanes + q, lanes, factor);
        }
}

// One query as a row, times the scale.
template <class E, class T = typename exact_inputs<E>::T>
void query_to_row(const exact_inputs<E>& p, const exact_leaves<E>& leaf, index b, index h, index query,
                  T* to) {
    leaf.widen_scaled(p.q.row(b, h, query), p.q.stride[3], p.features, p.scale, to);
}

}  // namespace heed::inline HEED_ABI::detail
