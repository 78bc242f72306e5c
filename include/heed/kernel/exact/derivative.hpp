// SPDX-License-Identifier: MIT
// heed/kernel/exact/derivative.hpp: how a score changes with the product of its query and key
//
//     softcap    s~ = x tanh(s / x)      ds~ / ds = tanh'(s / x)
//     score(f)   dual numbers through f, or the caller's df
//
// one after the other. A mask, a bias and slopes add or hide, which changes no derivative.
#pragma once

#include <heed/score/custom.hpp>
#include <heed/score/slope.hpp>
#include <heed/score/softcap.hpp>

namespace heed::inline HEED_ABI::detail {

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
