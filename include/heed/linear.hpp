// SPDX-License-Identifier: MIT
// heed/linear.hpp: linear attention
//
//     y = scale S^T phi(q)                    S = sum of phi(k) v^T over the keys that q may see
//     y = S^T phi(q) / (z^T phi(q) + 1e-10)   normalised, z = sum of phi(k); a scale would cancel: it counts
//                                             for nothing here
//
//     auto y = heed::linear_attention(q, k, v, heed::causal);     a new tensor of q's kind
//     heed::linear_attention_into(y, q, k, v, heed::causal);      into memory of the caller's
//
// Shapes: q (batch, head, query, d_k), k (batch, kv_head, key, d_k), v (batch, kv_head, key, d_v), y (batch,
// head, query, d_v). Query head h reads key/value head h / (heads / kv_heads). Causal calls have as many
// queries as keys; what came before them is a state.
//
// Options, in any order, each at most once, but causal as often as wanted:
//     causal                                    a query sees the keys up to its own position
//     elu1, relu, identity, softmax_features, taylor, favor, feature_map        heed/linear/features.hpp
//     normalised, unnormalised
//     decay(g), delta(beta)                     the update rule                 heed/linear/rules.hpp
//     retention, mamba2(g), delta_net(beta), …  known models                    heed/linear/models.hpp
//     state(t), initial_state(t), final_state(t)                                heed/state/options.hpp
//     scale(x), on(device), use(workspace)
//
// Without a decay and a delta: normalised, features elu1, scale 1. With either: unnormalised, features
// identity, scale 1 / sqrt(d_k). A decay, a delta or a state needs causal. A state is (batch, kv_head,
// features, d_v), or (batch, kv_head, features, d_v + 1) when normalised: z is its last column.
//
// Decays are logarithms. At most 0 they can only forget, and no exponent that is taken overflows; one above
// 0 is not refused and lets the state grow, which ends in infinity. Without any position y is +0. Finite
// numbers give finite results as long as the sums themselves are finite. A NaN at one position reaches the
// rows from there on, and no row before. Bits do not depend on threads, on the batch or on the position in
// it.
//
// Cost: (4 d_k d_v + 64 (d_k + d_v)) flops a position, d_k being the features after the map; memory of one
// chunk of 64 positions a thread. A call of up to 16 positions works on the state where it lies, from one
// tensor to the other or in place: one position reads it once and writes it once, in a few numbers a feature
// of scratch. Throws heed::error before anything is written; std::bad_alloc; what a callable throws.
#pragma once

#include <heed/kernel/linear/backward_call.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct linear_call : query_call {
    HEED_CALL("linear_attention", "y", "q, k and v", "", "heed/linear.hpp lists those it takes");
    static constexpr bool takes(option_kind kind) {
        return linear_kind(kind) || kind == option_kind::state || kind == option_kind::final_state;
    }
    template <class... Options>
    static constexpr void beside() {
        check_linear_options<Options...>();
    }
    template <class T, class Y, class... Options>
    static void run(std::string_view function, call_memory& used, const view<Y>& y, const view<const T>& q,
                    const view<const T>& k, const view<const T>& v, const Options&... options) {
        linear_setup<T, std::tuple<Options...>> setup(function, {options...}, q, k, v);
        setup.problem.y = stored_or_sum_of<T>(y);
        setup.bind_states(function, used, options...);
        used.validate(options...);
        with_resources(
            [&](const device_ref device, workspace& scratch) { run_linear(setup.problem, device, scratch); },
            options...);
    }
};

// The options of a forward, taken apart and checked.
template <class... Options>
auto forward_options(const Options&... options) {
    auto all = all_options(options...);
    std::apply([]<class... All>(const All&...) { linear_call::check_options<All...>(); }, all);
    return all;
}

}  // namespace detail

// Writes y, which may be q itself; y is sized by the caller. Its elements are q's type, or float where q
// holds half or bfloat16.
template <class Y, class Q, class K, class V, class... Options>
void linear_attention_into(Y&& y, const Q& q, const K& k, const V& v, const Options&... options) {
    detail::write_result(detail::linear_call{}, detail::tensors(std::forward<Y>(y)), detail::tensors(q, k, v),
                         options...);
}

// A new tensor of q's kind (heed/core/result.hpp).
template <class Q, class K, class V, class... Options>
auto linear_attention(const Q& q, const K& k, const V& v, const Options&... options) {
    return detail::make_result(detail::linear_call{}, detail::tensors(q, k, v), options...);
}

// dy holds q's type or, where that is half or bfloat16, float. Writes dq, dk and dv, of q's type, or all
// float there. Options are those of the forward (initial_state, not state), and
//     decay_gradient(t), delta_gradient(t)                                      heed/linear/rules.hpp
//     initial_state_gradient(t), final_state_gradient(t)                        heed/state/options.hpp
// Memory: a state for each 64 positions of a head that is worked on. Cost: 2.5 times the forward.
template <class DQ, class DK, class DV, class DY, class Q, class K, class V, class... Options>
void linear_attention_backward_into(DQ&& dq, DK&& dk, DV&& dv, const DY& dy, const Q& q, const K& k,
                                    const V& v, const Options&... options) {
    detail::write_result(detail::linear_backward_call{},
                         detail::tensors(std::forward<DQ>(dq), std::forward<DK>(dk), std::forward<DV>(dv)),
                         detail::tensors(q, k, v, dy), options...);
}

// The gradients of q, k and v where dy is that of the output.
template <class DY, class Q, class K, class V, class... Options>
auto linear_attention_backward(const DY& dy, const Q& q, const K& k, const V& v, const Options&... options) {
    return detail::make_result(detail::linear_backward_call{}, detail::tensors(q, k, v, dy), options...);
}

}  // namespace heed::inline HEED_ABI
