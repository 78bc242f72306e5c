// SPDX-License-Identifier: MIT
// heed/cache/kv_cache.hpp: the keys and values that a decoder has seen, in pages that grow and never move
//
//     heed::kv_cache<float> cache(batch, kv_heads, head_dim);
//     cache.append(k, v);                                  the new positions, as they come
//     auto y = heed::attention(q, cache, heed::causal);    the queries stand at the end
//
// Position j of a batch entry is its j-th position for ever. Entries have lengths of their own. With a window
// a query at position p sees no position up to p - window but [0, sinks), and pages that no query to come can
// see are given back. T is float, Eigen::half, Eigen::bfloat16, heed::int8 or heed::int4; the last two hold a
// scale for each position and head, and a number may be off by half of it (cache/quantise.hpp).
//
// Cost: append copies what it is given, whatever the length; a page takes memory for `page` positions of all
// heads of an entry. Where a row stands: cache/page_layout.hpp; what a stream holds: cache/save.hpp.
//
// Sources: paged attention (arXiv 2309.06180), attention sinks (arXiv 2309.17453), rotated caches (arXiv
// 2404.00456).
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <vector>

#include <heed/cache/append.hpp>
#include <heed/cache/save.hpp>
#include <heed/core/numbers.hpp>

namespace heed::inline HEED_ABI {

// A copy, like fork(), shares the pages. An object and its forks may be read by many threads at once; while
// one appends or truncates, no other thread may use it or any fork of it, nor make or drop one. What was
// moved from may be assigned to or dropped, no more.
template <class T>
class kv_cache {
    static_assert(cache_element<T>,
                  "heed::kv_cache<T>: T is float, Eigen::half, Eigen::bfloat16, heed::int8 or heed::int4");

public:
    using element_type = T;

    // No positions yet, and no pages. Throws heed::error for extents that are negative, 0 (but batch) or
    // longer than 2^31 - 1, for a page that is no multiple of 64, and for rows that cannot be rotated: their
    // length has to be a multiple of 8.
    kv_cache(index batch, index kv_heads, index head_dim, const kv_cache_config& config = {})
        : kv_cache("kv_cache", detail::cache_shape("kv_cache", batch, kv_heads, head_dim, config)) {}

    // Adds the positions of k and v, (batch, kv_head, position, feature) of float or of T, behind those there
    // are. With `lengths`, a contiguous range of whole numbers, entry b takes the first lengths[b] positions
    // alone, and the others are not looked at. A cache with shared values takes k only.
    //
    // Throws heed::error when something does not fit, and for numbers that are not finite where T is int8 or
    // int4; std::bad_alloc. Nothing has changed then. Allocates the pages it begins, a copy of a page that a
    // fork has too and that it adds to, and the first time room for a row.
    template <class K, class V>
    requires(!detail::integers<V>)
    void append(const K& k, const V& v) {
        if constexpr (check_elements<K, V>()) add(rows_of(k), rows_of(v), every{rows_of(k).positions()});
    }
    template <class K, class V, detail::integers L>
    void append(const K& k, const V& v, const L& lengths) {
        if constexpr (check_elements<K, V>()) add(rows_of(k), rows_of(v), checked(lengths, rows_of(k)));
    }
    template <class K>
    void append(const K& k) {
        if constexpr (check_elements<K>()) add(rows_of(k), none{}, every{rows_of(k).positions()});
    }
    template <class K, detail::integers L>
    void append(const K& k, const L& lengths) {
        if constexpr (check_elements<K>()) add(rows_of(k), none{}, checked(lengths, rows_of(k)));
    }

    // Forgets the positions from n on, of one entry or of all. Throws heed::error when n is negative or more
    // than the length, and when a query at position n would see what the window made the cache forget;
    // nothing has changed then. Allocates nothing, and gives back the pages behind n.
    void truncate(index b, index n) {
        check_entry("kv_cache::truncate", b);
        check_truncated(b, n);
        pages_.truncate(b, n);
    }
    void truncate(index n) {
        for (index b = 0; b < batch(); ++b) check_truncated(b, n);
        for (index b = 0; b < batch(); ++b) pages_.truncate(b, n);
    }

    // The same positions in pages that both share until one of them writes. Cost: the tables of pages.
    kv_cache fork() const { return *this; }

    // A cache of int4 made from the values of one of int8, as it is: same lengths, same config. Cost: each
    // number once; allocates all its pages.
    template <class From = T>
    kv_cache<int4> to_int4() const {
        constexpr bool fits = std::is_same_v<From, int8>;
        static_assert(fits, "heed::kv_cache<T>::to_int4: needs a cache of heed::int8");
        kv_cache<int4> twin("kv_cache::to_int4", shape_);
        if constexpr (fits) fill(twin);
        return twin;
    }

    // Throws heed::error when the stream takes no more.
    void save(std::ostream& stream) const {
        detail::cache_writer to("kv_cache::save", stream);
        detail::write_cache_head(to, detail::cache_element_code<T>, shape_, pages_);
        detail::write_cache_pages(to, shape_, layout_, areas(), pages_);
    }
    // Throws heed::error when the stream ends early, was changed, or holds something else or another T.
    static kv_cache load(std::istream& stream) {
        detail::cache_reader from("kv_cache::load", stream);
        const auto shape = detail::read_cache_shape(from, detail::cache_element_code<T>);
        const auto ends = detail::read_cache_ends(from, shape.batch);
        kv_cache cache("kv_cache::load", shape);
        detail::read_cache_pages(from, shape, cache.layout_, cache.areas(), ends, cache.pages_);
        return cache;
    }

    // Positions of entry b, and the first of them from which on all are held; [0, sinks) are held besides.
    index length(index b) const {
        check_entry("kv_cache::length", b);
        return pages_.length(b);
    }
    index first_kept(index b) const {
        check_entry("kv_cache::first_kept", b);
        return pages_.first_kept(b);
    }

    index batch() const { return shape_.batch; }
    index kv_heads() const { return shape_.kv_heads; }
    index head_dim() const { return shape_.head_dim; }
    index value_dim() const { return shape_.config.value_dim; }
    index page() const { return shape_.config.page; }
    index window() const { return shape_.config.window; }
    index sinks() const { return shape_.config.sinks; }
    bool rotated() const { return shape_.config.rotated; }
    bool shared() const { return shape_.config.shared; }

    // Of all pages held, those that forks hold too among them; and of the rows in them that are in use.
    index bytes() const {
        index pages = 0;
        for (index b = 0; b < batch(); ++b) pages += pages_.held_pages(b);
        return pages * kv_heads() * layout_.head_bytes;
    }
    index payload_bytes() const {
        index positions = 0;
        for (index b = 0; b < batch(); ++b) positions += pages_.held_positions(b);
        return positions * kv_heads() * areas().bytes();
    }

    // As kernels see them: where rows stand in a page; the pages of entry b, that of position j at j / page,
    // null where forgotten, good until the next append or truncate; the features of a row that are rotated
    // together, 0 where none are (detail::hadamard_rows). Rows from length(b) on hold anything.
    const page_layout& layout() const { return layout_; }
    const std::byte* const* page_table(index b) const {
        check_entry("kv_cache::page_table", b);
        return pages_.table(b);
    }
    index key_block() const { return shape_.key_block; }
    index value_block() const { return shape_.value_block; }

private:
    template <class U>
    friend class kv_cache;

    // The same count for all entries; and no values.
    struct every {
        index count;
        index operator[](index) const { return count; }
    };
    struct none {};

    kv_cache(std::string_view function, const detail::cache_shape& shape)
        : shape_(shape),
          layout_(shape.layout<T>(function)),
          pages_(shape.batch, {shape.config.page, shape.kv_heads * layout_.head_bytes, shape.config.window,
                               shape.config.sinks}) {}

    template <class... X>
    static constexpr bool check_elements() {
        constexpr bool fit = ((std::is_same_v<detail::element_of_argument<const X>, float> ||
                               std::is_same_v<detail::element_of_argument<const X>, T>) &&
                              ...);
        static_assert(fit, "heed::kv_cache<T>::append: k and v hold float or T itself; convert them");
        return fit;
    }
    template <class X>
    static auto rows_of(const X& x) {
        return view<const detail::element_of_argument<const X>>(as_view(x));
    }
    template <class L, class E>
    auto checked(const L& lengths, const view<const E>& k) const {
        const auto numbers = detail::span_of(lengths);
        if (numbers.size != batch())
            detail::fail("kv_cache::append",
                         {"lengths has ", numbers.size, " numbers, needs one for each of the ", batch(),
                          " batch entries"});
        for (index b = 0; b < batch(); ++b)
            if (!numbers.within(b, 0, k.positions()))
                detail::fail("kv_cache::append",
                             {"lengths[", b, "] is ", detail::text_piece(numbers.data[b]),
                              ", needs a length from 0 to the ", k.positions(), " positions of k"});
        return numbers;
    }

    template <class K, class Values, class Counts>
    void add(const view<const K>& k, const Values& v, const Counts& counts) {
        constexpr const char* function = "kv_cache::append";
        constexpr bool with_values = !std::is_same_v<Values, none>;
        detail::check_rows(function, "k", k.extents, detail::bytes_of(k), shape_, head_dim());
        if (with_values == shared())
            detail::fail(function,
                         {with_values ? "v is given, and this cache shares its values with its keys; needs k "
                                        "alone"
                                      : "needs v too, since this cache does not share its values with its "
                                        "keys (config.shared)"});
        if constexpr (with_values) {
            detail::check_rows(function, "v", v.extents, detail::bytes_of(v), shape_, value_dim());
            if (v.positions() != k.positions())
                detail::fail(function, {"v has ", v.positions(), " positions, k has ", k.positions()});
        }
        for (index b = 0; b < batch(); ++b)
            if (counts[b] > longest_axis - pages_.length(b))
                detail::fail(function, {"entry ", b, " has ", pages_.length(b), " positions and gets ",
                                        counts[b], " more, needs at most 2^31 - 1"});
        if constexpr (detail::has_scales<T>) {
            detail::check_finite(function, "k", k, counts, key_block());
            if constexpr (with_values) detail::check_finite(function, "v", v, counts, value_block());
        }
        // All that can fail comes first; without extend() nothing has happened.
        const struct taken_back {
            detail::cache_pages& pages;
            ~taken_back() { pages.trim(); }
        } unless_extended{pages_};
        scratch_.resize(static_cast<std::size_t>(shape_.scratch()));
        for (index b = 0; b < batch(); ++b) pages_.prepare(b, counts[b]);
        for (index b = 0; b < batch(); ++b) {
            detail::write_rows<T>(k, b, counts[b], pages_, layout_,
                                  {0, layout_.key_row, layout_.key_scale_at, key_block()}, scratch_.data());
            if constexpr (with_values)
                detail::write_rows<T>(
                    v, b, counts[b], pages_, layout_,
                    {layout_.value_at, layout_.value_row, layout_.value_scale_at, value_block()},
                    scratch_.data());
            pages_.extend(b, counts[b]);
        }
    }

    void fill(kv_cache<int4>& twin) const {
        twin.scratch_.resize(static_cast<std::size_t>(shape_.scratch()));
        for (index b = 0; b < batch(); ++b) {
            for (index i = 0; i < pages_.pages_of(length(b)); ++i) {
                const std::byte* const from = pages_.table(b)[i];
                std::byte* const to = twin.pages_.restore_page(b, from != nullptr);
                const index count = detail::least(page(), length(b) - i * page());
                for (index h = 0; from != nullptr && h < kv_heads(); ++h) {
                    const std::byte* const part = from + h * layout_.head_bytes;
                    std::byte* const twin_part = to + h * twin.layout_.head_bytes;
                    detail::narrow_rows(part, layout_.key_row, part + layout_.key_scale_at, head_dim(),
                                        twin_part, twin.layout_.key_row,
                                        twin_part + twin.layout_.key_scale_at, count, twin.scratch_.data());
                    if (!shared())
                        detail::narrow_rows(
                            part + layout_.value_at, layout_.value_row, part + layout_.value_scale_at,
                            value_dim(), twin_part + twin.layout_.value_at, twin.layout_.value_row,
                            twin_part + twin.layout_.value_scale_at, count, twin.scratch_.data());
                }
            }
            twin.pages_.restore(b, pages_.length(b), pages_.kept(b));
        }
    }

    void check_entry(std::string_view function, index b) const {
        if (!(b >= 0 && b < batch()))
            detail::fail(function, {"b is ", b, ", needs one of the ", batch(), " batch entries, from 0"});
    }
    void check_truncated(index b, index n) const {
        constexpr const char* function = "kv_cache::truncate";
        if (!(n >= 0 && n <= pages_.length(b)))
            detail::fail(function, {"n is ", n, ", needs a length from 0 to the ", pages_.length(b),
                                    " positions of entry ", b});
        if (!pages_.may_truncate(b, n))
            detail::fail(function, {"n is ", n, ", where a query sees positions that entry ", b,
                                    " has forgotten; needs at most ", pages_.safe_end(), " or at least ",
                                    pages_.safe_begin(b)});
    }
    detail::row_areas areas() const {
        return {layout_, detail::has_scales<T> ? index{1} : static_cast<index>(sizeof(storage_t<T>))};
    }

    detail::cache_shape shape_;
    page_layout layout_;
    detail::cache_pages pages_;
    std::vector<float> scratch_;  // a row that is being converted
};

}  // namespace heed::inline HEED_ABI
