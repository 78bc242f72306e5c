// SPDX-License-Identifier: MIT
// heed/linear/sources.hpp: decays and betas as numbers of a head by position
#pragma once

#include <string_view>

#include <heed/core/check.hpp>
#include <heed/kernel/linear/problem.hpp>
#include <heed/state/options.hpp>

namespace heed::inline HEED_ABI::detail {

// Turns a table of rank 4, or one that is right-aligned to (batch, kv_head, position), into strides of
// those three and a feature; extents of 1 repeat.
template <class T>
void spread(std::string_view function, std::string_view argument, table<T>& t,
            const std::array<index, 3>& positions, index features, bool by_feature) {
    if (!by_feature) {
        if (t.extents[0] != 1) fail(function, {argument, " has too many axes"});
        t.extents = {t.extents[1], t.extents[2], t.extents[3], 1};
        t.strides = {t.strides[1], t.strides[2], t.strides[3], 0};
        t.rank = 4;  // now it is laid out
    }
    for (std::size_t axis = 0; axis < 4; ++axis) {
        const index needed = axis < 3 ? positions[axis] : features;
        if (t.extents[axis] != needed && t.extents[axis] != 1)
            fail(function,
                 {argument, " has ", t.extents[axis], " ", axis_names[axis], ", needs ", needed, " or 1"});
        if (t.extents[axis] == 1) t.strides[axis] = 0;
    }
    check_memory(function, argument, bytes_of(t));
}

// Reads rows of a table that has been spread.
template <class G>
void read_table_numbers(const void* context, index b, index h, index first, index rows, index feature,
                        index n, double* to) {
    const auto& t = *static_cast<const table<const G>*>(context);
    const G* from =
        t.data + b * t.strides[0] + h * t.strides[1] + first * t.strides[2] + feature * t.strides[3];
    for (index r = 0; r < rows; ++r, from += t.strides[2], to += n)
        for (index f = 0; f < n; ++f) to[f] = static_cast<double>(from[f * t.strides[3]]);
}

// A table that has been spread as a source of numbers, which lives as long as the table.
template <class G>
number_source source_of(const table<const G>& t) {
    number_source s{&t, &read_table_numbers<G>};
    if constexpr (std::is_same_v<G, float> || std::is_same_v<G, double>) {
        s.data = t.data;
        s.size = sizeof(G);
        for (std::size_t axis = 0; axis < 4; ++axis) s.stride[axis] = t.strides[axis];
    }
    return s;
}

}  // namespace heed::inline HEED_ABI::detail
