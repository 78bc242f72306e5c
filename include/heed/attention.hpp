// SPDX-License-Identifier: MIT
// heed/attention.hpp: exact softmax attention
//
//     y = softmax(scale q k^T + …) v
//
//     auto y = heed::attention(q, k, v, heed::causal);          a new tensor of q's kind
//     heed::attention_into(y, q, k, v, heed::causal);           into memory of the caller's
//
// Shapes: q (batch, head, query, feature), k (batch, kv_head, key, feature), v (batch, kv_head, key,
// value feature), y (batch, head, query, value feature). Query head h reads key/value head
// h / (heads / kv_heads). Element types and layouts: heed/core/tensor.hpp. Sums are kept in float (double
// for double).
//
// Options, in any order, each at most once (masks as often as wanted, they intersect):
//     masks               causal, causal_from, window, window_from, prefix, key_lengths, documents, packed,
//                         mask, mask_if, and &, |, ! of them                        heed/mask.hpp
//     scores              scale, softcap, score, alibi, bias, sinks, dropout        heed/score.hpp
//     also written        logsumexp, maximum_and_sum, weights, scores               heed/score/outputs.hpp
//     where it runs       on(device), use(workspace)
//
// The backward, heed::attention_backward, stands in heed/attention_backward.hpp and comes along.
//
// A query that may see no key gets output +0 and log-sum-exp -inf. What a mask hides never enters
// arithmetic: infinities and NaN behind it change no bit. A row's bits depend on nothing but the row: not
// on threads, batch, or the position in the batch.
//
// Cost: 4 queries keys features flops, less by what masks hide tile by tile; no memory that grows with
// queries x keys. Source: the online softmax of Milakov & Gimelshein (arXiv 1805.02867), tiled as in
// FlashAttention-2 (arXiv 2307.08691).
//
// Throws heed::error before anything is written when the arguments do not fit; std::bad_alloc when there
// is no memory for a result or the scratch (see use()); what a callable throws. Allocates the result, and
// scratch of less than 2 MiB a thread up to 512 features unless use(workspace) gives it.
#pragma once

#include <heed/core/tensor.hpp>
#include <heed/kernel/exact/call.hpp>
#include <heed/mask.hpp>
#include <heed/score.hpp>

namespace heed::inline HEED_ABI {
// Writes y, which may be q itself; y is sized by the caller. Its elements are q's type, or float where q
// holds half or bfloat16.
template <class Y, class Q, class K, class V, class... Options>
void attention_into(Y&& y, const Q& q, const K& k, const V& v, const Options&... options) {
    static_assert(detail::one_element<const Q, const K, const V>,
                  "heed: q, k and v hold different element types; convert them to one");
    detail::check_forward_attention<Options...>();
    using T = detail::element_of_argument<const Q>;
    const auto to = as_view(y);
    using O = detail::stored_t<decltype(to)>;
    static_assert(detail::table_may_be_kept<Y>,
                  "heed::attention_into: y is a temporary, and the result would be gone; give it a name");
    static_assert(!std::is_const_v<O>, "heed::attention_into: y is written, and this tensor is const");
    static_assert(
        std::is_same_v<std::remove_const_t<O>, T> || std::is_same_v<std::remove_const_t<O>, sum_t<T>>,
        "heed::attention_into: y holds another element type than q; needs q's, or float for a q of "
        "half or bfloat16");
    if constexpr ((detail::is_option<Options> && ...))
        detail::exact_attention<T, O>("attention_into", to, as_view(q), as_view(k), as_view(v), options...);
}

// A new tensor of q's kind: its rank and layout, a row-major matrix for a matrix, rank 4 for a view.
template <class Q, class K, class V, class... Options>
auto attention(const Q& q, const K& k, const V& v, const Options&... options) {
    static_assert(detail::one_element<const Q, const K, const V>,
                  "heed: q, k and v hold different element types; convert them to one");
    detail::check_forward_attention<Options...>();
    using T = detail::element_of_argument<const Q>;
    const view<const T> from(as_view(q));
    const view<const T> keys(as_view(k));
    const view<const T> values(as_view(v));
    detail::check_shapes<T>("attention", from, keys, values, nullptr);
    auto y = detail::result_of<Q>::make({from.batch(), from.heads(), from.positions(), values.features()});
    if constexpr ((detail::is_option<Options> && ...))
        detail::exact_attention<T, T>("attention", detail::result_view(y), from, keys, values, options...);
    return y;
}

}  // namespace heed::inline HEED_ABI

#include <heed/attention_backward.hpp>
