// SPDX-License-Identifier: MIT
// heed/sparse/native_backward.hpp: the gradients of native sparse attention
//
//     auto g = heed::native_sparse_attention_backward(dy, q, k, v, gates);    g.q, g.k, g.v, g.gates
//     heed::native_sparse_attention_backward_into(dq, dk, dv, dgates, dy, q, k, v, gates);
//
// Shapes as in the forward (heed/sparse/native.hpp); dy is that of y, of q's type or, where that is half or
// bfloat16, float. Options are those of the forward, and
//
//     compressed_gradient(dck, dcv)    where the caller's own compressed keys and values get their gradients,
//                                      of float (double for double); k and v then get none by way of them
//
// Means of keys hand their gradient to their keys in equal shares, also where compressed(keys) carries them.
// There is no log-sum-exp over the branches, so logsumexp_gradient is not taken.
// What was chosen counts as constant, so no gradient comes through the selection. A query without keys gets
// 0, and so does the gate of a branch without any. The bits do not depend on threads or batch.
//
// Cost: the forward and 10 d flops for each pair it kept; a thread for each group of heads at most. Memory of
// a thread: that of the forward, and the gradients of the keys and values of one head in the type sums are
// kept in. Throws heed::error before anything is written; std::bad_alloc.
#pragma once

#include <heed/kernel/native/backward_call.hpp>

namespace heed::inline HEED_ABI {

// Keeps references to both tensors, which are written.
template <class K, class V>
auto compressed_gradient(K&& keys, V&& values) {
    static_assert(
        detail::table_may_be_kept<K> && detail::table_may_be_kept<V>,
        "heed::compressed_gradient: the tensor is a temporary, and the result would be gone; give it "
        "a name");
    const auto k = as_view(keys);
    const auto v = as_view(values);
    using S = detail::stored_t<decltype(k)>;
    static_assert(!std::is_const_v<S>, "heed::compressed_gradient: this tensor is written, and it is const");
    static_assert(std::is_same_v<decltype(k), decltype(v)>,
                  "heed::compressed_gradient: keys and values hold different element types");
    return detail::compressed_gradient_option<S>{{}, k, v};
}

// Writes dq, dk and dv, of q's type, or all float where q holds half or bfloat16; and dgates, of the gates'
// type or float.
template <class DQ, class DK, class DV, class DG, class DY, class Q, class K, class V, class G,
          class... Options>
void native_sparse_attention_backward_into(DQ&& dq, DK&& dk, DV&& dv, DG&& dgates, const DY& dy, const Q& q,
                                           const K& k, const V& v, const G& gates,
                                           const Options&... options) {
    detail::write_result(detail::native_backward_call{},
                         detail::tensors(std::forward<DQ>(dq), std::forward<DK>(dk), std::forward<DV>(dv),
                                         std::forward<DG>(dgates)),
                         detail::tensors(q, k, v, gates, dy), options...);
}

template <class Q, class K, class V, class G>
struct native_sparse_attention_gradients {
    Q q;
    K k;
    V v;
    G gates;
};

// Each gradient is of its tensor's kind.
template <class DY, class Q, class K, class V, class G, class... Options>
auto native_sparse_attention_backward(const DY& dy, const Q& q, const K& k, const V& v, const G& gates,
                                      const Options&... options) {
    return detail::make_result(detail::native_backward_call{}, detail::tensors(q, k, v, gates, dy),
                               options...);
}

}  // namespace heed::inline HEED_ABI
