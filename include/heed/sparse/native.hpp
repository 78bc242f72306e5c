// SPDX-License-Identifier: MIT
// heed/sparse/native.hpp: native sparse attention: compressed, selected and sliding keys, weighed by gates
//
//     y = g_0 attend(q, compressed keys) + g_1 attend(q, selected blocks) + g_2 attend(q, last keys)
//
//     auto y = heed::native_sparse_attention(q, k, v, gates);               a new tensor of q's kind
//     heed::native_sparse_attention_into(y, q, k, v, gates);                into memory of the caller's
//
// Shapes: q (batch, head, query, d_k), k (batch, kv_head, key, d_k), v (batch, kv_head, key, d_v), gates
// (batch, head, query, 3) for the branches in this order, y (batch, head, query, d_v). Gates are used as they
// are: a sigmoid is the caller's. Query head h reads key/value head h / (heads / kv_heads).
//
// A query stands at p = query + (keys - queries) and sees keys up to p.
//     compressed   the means of blocks of 32 keys, one every 16, whose last key is at p at most
//     selected     keys of 16 blocks of 64, up to p: the first block, its own, the one before, and those that
//                  the softmax over compressed keys weighs most, summed over the heads that share keys; of
//                  equals the lower. A block counts a compressed key by the chunks of 16 keys they share
//     sliding      the keys p - 511 … p
// A branch without a visible key adds nothing; a query without any gets +0.
//
// Options, in any order, each at most once:
//     native_blocks{…}        the numbers above                               heed/sparse/native_blocks.hpp
//     compressed(keys)        compressed keys carried from call to call       heed/sparse/compressed_keys.hpp
//     compressed(ck, cv)      the caller's own, float (double for double): one for each whole block of keys
//     scale(x), on(device), use(workspace)
//     causal                  changes nothing: a query sees no key behind p
//
// What stands behind p never enters arithmetic. Bits depend on neither threads nor batch.
//
// Cost: 4 d (keys / 16 + 1024 + 512) flops a query and head, for keys up to p. The branch of selected keys is
// made for groups: heads that fill more than half a pack (16 floats with AVX-512) are its lanes, fewer are
// taken one by one. Calls of up to four queries use a thread for each group of heads at most.
//
// Memory: the compressed keys unless they are given; for each thread three outputs for each query of a block
// (48 with AVX-512) and head of a group, and a number for each of its queries and selection blocks, for up to
// five heads at a time.
//
// Throws heed::error before anything is written; std::bad_alloc.
// Source: Yuan et al., Native Sparse Attention (arXiv 2502.11089). There every branch has keys and values of
// its own; here they share them, as far as compressed(ck, cv) does not say otherwise.
#pragma once

#include <heed/kernel/native/call.hpp>

namespace heed::inline HEED_ABI {

// Writes y, which may be q itself; y is sized by the caller. Its elements are q's type, or float where q
// holds half or bfloat16.
template <class Y, class Q, class K, class V, class G, class... Options>
void native_sparse_attention_into(Y&& y, const Q& q, const K& k, const V& v, const G& gates,
                                  const Options&... options) {
    detail::write_result(detail::native_call{}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(q, k, v, gates), options...);
}

// A new tensor of q's kind: its rank and layout, a row-major matrix for a matrix, rank 4 for a view.
template <class Q, class K, class V, class G, class... Options>
auto native_sparse_attention(const Q& q, const K& k, const V& v, const G& gates, const Options&... options) {
    return detail::make_result(detail::native_call{}, detail::tensors(q, k, v, gates), options...);
}

}  // namespace heed::inline HEED_ABI
