// SPDX-License-Identifier: MIT
// heed/kernel/exact/key_pages.hpp: keys and values that stand in the pages of a cache
//
// A batch entry has a list of pages, null where a window has forgotten one; a page holds so many positions of
// every head. Within a head's part keys stand row after row, and so do values, and the scales of rows of
// integers. A step of a decode lies within a page, as its keys are a divisor of a page's.
#pragma once

#include <heed/kernel/exact/leaves.hpp>

namespace heed::inline HEED_ABI::detail {

// Bytes from the beginning of a head's part, and of a row.
struct paged_numbers {
    index at = 0;
    index row = 0;
    index scales_at = 0;
};

template <class T>
struct key_pages {
    const std::byte* const* const* tables = nullptr;  // of each batch entry
    index page = 0;                                   // positions
    index head_bytes = 0;
    paged_numbers keys;
    paged_numbers values;
    bool scaled = false;  // a scale a row
    const stored_leaves<T>* leaves = nullptr;

    // Rows [first, …) of a page. In the place of a forgotten page another one is read: nothing in it is seen.
    stored_rows rows(const paged_numbers& x, index b, index head, index first) const {
        const std::byte* const* const pages = tables[b];
        const std::byte* at = pages[first / page];
        for (index i = 0; at == nullptr; ++i) at = pages[i];
        const std::byte* const part = at + head * head_bytes;
        const index row = first % page;
        stored_rows found{part + x.at + row * x.row, x.row};
        if (scaled) found.scales = reinterpret_cast<const float*>(part + x.scales_at) + row;
        return found;
    }
    // `count` rows from `first` on to the type sums are kept in, whichever pages they stand in.
    void widen(const paged_numbers& x, index b, index head, index first, index count, index features, T* to,
               index to_stride) const {
        while (count > 0) {
            const index left = page - first % page;
            const index some = left < count ? left : count;
            leaves->widen(rows(x, b, head, first), some, features, to, to_stride);
            first += some;
            count -= some;
            to += some * to_stride;
        }
    }
};

}  // namespace heed::inline HEED_ABI::detail
