// SPDX-License-Identifier: MIT
// heed/kernel/linear/options.hpp: which options linear attention takes, and which of them together
#pragma once

#include <heed/core/call.hpp>
#include <heed/kernel/causal.hpp>
#include <heed/linear/models.hpp>

namespace heed::inline HEED_ABI::detail {

template <option_kind Kind, class Tuple>
inline constexpr bool tuple_has = false;
template <option_kind Kind, class... Options>
inline constexpr bool tuple_has<Kind, std::tuple<Options...>> = count_of<Kind, Options...> > 0;

constexpr bool linear_kind(option_kind kind) {
    return kind == option_kind::features || kind == option_kind::normalisation ||
           kind == option_kind::decay || kind == option_kind::delta || kind == option_kind::initial_state ||
           kind == option_kind::scale || kind == option_kind::mask || kind == option_kind::on ||
           kind == option_kind::use;
}

// The sentences about options that do not belong together, forward and backward.
template <class... Options>
constexpr void check_linear_options() {
    static_assert(
        count_of<option_kind::state, Options...> + count_of<option_kind::initial_state, Options...> <= 1,
        "heed::linear_attention: the initial state is given twice; state(t) reads and writes t");
    static_assert(
        count_of<option_kind::state, Options...> + count_of<option_kind::final_state, Options...> <= 1,
        "heed::linear_attention: the final state is given twice; state(t) reads and writes t");
    static_assert(!(is_other_mask<Options> || ...),
                  "heed::linear_attention: this mask is not heed::causal, and linear attention takes no "
                  "other");
    constexpr bool causal = count_of<option_kind::mask, Options...> > 0;
    static_assert(causal || (count_of<option_kind::decay, Options...> == 0 &&
                             count_of<option_kind::delta, Options...> == 0),
                  "heed::linear_attention: a decay or delta needs heed::causal: the state changes from "
                  "position to position");
    static_assert(causal || (count_of<option_kind::state, Options...> == 0 &&
                             count_of<option_kind::initial_state, Options...> == 0 &&
                             count_of<option_kind::final_state, Options...> == 0),
                  "heed::linear_attention: a state needs heed::causal");
}

// Every feature map but a callable without its derivative.
template <class O>
inline constexpr bool has_gradient = true;
template <class F>
inline constexpr bool has_gradient<callable_features<F, no_derivative>> = false;

}  // namespace heed::inline HEED_ABI::detail
