// SPDX-License-Identifier: MIT
// heed/select/page_bounds.hpp: the minima and maxima of the keys of every page, carried from call to call
//
//     heed::page_bounds<float> bounds(batch, kv_heads, head_dim, page);
//     bounds.append(k);                                 as keys come, any number at a time
//     heed::attention(q, k, v, heed::quest(bounds, 2048));
//
// A page is `page` neighbouring keys; the last one may be partial. For every feature the smallest and the
// largest value of its keys is kept: 2 / page of the keys' memory. What is appended must be the keys that
// calls are then given, in their order and whether a mask hides them or not: a NaN among them makes its page
// one that is always kept.
//
// T is the type that sums are kept in: float for keys of float, half and bfloat16, double for double.
// Source: Quest (arXiv 2406.10774).
#pragma once

#include <algorithm>
#include <vector>

#include <heed/core/check.hpp>
#include <heed/kernel/pages/kernels.hpp>

namespace heed::inline HEED_ABI {

template <class T>
class page_bounds {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::page_bounds<T>: T is what sums are kept in: float (for half and bfloat16 too) or "
                  "double");

public:
    // No keys yet. Throws heed::error for negative extents, no features or a page of no keys.
    page_bounds(index batch, index kv_heads, index head_dim, index page)
        : batch_(checked(batch, 0, "batch")),
          kv_heads_(checked(kv_heads, 0, "kv_heads")),
          head_dim_(checked(head_dim, 1, "head_dim")),
          page_(checked(page, 1, "page")) {
        const index numbers = detail::checked_product("page_bounds", {batch_, kv_heads_, head_dim_});
        largest_.resize(static_cast<std::size_t>(numbers));
        room_.resize(static_cast<std::size_t>(
            detail::checked_product("page_bounds", detail::page_scratch_keys, head_dim_)));
    }

    // Adds keys (batch, kv_head, key, feature) behind those there are. Throws heed::error when they do not
    // fit, std::bad_alloc when memory cannot grow; nothing has changed then. Memory at least doubles when it
    // grows, and a partial page costs nothing new.
    template <class K>
    void append(const K& k) {
        using E = detail::element_t<decltype(as_view(k))>;
        constexpr bool fits = std::is_same_v<sum_t<E>, T>;
        static_assert(fits,
                      "heed::page_bounds<T>::append: T is not what sums of these keys are kept in; "
                      "page_bounds<float> takes float, half and bfloat16, page_bounds<double> double");
        if constexpr (fits) {
            const view<const E> keys(as_view(k));
            detail::check_extents("page_bounds::append", "k", keys);
            const std::array<index, 4> needed{batch_, kv_heads_, keys.positions(), head_dim_};
            for (std::size_t axis = 0; axis < 4; ++axis)
                if (keys.extents[axis] != needed[axis])
                    detail::fail("page_bounds::append",
                                 {"k has ", keys.extents[axis], " ", detail::axis_names[axis],
                                  ", the bounds have ", needed[axis]});
            if (keys.positions() > longest_axis - length_)
                detail::fail("page_bounds::append",
                             {length_, " keys and ", keys.positions(), " more, needs at most 2^31 - 1"});
            reserve(length_ + keys.positions());
            take<storage_t<E>>(detail::strided_of<storage_t<E>>(keys), keys.positions());
        }
    }

    // Forgets the keys from n on. The page that n falls into keeps the bounds it had with them: still bounds
    // of what is left, but wider; an n that is a multiple of page() loses nothing. Throws heed::error when n
    // is negative or more than length().
    void truncate(index n) {
        if (!(n >= 0 && n <= length_))
            detail::fail("page_bounds::truncate",
                         {"n is ", n, ", needs a length from 0 to the ", length_, " keys there are"});
        length_ = n;
    }

    // Room for this many keys, so that append allocates nothing up to there. Throws heed::error for more than
    // 2^31 - 1, std::bad_alloc.
    void reserve(index keys) {
        if (keys > longest_axis)
            detail::fail("page_bounds::reserve", {"keys is ", keys, ", needs at most 2^31 - 1"});
        const index needed = ((std::max)(keys, index{0}) + page_ - 1) / page_;
        if (needed <= capacity_) return;
        const index capacity = (std::max)(needed, 2 * capacity_);
        const index heads = batch_ * kv_heads_, row = 2 * head_dim_;
        std::vector<T> rows(static_cast<std::size_t>(
            detail::checked_product("page_bounds::reserve", {heads, capacity, row})));
        for (index h = 0; h < heads; ++h)
            std::copy_n(rows_.data() + h * capacity_ * row, pages() * row, rows.data() + h * capacity * row);
        rows_.swap(rows);
        capacity_ = capacity;
    }

    index length() const { return length_; }
    index pages() const { return (length_ + page_ - 1) / page_; }
    index page() const { return page_; }
    index batch() const { return batch_; }
    index kv_heads() const { return kv_heads_; }
    index head_dim() const { return head_dim_; }

    // head_dim numbers each: no key of the page has a feature below, or above.
    const T* minima(index b, index kv_head, index page) const { return row(b, kv_head, page) + head_dim_; }
    const T* maxima(index b, index kv_head, index page) const { return row(b, kv_head, page); }

    // As kernels see them.
    detail::page_table<T> table() const {
        return {rows_.data(), largest_.data(), capacity_ * 2 * head_dim_, head_dim_, page_, pages()};
    }

private:
    static index checked(index extent, index least, const char* name) {
        if (!(extent >= least && extent <= longest_axis))
            detail::fail("page_bounds",
                         {name, " is ", extent, ", needs a number from ", least, " to 2^31 - 1"});
        return extent;
    }
    const T* row(index b, index kv_head, index page) const {
        return rows_.data() + ((b * kv_heads_ + kv_head) * capacity_ + page) * 2 * head_dim_;
    }

    template <class E>
    void take(const detail::strided<const E>& k, index count) {
        const auto& leaf = detail::leaves_on_target<E>();
        const auto& leaf_of_pages = detail::page_leaves_on_target<T>();
        for (index h = 0; h < batch_ * kv_heads_; ++h)
            for (index i = 0; i < count;) {
                const index key = length_ + i;
                const index n = (std::min)(page_ - key % page_, count - i);
                T* const to = rows_.data() + (h * capacity_ + key / page_) * 2 * head_dim_;
                if (key % page_ == 0) detail::clear_page(to, head_dim_);
                detail::widen_page(leaf, leaf_of_pages, k, h / kv_heads_, h % kv_heads_, i, n, head_dim_, to,
                                   largest_.data() + h * head_dim_, room_.data());
                i += n;
            }
        length_ += count;
    }

    index batch_;
    index kv_heads_;
    index head_dim_;
    index page_;
    index length_ = 0;
    index capacity_ = 0;      // in pages
    std::vector<T> rows_;     // (batch, kv_head, page of the capacity, maxima and minima)
    std::vector<T> largest_;  // (batch, kv_head, feature): the largest magnitude there ever was
    std::vector<T> room_;     // keys that are being converted
};

}  // namespace heed::inline HEED_ABI
