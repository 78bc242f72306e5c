// SPDX-License-Identifier: MIT
// heed/select/quest.hpp: only the pages of keys that may hold the largest scores
//
//     ub_p = sum_d max(q_d min_pd, q_d max_pd) >= q k_j for every key j of page p     (q with the scale)
//     keep the budget / page pages with the largest ub_p, at least 3; of equal ones the first
//
// The exact kernels then run on the keys of those pages that the masks of the call let through. A group of
// query heads that shares keys shares its pages, so that a key is read once for all: a page counts as much
// as its largest bound for one of the heads. Each query has its own. Pages that the masks hide from a query
// take none of its budget; a budget of all its keys gives the bits of the call without quest.
//
// The estimate knows nothing of softcap, score(f), alibi and bias: they change the weights of what was
// kept, not what is kept. Bounds that are made in the call leave out keys that a mask hides from every
// query; a key that another query of the call sees counts.
//
// Cost: scoring two keys for each page, then budget keys a query. Making the bounds in the call reads all
// keys and keeps 2 / page of their memory: for one query that is half the work there is, so carry them in a
// page_bounds. Allocates the bounds and a bit for each query and page unless use(workspace) holds them.
// Source: Quest (arXiv 2406.10774).
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/kernel/pages/quest.hpp>
#include <heed/select/pages.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class Pages>
struct quest_option : selector_base {
    Pages pages;
    index budget;
    quest_option(const Pages& p, index b) : pages(p), budget(b) {}
    auto content() const { return std::tuple(pages.page(), budget); }

    template <class E>
    void validate(std::string_view function, const exact_inputs<E>& p) const {
        if (budget < 1) fail(function, {"quest got a budget of ", budget, " keys, needs at least 1"});
        pages.validate(function, "quest", p);
    }
    template <class E, class M>
    bound_blocks choose(const exact_inputs<E>& p, const M& mask, device_ref device, workspace& memory) const {
        using T = typename exact_inputs<E>::T;
        return with_table<T>(pages, [&](const page_table<T>* table) {
            return choose_pages(p, table, pages.page(), budget, mask, device, memory);
        });
    }
};

}  // namespace detail

// quest(page, budget): pages of `page` keys, bounded inside the call; quest(bounds, budget): carried bounds,
// which must hold exactly the keys of the call. budget counts keys. Keeps a reference to the bounds.
// Throws heed::error when page or budget is below 1 or the bounds are not those of k.
template <class P, class N>
auto quest(P&& pages, const N& budget) {
    constexpr bool carried = detail::is_page_bounds<std::remove_cvref_t<P>>;
    static_assert(carried || detail::whole_number<P>,
                  "heed::quest: needs keys of a page or a heed::page_bounds, then a budget of keys: "
                  "quest(16, 1024), quest(bounds, 1024)");
    static_assert(detail::whole_number<N>, "heed::quest: the budget is a whole number of keys");
    static_assert(!carried || std::is_lvalue_reference_v<P>,
                  "heed::quest: the page bounds are a temporary and would be gone; give them a name");
    if constexpr (carried) {
        const detail::carried_pages table(pages);
        return detail::quest_option<std::remove_const_t<decltype(table)>>(table, detail::index_of(budget));
    } else {
        return detail::quest_option<detail::own_pages>({detail::index_of(pages)}, detail::index_of(budget));
    }
}

}  // namespace heed::inline HEED_ABI
