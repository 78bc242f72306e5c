// SPDX-License-Identifier: MIT
// heed/mask/custom.hpp: any predicate of (batch, head, query, key) as a mask
//
// The predicate is compiled into the kernel and called for whole rows of scores, so arithmetic on the
// coordinates vectorises; an early return or a branch does not (write `a & b`, not `if`).
//
// Cost: one call a score; no tile is skipped, because a predicate cannot be asked about a whole tile.
// Intersect it with a window or a causal mask to bound the work.
#pragma once

#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class F>
struct custom_mask : mask_base {
    F f;
    explicit custom_mask(const F& f_) : f(f_) {}
    static auto content() { return some_function(); }

    struct bound {
        const F* f;
        cover classify(const tile&) const { return cover::mixed; }
        struct call {
            const F* f;
            HEED_INLINE bool operator()(at i, lane_pos) const { return static_cast<bool>((*f)(i)); }
        };
        call lanes(const lane_block&) const { return {f}; }
    };
    auto bind(std::string_view, const problem_shape&) const { return bound{&f}; }
};

}  // namespace detail

// f(heed::at) -> bool; true = may look. Must be callable from any thread, for every score of the call.
template <class F>
auto mask_if(const F& f) {
    static_assert(
        requires(const F& g, at i) { static_cast<bool>(g(i)); },
        "heed::mask_if: needs a callable f(heed::at) that gives a bool");
    return detail::custom_mask<F>(f);
}

}  // namespace heed::inline HEED_ABI
