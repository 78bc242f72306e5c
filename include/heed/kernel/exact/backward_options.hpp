// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_options.hpp: which options the backward of exact attention takes
#pragma once

#include <heed/kernel/exact/options.hpp>
#include <heed/score/gradients.hpp>

namespace heed::inline HEED_ABI::detail {

// The options that a backward has no use for are named one by one.
template <class... Options>
constexpr void check_backward_attention() {
    check_exact_options<Options...>();
    static_assert(count_of<option_kind::logsumexp, Options...> == 0,
                  "heed::attention_backward: logsumexp(t) is an option of the forward; the backward reads it "
                  "as the argument behind y");
    static_assert(count_of<option_kind::maximum_and_sum, Options...> == 0,
                  "heed::attention_backward: maximum_and_sum(m, l) is an option of the forward");
    static_assert(count_of<option_kind::weights, Options...> == 0,
                  "heed::attention_backward: weights(t) is an option of the forward");
    static_assert(count_of<option_kind::scores, Options...> == 0,
                  "heed::attention_backward: scores(t, stage) is an option of the forward");
    static_assert(count_of<option_kind::bias_gradient, Options...> <= count_of<option_kind::bias, Options...>,
                  "heed::attention_backward: bias_gradient(t) needs bias(t) beside it");
    static_assert(
        count_of<option_kind::slopes_gradient, Options...> <= count_of<option_kind::alibi, Options...>,
        "heed::attention_backward: slopes_gradient(t) needs alibi(slopes) beside it");
    static_assert(
        count_of<option_kind::sinks_gradient, Options...> <= count_of<option_kind::sinks, Options...>,
        "heed::attention_backward: sinks_gradient(t) needs sinks(logits) beside it");
}

}  // namespace heed::inline HEED_ABI::detail
