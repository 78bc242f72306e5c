// SPDX-License-Identifier: MIT
// heed/kernel/exact/options.hpp: which options exact attention takes, and its masks as one
#pragma once

#include <heed/core/tensor.hpp>
#include <heed/kernel/exact/problem.hpp>
#include <heed/mask/algebra.hpp>
#include <heed/score/alibi.hpp>
#include <heed/score/bias.hpp>
#include <heed/score/custom.hpp>
#include <heed/score/dropout.hpp>
#include <heed/score/probability.hpp>
#include <heed/score/scale.hpp>
#include <heed/score/sinks.hpp>
#include <heed/score/softcap.hpp>

namespace heed::inline HEED_ABI::detail {

// What only the backward writes or reads.
constexpr bool gradient_kind(option_kind kind) {
    return kind == option_kind::bias_gradient || kind == option_kind::slopes_gradient ||
           kind == option_kind::sinks_gradient || kind == option_kind::logsumexp_gradient;
}

// A selector that knows which share of the mass it kept, and writes p.coverage.
template <class O>
concept guarantees_mass = requires { requires std::remove_cvref_t<O>::guarantees_mass; };
// A selector that some options would prove wrong says so itself.
template <class O, class... Options>
constexpr void check_beside() {
    if constexpr (requires { std::remove_cvref_t<O>::template beside<Options...>(); })
        std::remove_cvref_t<O>::template beside<Options...>();
}

// Its options stand first in the list of kinds (core/option.hpp).
constexpr bool exact_kind(option_kind kind) { return kind <= option_kind::use; }

// The sentences about options of exact attention that do not belong together.
template <class... Options>
constexpr void check_exact_options() {
    static_assert(count_of<option_kind::coverage, Options...> == 0 || (guarantees_mass<Options> || ...),
                  "heed::attention: coverage(t) is what a selector guarantees; needs certified(tau) in the "
                  "call");
    (check_beside<Options, Options...>(), ...);
}

// All masks of a call as one.
inline no_mask joined_masks() { return {}; }
template <class First, class... Rest>
auto joined_masks(const First& first, const Rest&... rest) {
    if constexpr (First::kind != option_kind::mask)
        return joined_masks(rest...);
    else if constexpr (count_of<option_kind::mask, Rest...> == 0)
        return first;
    else
        return and_mask(first, joined_masks(rest...));
}

}  // namespace heed::inline HEED_ABI::detail
