// SPDX-License-Identifier: MIT
// heed/score/custom.hpp: any function of a score and its place as a step of the kernel
//
//     score([](auto s, heed::at i) { return s - 0.1f * (i.query - i.key); })
//
// The function is compiled into the kernel and called for whole rows of scores, so arithmetic vectorises;
// libm calls, branches and early returns do not: heed::math has exp, tanh, sqrt, select and more. It runs
// after the scale and the softcap, before bias and mask. A result of -inf hides the key.
//
// The function must be callable from any thread. It may also be asked about scores that a mask hides,
// whose results are dropped.
#pragma once

#include <heed/score/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class F>
struct bound_score {
    const F* f;
    template <class T>
    struct call {
        static_assert(
            requires(const F& g, T s, at i) {
                static_cast<T>(g(s, i));
                requires !std::is_same_v<std::remove_cvref_t<decltype(g(s, i))>, bool>;
            },
            "heed::score: needs a callable f(score, heed::at) that gives the new score; write "
            "[](auto s, heed::at i) { return ...; }, and heed::mask_if(f) for one that gives a bool");
        const F* f;
        HEED_INLINE T operator()(T s, at i, lane_pos) const { return static_cast<T>((*f)(s, i)); }
    };
    template <class T>
    call<T> lanes(const lane_block&) const {
        return {f};
    }
};

template <class F, class D = no_derivative>
struct score_option : option<option_kind::score> {
    F f;
    D derivative;
    explicit score_option(const F& f_, const D& d = D()) : f(f_), derivative(d) {}
    static auto content() { return some_function(); }
    bound_score<F> bind(std::string_view, const problem_shape&) const { return {&f}; }
};

}  // namespace detail

// f(score, heed::at) -> score; the score is a float, or a double where the tensors are.
template <class F>
auto score(const F& f) {
    return detail::score_option<F>(f);
}

// The same with its derivative by the score, df(score, heed::at), for the backward pass.
template <class F, class D>
auto score(const F& f, const D& df) {
    return detail::score_option<F, D>(f, df);
}

}  // namespace heed::inline HEED_ABI
