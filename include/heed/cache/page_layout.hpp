// SPDX-License-Identifier: MIT
// heed/cache/page_layout.hpp: where a page of a cache holds its rows, in bytes
//
// A page holds `page` positions of all heads of one batch entry: position j is slot j % page of page
// j / page. The part of head h begins at h * head_bytes; in it, each at a multiple of 64 bytes,
//
//     keys            [page][key_row]         at 0
//     values          [page][value_row]       at value_at; a cache that shares them reads the keys' rows
//     key scales      [page] of float         at key_scale_at; only with int8 and int4, else at 0
//     value scales    [page] of float         at value_scale_at; the keys' where they are shared
#pragma once

#include <string_view>

#include <heed/core/error.hpp>

namespace heed::inline HEED_ABI {

struct page_layout {
    index page = 0;  // positions, a multiple of 64
    // Bytes of a row.
    index key_row = 0;
    index value_row = 0;
    // Bytes from the beginning of a head's part.
    index value_at = 0;
    index key_scale_at = 0;
    index value_scale_at = 0;
    index head_bytes = 0;  // of a head's part, a multiple of 64
};

namespace detail {

inline constexpr index page_step = 64;  // positions

// Throws heed::error where no memory holds a page.
inline page_layout lay_out(std::string_view function, index page, index key_row, index value_row, bool shared,
                           bool scaled) {
    page_layout layout;
    layout.page = page;
    layout.key_row = key_row;
    layout.value_row = shared ? key_row : value_row;
    // As many rows as a multiple of 64 end at a multiple of 64 bytes.
    const auto place = [&](index row) {
        const index at = layout.head_bytes;
        layout.head_bytes += checked_product(function, page, row);
        return at;
    };
    constexpr index scale = sizeof(float);
    place(key_row);
    if (!shared) layout.value_at = place(value_row);
    if (scaled) layout.key_scale_at = place(scale);
    if (scaled) layout.value_scale_at = shared ? layout.key_scale_at : place(scale);
    return layout;
}

// The rows of one kind in a head's part, and the size of the numbers that they are made of.
struct row_area {
    index at;
    index row;
    index number;
};
struct row_areas {
    row_area area[4];
    int count = 0;

    row_areas(const page_layout& l, index number) {
        constexpr index scale = sizeof(float);
        area[count++] = {0, l.key_row, number};
        if (l.value_at != 0) area[count++] = {l.value_at, l.value_row, number};
        if (l.key_scale_at != 0) area[count++] = {l.key_scale_at, scale, scale};
        if (l.value_scale_at > l.key_scale_at) area[count++] = {l.value_scale_at, scale, scale};
    }
    const row_area* begin() const { return area; }
    const row_area* end() const { return area + count; }
    // Of one position and head.
    index bytes() const {
        index sum = 0;
        for (const row_area& a : *this) sum += a.row;
        return sum;
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
