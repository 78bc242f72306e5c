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

#include <heed/core/call.hpp>
#include <heed/kernel/exact/call.hpp>
#include <heed/mask.hpp>
#include <heed/score.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct attention_call : query_call {
    HEED_CALL("attention", "y", "q, k and v", "", "heed/attention.hpp lists those it takes");
    static constexpr bool takes(option_kind kind) { return exact_kind(kind); }
    template <class... Options>
    static constexpr void beside() {
        check_exact_options<Options...>();
        static_assert(
            !(gradient_kind(Options::kind) || ...),
            "heed::attention: bias_gradient, logsumexp_gradient, slopes_gradient and sinks_gradient "
            "are options of heed::attention_backward");
    }
    static void run(std::string_view function, call_memory& used, const auto& y, const auto& q, const auto& k,
                    const auto& v, const auto&... options) {
        exact_attention(function, used, y, q, k, v, options...);
    }
};

}  // namespace detail

// Writes y, which may be q itself; y is sized by the caller. Its elements are q's type, or float where q
// holds half or bfloat16.
template <class Y, class Q, class K, class V, class... Options>
void attention_into(Y&& y, const Q& q, const K& k, const V& v, const Options&... options) {
    detail::write_result(detail::attention_call{}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(q, k, v), options...);
}

// A new tensor of q's kind (heed/core/result.hpp).
template <class Q, class K, class V, class... Options>
auto attention(const Q& q, const K& k, const V& v, const Options&... options) {
    return detail::make_result(detail::attention_call{}, detail::tensors(q, k, v), options...);
}

}  // namespace heed::inline HEED_ABI

#include <heed/attention_backward.hpp>
