// SPDX-License-Identifier: MIT
// heed/cache/attention.hpp: exact softmax attention over the keys and values of a cache
//
//     auto y = heed::attention(q, cache, heed::causal);
//     heed::attention_into(y, q, cache, heed::causal, heed::use(workspace));
//
// Shapes: q (batch, head, query, feature) of float, half or bfloat16, y (batch, head, query, value feature)
// of the same, or float. The queries of entry b stand at its end: query row i is at position length(b) -
// queries + i. A window of the cache hides what it hides without being named.
//
// Options: those of heed/attention.hpp without selectors (heed/sparse.hpp). Tables over keys, such as a bias,
// need entries of one length.
//
// Cost: as attention's; numbers are read as they are stored, page by page, and no more of them than the masks
// leave. Up to 64 queries are taken row by row, and a query's bits do not depend on which others share its
// call, nor on the pages.
//
// Throws heed::error before anything is written when the arguments do not fit, and when a query would see
// what the cache has forgotten; std::bad_alloc. Allocates the result, and scratch unless use(workspace) gives
// it.
#pragma once

#include <string_view>

#include <heed/attention.hpp>
#include <heed/cache/kv_cache.hpp>
#include <heed/cache/window_mask.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// The pages of a cache, given to exact attention as an option, and the batch entries that are run, -1 for
// all.
template <class T>
struct pages_option : option<option_kind::pages> {
    key_pages<T> of;
    index first_entry = 0;
    index entry_count = -1;
};

template <class C>
struct cache_attention_call : call_base {
    HEED_CALL("attention", "y", "q", "", "heed/cache/attention.hpp lists those it takes");
    static constexpr bool writes_sums = true;
    static constexpr const char* replaces = "q";
    static constexpr std::size_t last_axis_of(std::size_t) { return 1; }  // the cache's
    static constexpr bool takes(option_kind kind) {
        return exact_kind(kind) && kind != option_kind::select && kind != option_kind::coverage &&
               kind != option_kind::pages;
    }
    template <class... Options>
    static constexpr void beside() {
        attention_call::beside<Options...>();
    }

    explicit cache_attention_call(const kv_cache<C>& of) : cache(of) {}

    auto shapes(std::string_view function, const auto& q) const {
        check_extents(function, "q", q);
        const auto need = [&](const char* what, index has, index needs) {
            if (has != needs) fail(function, {"q has ", has, " ", what, ", the cache has ", needs});
        };
        need("batch entries", q.batch(), cache.batch());
        need("features", q.features(), cache.head_dim());
        if (q.heads() % cache.kv_heads() != 0)
            fail(function, {"q has ", q.heads(), " heads, needs a multiple of the ", cache.kv_heads(),
                            " key/value heads of the cache"});
        for (index b = 0; b < cache.batch(); ++b) {
            const index first = cache.length(b) - q.positions();
            if (!sees_kept(b, first))
                fail(function, {"q has ", q.positions(), " queries, the first of them at position ", first,
                                " of entry ", b,
                                ", where it sees positions that the window of the cache has "
                                "forgotten"});
        }
        return std::array<call_extents, 1>{
            call_extents{q.batch(), q.heads(), q.positions(), cache.value_dim()}};
    }

    template <class Y, class Q>
    void run(std::string_view function, call_memory& used, const view<Y>& y, const view<const Q>& q,
             const auto&... options) const {
        constexpr bool fits = !std::is_same_v<Q, double>;
        static_assert(fits, "heed::attention: q over a cache is of float, half or bfloat16; convert it");
        if constexpr (count_of<option_kind::scores, std::remove_cvref_t<decltype(options)>...> > 0)
            if (cache.window() > 0)
                fail(function, {"scores(t) over a cache with a window of ", cache.window(),
                                ": what it has forgotten has none; needs weights(t)"});
        workspace own;
        call_rows taken(workspace_of(own, options...));
        if constexpr (fits) {
            if (cache.key_block() == 0 && cache.value_block() == 0)
                return attend(function, used, taken, y, q, options...);
            // Queries are rotated as the keys are, and results are rotated back.
            const view<float> queries(taken.take<float>(static_cast<std::size_t>(q.size())), q.extents);
            const view<float> rotated(taken.take<float>(static_cast<std::size_t>(y.size())), y.extents);
            for_each_number(q.extents, [&](index b, index h, index i, index f) {
                queries(b, h, i, f) = static_cast<float>(q(b, h, i, f));
            });
            if (cache.key_block() > 0) rotate(queries, cache.key_block());
            attend(function, used, taken, rotated, view<const float>(queries), options...);
            if (cache.value_block() > 0) rotate(rotated, cache.value_block());
            for_each_number(y.extents, [&](index b, index h, index i, index f) {
                y(b, h, i, f) = static_cast<Y>(rotated(b, h, i, f));
            });
        }
    }

private:
    const kv_cache<C>& cache;

    bool sees_kept(index b, index first) const {
        return cache.window() == 0 || first - cache.window() + 1 >= cache.first_kept(b) ||
               cache.first_kept(b) <= cache.sinks();
    }
    static void for_each_number(const std::array<index, 4>& extents, const auto& f) {
        for (index b = 0; b < extents[0]; ++b)
            for (index h = 0; h < extents[1]; ++h)
                for (index i = 0; i < extents[2]; ++i)
                    for (index j = 0; j < extents[3]; ++j) f(b, h, i, j);
    }
    static void rotate(const view<float>& rows, index block) {
        for (index at = 0; at < rows.size(); at += rows.features())
            hadamard_rows(rows.data + at, rows.features(), block);
    }

    // All entries at once where they are of one length, or each by itself.
    void attend(std::string_view function, call_memory& used, call_rows& taken, const auto& y, const auto& q,
                const auto&... options) const {
        const auto tables = taken.take<const std::byte* const*>(static_cast<std::size_t>(cache.batch()));
        bool alike = true;
        for (index b = 0; b < cache.batch(); ++b) {
            tables[b] = cache.page_table(b);
            alike = alike && cache.length(b) == cache.length(0);
        }
        const page_layout& l = cache.layout();
        pages_option<float> pages{};
        pages.of = {tables,
                    l.page,
                    l.head_bytes,
                    {0, l.key_row, l.key_scale_at},
                    {l.value_at, l.value_row, l.value_scale_at},
                    has_scales<C>,
                    &stored_leaves_on_target<storage_t<C>, float>()};
        // Entries that are all of this length; the call's list of memory is as it was for each of them.
        const auto run = [&]<class Q>(const view<const Q>& queries, index keys, index first, index count) {
            call_memory listed = used;
            pages.first_entry = first;
            pages.entry_count = count;
            // Their extents are those of the cache; nobody reads them.
            const view<const Q> k(nullptr, {cache.batch(), cache.kv_heads(), keys, cache.head_dim()});
            const view<const Q> v(nullptr, {cache.batch(), cache.kv_heads(), keys, cache.value_dim()});
            if (cache.window() == 0)
                attention_call::run(function, listed, y, queries, k, v, pages, options...);
            else
                attention_call::run(function, listed, y, queries, k, v, pages,
                                    cache_window{cache.window(), cache.sinks()}, options...);
        };
        if (alike) return run(q, cache.batch() == 0 ? 0 : cache.length(0), 0, -1);
        // What an entry refuses is refused before another one is written.
        for (index b = 0; b < cache.batch(); ++b) run(q, cache.length(b), b, 0);
        for (index b = 0; b < cache.batch(); ++b) run(q, cache.length(b), b, 1);
    }
};

}  // namespace detail

// A new tensor of q's kind.
template <class Q, class T, class... Options>
auto attention(const Q& q, const kv_cache<T>& cache, const Options&... options) {
    return detail::make_result(detail::cache_attention_call<T>(cache), detail::tensors(q), options...);
}

// Writes y, which may be q itself; y is sized by the caller.
template <class Y, class Q, class T, class... Options>
void attention_into(Y&& y, const Q& q, const kv_cache<T>& cache, const Options&... options) {
    detail::write_result(detail::cache_attention_call<T>(cache), detail::tensors(std::forward<Y>(y)),
                         detail::tensors(q), options...);
}

}  // namespace heed::inline HEED_ABI
