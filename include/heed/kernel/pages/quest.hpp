// SPDX-License-Identifier: MIT
// heed/kernel/pages/quest.hpp: the pages with the largest bounds, as a mask
//
// One selection for each query and each group of heads that shares keys: a page counts as much as the
// largest bound it has for one of the heads. Pages that the call's mask hides from all of them take no
// budget. Cost: as much as scoring two keys for each page.
#pragma once

#include <algorithm>
#include <functional>

#include <heed/kernel/pages/estimate.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr index fewest_pages = 3;

// Sets the bits of the `keep` pages of `seen` with the largest bounds, of equal ones the first.
template <class T, class Int>
void keep_best_pages(const T* best, const bit_word* seen, index pages, index keep, Int* order,
                     bit_word* bits) {
    index count = 0;
    for (index i = 0; i < pages; ++i)
        if (bit_at(seen, i)) order[count++] = order_of(best[i]);
    std::nth_element(order, order + (keep - 1), order + count, std::greater<Int>());
    const Int last = order[keep - 1];
    index ties = keep;
    for (index i = 0; i < keep; ++i) ties -= order[i] > last;
    for (index word = 0; word < words_of(pages); ++word) bits[word] = 0;
    for (index i = 0; i < pages; ++i) {
        if (!bit_at(seen, i)) continue;
        const Int x = order_of(best[i]);
        if (x > last || (x == last && ties-- > 0)) set_bit(bits, i);
    }
}

// With carried bounds, or those of the call's own keys where `carried` is nullptr.
template <class E, class M, class T = typename exact_inputs<E>::T>
bound_blocks choose_pages(const exact_inputs<E>& p, const page_table<T>* carried, index page, index budget,
                          const M& mask, device_ref device, workspace& memory) {
    using order_type = decltype(order_of(T()));
    const index group = p.heads / p.kv_heads, heads = p.batch * p.kv_heads;
    const index pages = pages_of(p.keys, page), words = words_of(pages);
    const index keep = (std::max)(budget / page, fewest_pages);
    const index padded = rounded_up(pages, decode_keys);
    bit_word* const bits = static_cast<bit_word*>(memory.reserve(
        static_cast<std::size_t>(heads * p.queries * words) * sizeof(bit_word), workspace::part::selection));
    const bound_blocks chosen{bits, p.kv_heads * p.queries * words, p.queries * words, words, group, 1, page};
    if (heads == 0 || p.queries == 0 || pages == 0 || group == 0) return chosen;

    // Few heads alone would leave the leaves, that take four rows at a time, half empty.
    const index together = group >= 4 ? 1 : 4 / group;
    const index blocks = (p.queries + together - 1) / together;
    const index rows = group * together;
    index lanes = device.lanes();
    if (lanes > heads * blocks) lanes = heads * blocks;

    struct layout {
        T* q;
        T* scores;  // of decode_keys pages
        T* zeros;
        T* best;  // (query, page)
        order_type* order;
        bit_word* seen;
    };
    page_table<T> table{};
    page_estimate<E> estimate(p, table, together);
    const auto layout_of = [&](arena& from) {
        layout m;
        m.q = from.take<T>(estimate.size());
        m.scores = from.take<T>(rows * decode_keys);
        m.zeros = from.take<T>(rows);
        m.best = from.take<T>(together * padded);
        m.order = from.take<order_type>(pages);
        m.seen = from.take<bit_word>(words);
        return m;
    };
    arena shared, own;
    if (carried == nullptr) call_bounds<E>(p, page, device.lanes(), shared);
    layout_of(own);
    char* const base =
        static_cast<char*>(memory.reserve(shared.bytes() + own.bytes() * static_cast<std::size_t>(lanes)));
    arena bounds_memory(base);
    table = carried != nullptr
                ? *carried
                : call_bounds<E>(p, page, device.lanes(), bounds_memory).make(p, page, mask, device);

    for_each_task(device, lanes, heads * blocks, [&](index lane, index task) {
        arena mine(base + shared.bytes() + own.bytes() * static_cast<std::size_t>(lane));
        const layout m = layout_of(mine);
        const index head = task / blocks, query = task % blocks * together;
        const index queries = (std::min)(together, p.queries - query);
        const page_readers readers =
            readers_of(mask, head / p.kv_heads, head % p.kv_heads, group, p.keys, page);
        page_estimate<E> of_rows(estimate);
        bool loaded = false;
        for (index i = 0; i < queries; ++i) {
            bit_word* const kept = bits + (head * p.queries + query + i) * words;
            const index seen = pages_seen(mask, readers, query + i, pages, m.seen);
            if (seen <= keep) {
                std::copy(m.seen, m.seen + words, kept);
                continue;
            }
            if (!loaded) {
                loaded = true;
                for (index r = 0; r < rows; ++r) m.zeros[r] = 0;
                of_rows.load(head / p.kv_heads, head % p.kv_heads, query, queries, m.q);
                for (index first = 0; first < pages; first += decode_keys) {
                    of_rows.bounds(first, (std::min)(decode_keys, pages - first), m.scores);
                    // Rows are (head, query): those of one query stand `queries` apart.
                    for (index j = 0; j < queries; ++j)
                        page_leaves_on_target<T>().best(m.scores + j * decode_keys, queries * decode_keys,
                                                        group, decode_keys, m.zeros,
                                                        m.best + j * padded + first);
                }
            }
            keep_best_pages(m.best + i * padded, m.seen, pages, keep, m.order, kept);
        }
    });
    return chosen;
}

}  // namespace heed::inline HEED_ABI::detail
