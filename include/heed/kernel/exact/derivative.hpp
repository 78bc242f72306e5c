// SPDX-License-Identifier: MIT
// heed/kernel/exact/derivative.hpp: how a score changes with the product of its query and key
//
//     softcap    s~ = x tanh(s / x)      ds~ / ds = tanh'(s / x)
//     score(f)   dual numbers through f, or the caller's df
//
// one after the other. A mask, a bias and slopes add or hide, which changes no derivative.
#pragma once

#include <heed/score/custom.hpp>
#include <heed/score/dual.hpp>
#include <heed/score/softcap.hpp>

namespace heed::inline HEED_ABI::detail {

// The derivative of a score option's function at s.
template <class T, class F, class D>
HEED_INLINE T derivative_at(const score_option<F, D>& option_, T s, at i) {
    if constexpr (std::is_same_v<D, no_derivative>) {
        constexpr bool generic = requires(const F& f, dual<T> x, at where) { f(x, where); };
        static_assert(
            generic,
            "heed::attention_backward: this score(f) takes one type of number, so its derivative is "
            "not known; write f as [](auto s, heed::at i) { … }, or give the derivative: "
            "score(f, df)");
        if constexpr (generic)
            return slope_of<T>(option_.f(dual<T>(s, T(1)), i));
        else
            return T(0);
    } else {
        return static_cast<T>(option_.derivative(s, i));
    }
}

// Softcap: bound, or no_step. Score: the option, or absent.
template <class Softcap, class Score>
struct score_derivative {
    const Softcap& softcap;
    const Score& score;

    static constexpr bool caps = !std::is_same_v<Softcap, no_step>;
    static constexpr bool calls = !is_absent<Score>;
    // Is it 1 for every score?
    static constexpr bool trivial = !caps && !calls;

    template <class T>
    struct slope_function {
        T cap;
        const Score* score;
        HEED_INLINE T operator()(T s, at i) const {
            T slope = 1;
            if constexpr (caps) {
                slope = scalar::tanh_slope(s / cap);
                s = cap * math::tanh(s / cap);
            }
            if constexpr (calls) slope = slope * derivative_at<T>(*score, s, i);
            return slope;
        }
    };
    template <class T>
    slope_function<T> slope() const {
        if constexpr (caps)
            return {static_cast<T>(softcap.cap), &score};
        else
            return {T(1), &score};
    }
};

}  // namespace heed::inline HEED_ABI::detail
