// SPDX-License-Identifier: MIT
// heed/select/pages.hpp: what the selectors of pages share: bounds made in the call, or carried
#pragma once

#include <heed/kernel/pages/estimate.hpp>
#include <heed/select/concept.hpp>
#include <heed/select/page_bounds.hpp>

namespace heed::inline HEED_ABI::detail {

template <class B>
inline constexpr bool is_page_bounds = false;
template <class T>
inline constexpr bool is_page_bounds<page_bounds<T>> = true;

// Pages of this many keys, bounded inside the call.
struct own_pages {
    index page_;

    index page() const { return page_; }
    template <class E>
    void validate(std::string_view function, std::string_view selector, const exact_inputs<E>&) const {
        if (!(page_ >= 1 && page_ <= longest_axis))
            fail(function,
                 {selector, " got pages of ", page_, " keys, needs at least 1 and at most 2^31 - 1"});
    }
};

// The bounds of an object that the caller keeps up with the keys.
template <class T>
struct carried_pages {
    const page_bounds<T>* bounds;
    explicit carried_pages(const page_bounds<T>& b) : bounds(&b) {}

    index page() const { return bounds->page(); }
    template <class E>
    void validate(std::string_view function, std::string_view selector, const exact_inputs<E>& p) const {
        static_assert(
            std::is_same_v<typename exact_inputs<E>::T, T>,
            "heed: the page bounds are not of the type that sums of these keys are kept in; "
            "page_bounds<float> goes with float, half and bfloat16, page_bounds<double> with double");
        const page_bounds<T>& b = *bounds;
        if (b.batch() != p.batch)
            fail(function,
                 {"the bounds of ", selector, " have ", b.batch(), " batch entries, k has ", p.batch});
        if (b.kv_heads() != p.kv_heads)
            fail(function,
                 {"the bounds of ", selector, " have ", b.kv_heads(), " heads, k has ", p.kv_heads});
        if (b.head_dim() != p.features)
            fail(function,
                 {"the bounds of ", selector, " have ", b.head_dim(), " features, k has ", p.features});
        if (b.length() != p.keys)
            fail(function, {"the bounds of ", selector, " hold ", b.length(), " keys, k has ", p.keys,
                            "; append the keys that came"});
    }
};

// f(table or nullptr): nullptr where the call makes its own bounds.
template <class T, class F>
auto with_table(const own_pages&, const F& f) {
    return f(static_cast<const page_table<T>*>(nullptr));
}
template <class T, class B, class F>
auto with_table(const carried_pages<B>& pages, const F& f) {
    static_assert(std::is_same_v<B, T>,
                  "heed: the page bounds are not of the type that sums of these keys are kept in; "
                  "page_bounds<float> goes with float, half and bfloat16, page_bounds<double> with double");
    if constexpr (std::is_same_v<B, T>) {
        const page_table<T> table = pages.bounds->table();
        return f(&table);
    } else {
        return f(static_cast<const page_table<T>*>(nullptr));
    }
}

}  // namespace heed::inline HEED_ABI::detail
