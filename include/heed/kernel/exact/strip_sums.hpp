// SPDX-License-Identifier: MIT
// heed/kernel/exact/strip_sums.hpp: the sums of a strip: cleared, added up in groups of tiles, and added up
// again with smaller weights where they overflow
#pragma once

#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/strips.hpp>

namespace heed::inline HEED_ABI::detail {

// Numbers of a strip's output, (value feature, lane).
template <class E>
index strip_output_size(const strip_context<E>& c) {
    return rounded_up(rounded_up(c.p.value_features, row_group), c.w) * c.lanes;
}

template <class E, class T>
void clear_strip(const strip_context<E>& c, const strip<T>& t) {
    const index n = strip_output_size(c);
    const auto empty = [&](T* output, T* row_max, T* row_sum) {
        for (index x = 0; x < n; ++x) output[x] = 0;
        for (index l = 0; l < c.lanes; ++l) {
            row_max[l] = minus_infinity<T>();
            row_sum[l] = 0;
        }
    };
    empty(t.output, t.row_max, t.row_sum);
    if (t.upper != nullptr) empty(t.upper, t.upper_max, t.upper_sum);
}

// The sums of a group of tiles join those before them.
template <class E, class T>
void carry_strip(const strip_context<E>& c, const strip<T>& t) {
    T rescale[panel_packs * most_pack_lanes];
    const index n = t.packs * c.w;
    for (index l = 0; l < n; ++l) {
        const T safe = is_minus_infinity(t.row_max[l]) ? T(0) : t.row_max[l];
        rescale[l] = scalar::exp_of_negative(t.upper_max[l] - safe);
        t.upper_max[l] = t.row_max[l];
    }
    c.leaf.carry(t.upper, t.output, c.p.value_features, c.lanes, n, rescale);
    c.leaf.carry(t.upper_sum, t.row_sum, 1, c.lanes, n, rescale);
}

template <class T>
bool is_scaled(const strip<T>& t) {
    for (index l = 0; l < t.end - t.begin; ++l)
        if (t.scale[l] != T(1)) return true;
    return false;
}

// Scales the weights of lanes whose sums overflowed, and clears the strip if there are some.
template <class E, class T>
bool scale_overflowed(const strip_context<E>& c, const strip<T>& t, bool grouped) {
    const T* const sums = grouped ? t.upper : t.output;
    if (c.leaf.all_finite(sums, c.lanes, c.p.value_features, t.packs * c.w)) return false;
    bool any = false;
    for (index l = 0; l < t.end - t.begin; ++l)
        for (index f = 0; f < c.p.value_features; ++f)
            if (!is_finite(sums[f * c.lanes + l])) {
                t.scale[l] = sum_scale<T>;
                any = true;
            }
    if (any) clear_strip(c, t);
    return any;
}

}  // namespace heed::inline HEED_ABI::detail
