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

#include <heed/core/tensor.hpp>
#include <heed/kernel/exact/backward_call.hpp>
#include <heed/mask.hpp>
#include <heed/score.hpp>

namespace heed::inline HEED_ABI {

// The gradients of q, k and v, each of its tensor's kind.
template <class Q, class K, class V>
struct attention_gradients {
    Q q;
    K k;
    V v;
};

namespace detail {

// Tensors of one element, nothing but options that a backward takes behind them.
template <class DY, class Q, class K, class V, class Y, class L, class... Options>
constexpr bool backward_arguments() {
    using T = element_of_argument<const Q>;
    using From = element_of_argument<const DY>;
    using Answer = element_of_argument<const Y>;
    static_assert(one_element<const Q, const K, const V>,
                  "heed: q, k and v hold different element types; convert them to one");
    static_assert(std::is_same_v<From, T> || std::is_same_v<From, sum_t<T>>,
                  "heed::attention_backward: dy holds another element type than q; needs q's, or float for a "
                  "q of half or bfloat16");
    static_assert(std::is_same_v<Answer, T> || std::is_same_v<Answer, sum_t<T>>,
                  "heed::attention_backward: y holds another element type than q; needs q's, or float for a "
                  "q of half or bfloat16");
    static_assert(has_elements<L>,
                  "heed::attention_backward: behind y comes the log-sum-exp that the forward wrote with "
                  "logsumexp(t), a tensor (batch, head, query)");
    check_exact_options<Options...>();
    if constexpr ((is_option<Options> && ...)) check_backward_attention<Options...>();
    return (is_option<Options> && ...);
}

template <class T, class L>
auto read_rows(const L& lse) {
    const auto t = as_table(lse);
    using S = element_t<decltype(t)>;
    static_assert(
        std::is_same_v<S, sum_t<T>>,
        "heed::attention_backward: the log-sum-exp is float, or double where q, k and v are double");
    return table<const S>{t.data, t.extents, t.strides, t.rank};
}

}  // namespace detail

template <class DQ, class DK, class DV, class DY, class Q, class K, class V, class Y, class L,
          class... Options>
void attention_backward_into(DQ&& dq, DK&& dk, DV&& dv, const DY& dy, const Q& q, const K& k, const V& v,
                             const Y& y, const L& lse, const Options&... options) {
    if constexpr (detail::backward_arguments<DY, Q, K, V, Y, L, Options...>()) {
        using T = detail::element_of_argument<const Q>;
        const auto to = as_view(dq);
        using X = detail::stored_t<decltype(to)>;
        static_assert(
            detail::table_may_be_kept<DQ> && detail::table_may_be_kept<DK> && detail::table_may_be_kept<DV>,
            "heed::attention_backward_into: dq, dk or dv is a temporary, and the result would be gone; give "
            "it a name");
        static_assert(
            std::is_same_v<X, T> || std::is_same_v<X, sum_t<T>>,
            "heed::attention_backward_into: dq is const or holds another element type than q; needs "
            "q's, or float for a q of half or bfloat16");
        static_assert(
            std::is_same_v<decltype(as_view(dk).data), X*> && std::is_same_v<decltype(as_view(dv).data), X*>,
            "heed::attention_backward_into: dk or dv is const or holds another element type than "
            "dq");
        const view<const detail::element_of_argument<const DY>> from(as_view(dy));
        const view<const detail::element_of_argument<const Y>> answer(as_view(y));
        detail::exact_attention_backward<T, X>("attention_backward_into", to, as_view(dk), as_view(dv), from,
                                               as_view(q), as_view(k), as_view(v), answer,
                                               detail::read_rows<T>(lse), options...);
    }
}

// New tensors of the kinds of q, k and v.
template <class DY, class Q, class K, class V, class Y, class L, class... Options>
auto attention_backward(const DY& dy, const Q& q, const K& k, const V& v, const Y& y, const L& lse,
                        const Options&... options) {
    constexpr bool fits = detail::backward_arguments<DY, Q, K, V, Y, L, Options...>();
    using T = detail::element_of_argument<const Q>;
    const view<const T> queries(as_view(q));
    const view<const T> keys(as_view(k));
    const view<const T> values(as_view(v));
    detail::check_shapes<T>("attention_backward", queries, keys, values, nullptr);
    auto dq = detail::result_of<Q>::make(queries.extents);
    auto dk = detail::result_of<K>::make(keys.extents);
    auto dv = detail::result_of<V>::make(values.extents);
    attention_gradients<decltype(dq), decltype(dk), decltype(dv)> g{std::move(dq), std::move(dk),
                                                                    std::move(dv)};
    if constexpr (fits) {
        const view<const detail::element_of_argument<const DY>> from(as_view(dy));
        const view<const detail::element_of_argument<const Y>> answer(as_view(y));
        detail::exact_attention_backward<T, T>("attention_backward", detail::result_view(g.q),
                                               detail::result_view(g.k), detail::result_view(g.v), from,
                                               queries, keys, values, answer, detail::read_rows<T>(lse),
                                               options...);
    }
    return g;
}

}  // namespace heed::inline HEED_ABI
