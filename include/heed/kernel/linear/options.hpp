// SPDX-License-Identifier: MIT
// heed/kernel/linear/options.hpp: which options linear attention takes, and which of them together
#pragma once

#include <heed/core/tensor.hpp>
#include <heed/linear/models.hpp>

namespace heed::inline HEED_ABI::detail {

template <class O>
concept linear_option = is_option<O> || is_bundle<std::remove_cvref_t<O>>;

// The options of a call, bundles taken apart, in a tuple of its own.
template <class... Options>
auto all_options(const Options&... options) {
    return std::tuple_cat(taken_apart(options)...);
}

template <option_kind Kind, class Tuple>
inline constexpr bool tuple_has = false;
template <option_kind Kind, class... Options>
inline constexpr bool tuple_has<Kind, std::tuple<Options...>> = count_of<Kind, Options...> > 0;

// Tensors of one element and nothing but options behind them.
template <class Q, class K, class V, class... Options>
constexpr bool linear_call() {
    static_assert(std::is_same_v<element_of_argument<const Q>, element_of_argument<const K>> &&
                      std::is_same_v<element_of_argument<const Q>, element_of_argument<const V>>,
                  "heed::linear_attention: q, k and v hold different element types; convert them to one");
    static_assert((linear_option<Options> && ...),
                  "heed::linear_attention: an argument after q, k, v is not an option; options are values "
                  "such as heed::causal or heed::decay(g)");
    return (linear_option<Options> && ...);
}

constexpr bool linear_kind(option_kind kind) {
    return kind == option_kind::features || kind == option_kind::normalisation ||
           kind == option_kind::decay || kind == option_kind::delta || kind == option_kind::initial_state ||
           kind == option_kind::scale || kind == option_kind::mask || kind == option_kind::on ||
           kind == option_kind::use;
}

// What forward and backward have in common, of the options taken apart.
template <class... Options>
constexpr void check_linear_options() {
    HEED_OPTIONS_ONCE("heed::linear_attention");
    static_assert(
        count_of<option_kind::state, Options...> + count_of<option_kind::initial_state, Options...> <= 1,
        "heed::linear_attention: the initial state is given twice; state(t) reads and writes t");
    static_assert(
        count_of<option_kind::state, Options...> + count_of<option_kind::final_state, Options...> <= 1,
        "heed::linear_attention: the final state is given twice; state(t) reads and writes t");
    static_assert(count_of<option_kind::mask, Options...> <= 1,
                  "heed::linear_attention: causal is given twice, or another mask; linear attention takes "
                  "heed::causal alone");
    static_assert(((Options::kind != option_kind::mask || std::is_same_v<Options, causal_option>) && ...),
                  "heed::linear_attention: this mask is not heed::causal, and linear attention takes no "
                  "other");
    static_assert(
        count_of<option_kind::mask, Options...> == 1 ||
            (count_of<option_kind::decay, Options...> == 0 && count_of<option_kind::delta, Options...> == 0),
        "heed::linear_attention: a decay or delta needs heed::causal: the state changes from "
        "position to position");
    static_assert(count_of<option_kind::mask, Options...> == 1 ||
                      (count_of<option_kind::state, Options...> == 0 &&
                       count_of<option_kind::initial_state, Options...> == 0 &&
                       count_of<option_kind::final_state, Options...> == 0),
                  "heed::linear_attention: a state needs heed::causal");
}

// Every feature map but a callable without its derivative.
template <class O>
inline constexpr bool has_gradient = true;
template <class F>
inline constexpr bool has_gradient<callable_features<F, no_derivative>> = false;

template <class... Options>
constexpr void check_forward_options(const std::tuple<Options...>&) {
    static_assert(((linear_kind(Options::kind) || Options::kind == option_kind::state ||
                    Options::kind == option_kind::final_state) &&
                   ...),
                  "heed::linear_attention: an option is one that linear attention does not take; "
                  "heed/linear.hpp lists those it takes");
    check_linear_options<Options...>();
}
template <class... Options>
auto forward_options(const Options&... options) {
    auto all = all_options(options...);
    check_forward_options(all);
    return all;
}

template <class... Options>
constexpr void check_backward_options(const std::tuple<Options...>&) {
    static_assert(
        ((linear_kind(Options::kind) || Options::kind == option_kind::initial_state_gradient ||
          Options::kind == option_kind::final_state_gradient ||
          Options::kind == option_kind::decay_gradient || Options::kind == option_kind::delta_gradient) &&
         ...),
        "heed::linear_attention_backward: an option is one that the backward does not take; "
        "heed/linear.hpp lists those it takes (initial_state, not state)");
    static_assert(
        count_of<option_kind::decay_gradient, Options...> <= count_of<option_kind::decay, Options...>,
        "heed::linear_attention_backward: decay_gradient needs a decay");
    static_assert(
        count_of<option_kind::delta_gradient, Options...> <= count_of<option_kind::delta, Options...>,
        "heed::linear_attention_backward: delta_gradient needs a delta");
    static_assert(count_of<option_kind::mask, Options...> == 1 ||
                      (count_of<option_kind::initial_state_gradient, Options...> == 0 &&
                       count_of<option_kind::final_state_gradient, Options...> == 0),
                  "heed::linear_attention_backward: the gradient of a state needs heed::causal");
    static_assert((has_gradient<Options> && ...),
                  "heed::linear_attention_backward: this feature_map has no derivative; write "
                  "feature_map(f, df)");
    check_linear_options<Options...>();
}
template <class... Options>
auto backward_options(const Options&... options) {
    auto all = all_options(options...);
    check_backward_options(all);
    return all;
}

}  // namespace heed::inline HEED_ABI::detail
