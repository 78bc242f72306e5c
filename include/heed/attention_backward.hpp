// SPDX-License-Identifier: MIT
// heed/attention_backward.hpp: the backward of exact softmax attention
//
//     heed::attention_into(y, q, k, v, heed::causal, heed::logsumexp(lse));
//     auto g = heed::attention_backward(dy, q, k, v, y, lse, heed::causal);        g.q, g.k, g.v
//     heed::attention_backward_into(dq, dk, dv, dy, q, k, v, y, lse, heed::causal);
//
// P = softmax(S), delta = rowsum(dO O), and
//     dV = P^T dO        dS = P (dO V^T - delta)        dQ = scale dS K        dK = scale dS^T Q
//
// Shapes: as in heed/attention.hpp, dy and y (batch, head, query, value feature), dq, dk, dv those of q, k,
// v. Where query heads share a key/value head, its gradients are sums over them. lse is what the forward
// wrote with logsumexp(t), (batch, head, query), float, or double where q is. y and dy hold q's type or
// float; dq, dk and dv q's type, or all three float.
//
// Options: those of the forward, the same as it was called with, but for logsumexp, weights and scores; a
// mask is a constant. Beside them
//     bias_gradient(t), slopes_gradient(t), sinks_gradient(t)             heed/score/gradients.hpp, written
//     logsumexp_gradient(t)                                               read: a gradient through lse
// A selector of keys has to choose what it chose in the forward: the backward asks it again, and takes the
// choice for constant. One that chooses from the scores (top_k, top_fraction, hard_attention,
// local_plus_top) works them out once more and keeps a bit for each, keys / 8 bytes a query and head, from
// the workspace; certified and psa are not taken, psa_backward is a call of its own.
//
// A query that saw nothing has a gradient of +0 and adds nothing; the gradients of a key that nobody sees
// are +0. What a mask hides enters nothing: infinities and NaN in hidden keys and values change no bit, nor
// do those in the queries and gradients of rows that do not see a key. The same bits for any number of
// threads, batch size and position in the batch.
//
// The weights are made of the scores and of lse. Where lse is too large to hold the sum of a row (above
// 2 sqrt(keys), keys that the row sees, in whole steps of 8), the backward works the sum out once more: the
// weights of a row add up to 1 within 4 eps sqrt(keys) for every finite score. Decided row by row.
//
// Cost: 10 queries keys features flops, less by what masks hide; with bias_gradient 4 more, and 4 more for
// rows of such scores. Memory: three numbers a row, and dq once more in float for the heads that are worked
// on. Source: FlashAttention-2 (arXiv 2307.08691), keys outside.
//
// Throws heed::error before anything is written when the arguments do not fit; std::bad_alloc when there is
// no memory for a result or the scratch; what a callable throws.
#pragma once

#include <heed/core/call.hpp>
#include <heed/kernel/exact/backward_call.hpp>
#include <heed/mask.hpp>
#include <heed/score.hpp>

namespace heed::inline HEED_ABI {

namespace detail {

template <class L>
struct attention_backward_call : query_backward_call {
    HEED_CALL("attention_backward", "dq, dk or dv", "q, k and v", "dy or y",
              "heed/attention_backward.hpp lists those it takes");
    static_assert(has_elements<L>,
                  "heed::attention_backward: behind y comes the log-sum-exp that the forward wrote with "
                  "logsumexp(t), a tensor (batch, head, query)");
    const L& lse;

    static constexpr bool takes(option_kind kind) { return exact_kind(kind); }
    template <class... Options>
    static constexpr void beside() {
        check_backward_attention<Options...>();
    }
    static auto shapes(std::string_view function, const auto& q, const auto& k, const auto& v, const auto& dy,
                       const auto& y) {
        const auto needed = check_gradient_shapes(function, q, k, v, dy);
        check_same_extents(function, "y", y, "the output", dy);
        return needed;
    }
    template <class DX, class T>
    void run(std::string_view function, call_memory& used, const view<DX>& dq, const view<DX>& dk,
             const view<DX>& dv, const view<const T>& q, const auto& k, const auto& v, const auto& dy,
             const auto& y, const auto&... options) const {
        const auto t = as_table(lse);
        using S = element_t<decltype(t)>;
        static_assert(
            std::is_same_v<S, sum_t<T>>,
            "heed::attention_backward: the log-sum-exp is float, or double where q, k and v are double");
        exact_attention_backward(function, used, dq, dk, dv, q, k, v, dy, y,
                                 table<const S>{t.data, t.extents, t.strides, t.rank}, options...);
    }
};

}  // namespace detail

// Writes dq, dk and dv.
template <class DQ, class DK, class DV, class DY, class Q, class K, class V, class Y, class L,
          class... Options>
void attention_backward_into(DQ&& dq, DK&& dk, DV&& dv, const DY& dy, const Q& q, const K& k, const V& v,
                             const Y& y, const L& lse, const Options&... options) {
    detail::write_result(detail::attention_backward_call<L>{{}, lse},
                         detail::tensors(std::forward<DQ>(dq), std::forward<DK>(dk), std::forward<DV>(dv)),
                         detail::tensors(q, k, v, dy, y), options...);
}

// New tensors of the kinds of q, k and v.
template <class DY, class Q, class K, class V, class Y, class L, class... Options>
auto attention_backward(const DY& dy, const Q& q, const K& k, const V& v, const Y& y, const L& lse,
                        const Options&... options) {
    return detail::make_result(detail::attention_backward_call<L>{{}, lse}, detail::tensors(q, k, v, dy, y),
                               options...);
}

}  // namespace heed::inline HEED_ABI
