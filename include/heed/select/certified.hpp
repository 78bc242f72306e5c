// SPDX-License-Identifier: MIT
// heed/select/certified.hpp: as few pages of keys as keep a share of the mass that is proven
//
//     visit pages in the order of ub_p = sum_d max(q_d min_pd, q_d max_pd),   l = sum over visited e^(s - m)
//     stop when c = l / (l + R) >= tau,   R = sum over the others |p| e^(ub_p - m)
//
// Then the visited keys hold at least the share c >= tau of the row's mass, and
// |y - y_exact| <= 2 (1 - c) max |v| for every feature, on any input; the log-sum-exp is at most -ln c too
// small. With tau = 1 every key that matters to the last bit is visited. What is skipped depends on the data:
// nothing on noise, whose bounds are far above its scores, nearly all where few keys stand out.
//
// A group of query heads that shares keys stops together, at its slowest row. Masks, softcap (it is
// monotone, so it bounds as well), sinks, dropout, weights (0 for what was skipped) and log-sum-exp go with
// it; score(f), alibi and bias do not, since they change scores behind the bounds.
//
// Every query is walked by itself: meant for decoding. Cost: scoring two keys and an exponential for each
// page, sorting the pages, then the keys visited. Bounds made in the call (pages of 32 keys) read all keys
// once more and keep a sixteenth of their memory: carry them in a page_bounds.
// Source: the stopping rule of Progressive Sparse Attention (arXiv 2503.00392), made a guarantee by the
// bounds of Quest (arXiv 2406.10774).
#pragma once

#include <heed/kernel/pages/certified.hpp>
#include <heed/score/outputs.hpp>
#include <heed/select/pages.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

inline constexpr index certified_page = 32;

template <class Pages>
struct certified_option : selector_base {
    static constexpr bool guarantees_mass = true;
    Pages pages;
    double tau;
    certified_option(const Pages& p, double t) : pages(p), tau(t) {}
    auto content() const { return std::tuple(pages.page(), tau); }

    template <class... Options>
    static constexpr void beside() {
        static_assert(
            count_of<option_kind::score, Options...> + count_of<option_kind::alibi, Options...> +
                    count_of<option_kind::bias, Options...> ==
                0,
            "heed::certified: score, alibi and bias change the scores behind the bounds of pages, and "
            "nothing would be certain; use quest, or leave them away");
        static_assert(count_of<option_kind::scores, Options...> == 0,
                      "heed::certified: keys that are not visited have no scores to write; weights(t) are 0 "
                      "there");
    }
    template <class E>
    void validate(std::string_view function, const exact_inputs<E>& p) const {
        if (!(tau > 0 && tau <= 1))
            fail(function, {"certified got ", tau, ", needs a share of the mass above 0 and at most 1"});
        pages.validate(function, "certified", p);
    }
    template <class E, class M>
    void run(const exact_problem<E>& p, const M& mask, device_ref device, workspace& memory) const {
        using T = typename exact_problem<E>::T;
        with_table<T>(pages, [&](const page_table<T>* table) {
            run_certified(p, table, pages.page(), tau, mask, device, memory);
        });
    }
};

template <class T>
struct coverage_option : option<option_kind::coverage> {
    table<T> to;
    explicit coverage_option(const table<T>& t) : to(t) {}
};

}  // namespace detail

// 0 < tau <= 1: the share of every row's mass that is kept at least. Throws heed::error for another tau.
inline auto certified(double tau) {
    return detail::certified_option<detail::own_pages>({detail::certified_page}, tau);
}
// With carried bounds, which must hold exactly the keys of the call. Keeps a reference to them.
template <class B>
auto certified(double tau, B&& bounds) {
    static_assert(
        detail::is_page_bounds<std::remove_cvref_t<B>>,
        "heed::certified: needs a share of the mass, and a heed::page_bounds where bounds are carried: "
        "certified(0.99), certified(0.99, bounds)");
    static_assert(std::is_lvalue_reference_v<B>,
                  "heed::certified: the page bounds are a temporary and would be gone; give them a name");
    const detail::carried_pages table(bounds);
    return detail::certified_option<std::remove_const_t<decltype(table)>>(table, tau);
}

// Beside certified(tau): also writes the share of the mass that each row is sure to have kept, (batch, head,
// query), float (double for double), rounded down; at least tau. 1 where everything was visited, or nothing
// is visible.
template <class X>
auto coverage(X&& to) {
    return detail::coverage_option(detail::output_table(std::forward<X>(to)));
}

}  // namespace heed::inline HEED_ABI
