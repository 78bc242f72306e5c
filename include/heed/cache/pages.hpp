// SPDX-License-Identifier: MIT
// heed/cache/pages.hpp: the pages of a cache, whatever they hold: who has which, and which are forgotten
//
// Position j of an entry stands in its page j / page for ever. Pages are counted references: a copy of the
// table shares them, and whoever writes to one that others have takes a copy of it first. With a window,
// pages that no query at the end or behind it can see are given back, and their places in the table are null:
//
//     page i is forgotten when  sinks <= i * page  and  (i + 1) * page <= length - window + 1
//
// with the length before an append, which is when that happens: its own queries stand from there on. An entry
// that gets nothing forgets nothing.
//
// Cost: a table of 24 bytes a page, which doubles when it grows; a page takes two allocations.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

class cache_pages {
public:
    struct rules {
        index page;  // positions
        index page_bytes;
        index window;  // 0: nothing is forgotten
        index sinks;
    };

    cache_pages(index batch, const rules& r) : entries_(static_cast<std::size_t>(batch)), rules_(r) {}

    index length(index b) const { return at(b).length; }
    // The page behind the forgotten ones, 0 where there are none.
    index kept(index b) const { return at(b).kept; }
    index first_kept(index b) const {
        const entry& e = at(b);
        return e.kept > 0 ? e.kept * rules_.page : least(rules_.sinks, e.length);
    }
    index pages_of(index length) const { return length / rules_.page + (length % rules_.page != 0 ? 1 : 0); }
    index forgotten_pages(index b) const { return at(b).kept > 0 ? at(b).kept - sink_pages() : 0; }
    index held_pages(index b) const { return pages_of(at(b).length) - forgotten_pages(b); }
    index held_positions(index b) const { return at(b).length - forgotten_pages(b) * rules_.page; }
    const std::byte* const* table(index b) const { return at(b).table.data(); }

    // Makes room for `count` positions behind those there are, all of it this table's own. Throws
    // std::bad_alloc; then, as long as extend() was not called, trim() takes it back.
    void prepare(index b, index count) {
        entry& e = at(b);
        if (count == 0) return;
        if (e.length % rules_.page != 0) own(e, static_cast<std::size_t>(e.length / rules_.page));
        const auto needed = static_cast<std::size_t>(pages_of(e.length + count));
        while (e.pages.size() < needed) push(e, new_page());
    }
    // A page that this table alone has.
    std::byte* page(index b, index i) { return at(b).pages[static_cast<std::size_t>(i)].get(); }

    // So many positions were written; before they count, forgets what nobody can see any more.
    void extend(index b, index count) noexcept {
        entry& e = at(b);
        if (count == 0) return;
        if (rules_.window > 0) {
            const index end = (e.length - rules_.window + 1) / rules_.page;
            for (index i = greatest(e.kept, sink_pages()); i < end; ++i) {
                e.pages[static_cast<std::size_t>(i)].reset();
                e.table[static_cast<std::size_t>(i)] = nullptr;
                e.kept = i + 1;
            }
        }
        e.length += count;
    }

    // Is all there that a query at position n can see? It is up to safe_end() and from safe_begin(b) on.
    bool may_truncate(index b, index n) const {
        return at(b).kept == 0 || n <= safe_end() || n >= safe_begin(b);
    }
    index safe_end() const { return sink_pages() * rules_.page; }
    index safe_begin(index b) const { return at(b).kept * rules_.page + rules_.window - 1; }
    void truncate(index b, index n) noexcept {
        entry& e = at(b);
        e.length = n;
        if (n <= safe_end()) e.kept = 0;
        trim(e);
    }
    // Gives back the pages behind the ends.
    void trim() noexcept {
        for (entry& e : entries_) trim(e);
    }

    // An entry is made anew page by page: null, or one to be filled.
    std::byte* restore_page(index b, bool held) {
        push(at(b), held ? new_page() : page_pointer());
        return at(b).pages.back().get();
    }
    void restore(index b, index length, index kept) {
        at(b).length = length;
        at(b).kept = kept;
    }
    // Can it be, and has it a page?
    bool is_state(index length, index kept) const {
        return kept == 0 || (rules_.window > 0 && kept > sink_pages() && kept <= pages_of(length) &&
                             kept * rules_.page <= length - rules_.window + 1);
    }
    bool is_held(index i, index kept) const { return i >= kept || i < sink_pages(); }

private:
    using page_pointer = std::shared_ptr<std::byte>;
    struct entry {
        std::vector<page_pointer> pages;
        std::vector<const std::byte*> table;  // the same, as kernels read them
        index length = 0;
        index kept = 0;
    };
    static constexpr std::align_val_t alignment{64};

    entry& at(index b) { return entries_[static_cast<std::size_t>(b)]; }
    const entry& at(index b) const { return entries_[static_cast<std::size_t>(b)]; }
    index sink_pages() const { return pages_of(rules_.sinks); }

    page_pointer new_page() const {
        void* const memory = ::operator new(static_cast<std::size_t>(rules_.page_bytes), alignment);
        return page_pointer(static_cast<std::byte*>(memory),
                            [](std::byte* p) { ::operator delete(p, alignment); });
    }
    static void push(entry& e, page_pointer page) {
        e.table.push_back(page.get());
        e.pages.push_back(std::move(page));
    }
    void own(entry& e, std::size_t i) const {
        if (e.pages[i].use_count() == 1) return;
        page_pointer copy = new_page();
        std::memcpy(copy.get(), e.pages[i].get(), static_cast<std::size_t>(rules_.page_bytes));
        e.table[i] = copy.get();
        e.pages[i] = std::move(copy);
    }
    void trim(entry& e) noexcept {
        const auto needed = static_cast<std::size_t>(pages_of(e.length));
        if (e.table.size() > needed) e.table.resize(needed);
        if (e.pages.size() > needed) e.pages.resize(needed);
    }

    std::vector<entry> entries_;
    rules rules_;
};

}  // namespace heed::inline HEED_ABI::detail
