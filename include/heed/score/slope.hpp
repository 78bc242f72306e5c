// SPDX-License-Identifier: MIT
// heed/score/slope.hpp: the derivative of a caller's function: its own, or read off dual numbers
#pragma once

#include <heed/core/index.hpp>
#include <heed/core/option.hpp>
#include <heed/score/dual.hpp>

namespace heed::inline HEED_ABI::detail {

// The function in an option, or a step that is one itself.
template <class O>
HEED_INLINE const auto& function_of(const O& o) {
    if constexpr (requires { o.f; })
        return o.f;
    else
        return o;
}

// The derivative at s of an option's function, of a score or of a weight.
template <class T, class Option>
HEED_INLINE T derivative_at(const Option& option_, T s, at i) {
    if constexpr (!requires { option_.derivative(s, i); }) {
        constexpr bool generic = requires(dual<T> x, at where) { function_of(option_)(x, where); };
        static_assert(
            generic,
            "heed::attention_backward: this score(f) or probability(f) takes one type of number, so its "
            "derivative is not known; write f as [](auto s, heed::at i) { … }, or give the derivative: "
            "score(f, df)");
        if constexpr (generic)
            return slope_of<T>(function_of(option_)(dual<T>(s, T(1)), i));
        else
            return T(0);
    } else {
        return static_cast<T>(option_.derivative(s, i));
    }
}

}  // namespace heed::inline HEED_ABI::detail
