// SPDX-License-Identifier: MIT
// heed/kernel/pages/kernels.hpp: bounds of pages of keys as kernels see them, and the leaves that make them
#pragma once

#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/pages/leaves-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

// For every (batch, key/value head): a row of 2 features for each page, the maxima of its keys' features,
// then the minima; and the largest magnitude of each feature over all pages.
//
// With q+ = max(q, 0) and q- = min(q, 0) the bound of a page, sum_d max(q_d min_d, q_d max_d), is the product
// of (q+, q-) with its row: a page is bounded as a key is scored, by the same leaf.
template <class T>
struct page_table {
    const T* rows;
    const T* largest;
    index head_stride;  // numbers between the rows of two heads
    index features;     // of a key
    index page;         // keys of a page
    index pages;

    const T* row(index head, index p) const { return rows + head * head_stride + p * 2 * features; }
    const T* largest_of(index head) const { return largest + head * features; }
};

template <class T>
const page_leaves<T>& page_leaves_on_target() {
    HEED_RETURN_ON_TARGET(page_leaves<T>());
}
HEED_ONCE_FOR_SUMS(page_leaves_on_target);

// Keys that are converted at a time where they are not numbers of the sum type side by side.
inline constexpr index page_scratch_keys = 16;

// The bounds of no key.
template <class T>
void clear_page(T* row, index features) {
    for (index f = 0; f < features; ++f) {
        row[f] = minus_infinity<T>();
        row[features + f] = -minus_infinity<T>();
    }
}

// Joins keys [first, first + count) of a head to the bounds of a page.
template <class E, class T>
void widen_page(const exact_leaves<E>& leaf, const page_leaves<T>& pages, const strided<const E>& k, index b,
                index kv_head, index first, index count, index features, T* row, T* largest, T* scratch) {
    const bool direct = std::is_same_v<E, T> && k.stride[3] == 1;
    const index together = direct ? count : page_scratch_keys;
    for (index i = 0; i < count; i += together) {
        const index n = count - i < together ? count - i : together;
        const number_rows<T> keys = rows_of(leaf, k, b, kv_head, first + i, n, features, scratch);
        pages.extremes(keys.data, keys.stride, n, features, row, row + features, largest);
    }
}

}  // namespace heed::inline HEED_ABI::detail
