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

template <class Q, class K, class V>
inline constexpr bool one_element = std::is_same_v<element_of_argument<Q>, element_of_argument<K>> &&
                                    std::is_same_v<element_of_argument<Q>, element_of_argument<V>>;

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

// The options of exact attention, each at most once; any number of masks.
template <class... Options>
constexpr void check_exact_options() {
    static_assert((is_option<Options> && ...),
                  "heed::attention: an argument after q, k, v is not an option; options are values such as "
                  "heed::causal or heed::scale(0.125f)");
    if constexpr ((is_option<Options> && ...)) {
        static_assert((exact_kind(Options::kind) && ...),
                      "heed::attention: does not take one of these options; heed/attention.hpp lists those "
                      "it takes");
        HEED_OPTIONS_ONCE("heed::attention");
        static_assert(
            count_of<option_kind::coverage, Options...> == 0 || (guarantees_mass<Options> || ...),
            "heed::attention: coverage(t) is what a selector guarantees; needs certified(tau) in the "
            "call");
        (check_beside<Options, Options...>(), ...);
    }
}

template <class... Options>
constexpr void check_forward_attention() {
    check_exact_options<Options...>();
    if constexpr ((is_option<Options> && ...))
        static_assert(!(gradient_kind(Options::kind) || ...),
                      "heed::attention: bias_gradient, logsumexp_gradient, slopes_gradient and "
                      "sinks_gradient are options of "
                      "heed::attention_backward");
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
