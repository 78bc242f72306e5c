// SPDX-License-Identifier: MIT
// heed/kernel/exact/derivative.hpp: how a score changes with the product of its query and key
//
//     softcap    s~ = x tanh(s / x)      ds~ / ds = 1 - tanh(s / x)^2
//
// A mask, a bias and slopes add or hide, which changes no derivative.
#pragma once

#include <heed/math.hpp>
#include <heed/score/concept.hpp>
#include <heed/score/softcap.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// Softcap: bound, or no_step.
template <class Softcap>
struct score_derivative {
    Softcap softcap;

    // Is it 1 for every score?
    static constexpr bool trivial = std::is_same_v<Softcap, no_step>;

    template <class T>
    struct slope_of {
        T cap;
        HEED_INLINE T operator()(T s, at) const {
            const T t = math::tanh(s / cap);
            return T(1) - t * t;
        }
    };
    template <class T>
    slope_of<T> slope() const {
        return {static_cast<T>(softcap.cap)};
    }
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
