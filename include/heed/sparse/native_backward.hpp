// SPDX-License-Identifier: MIT
// heed/sparse/native_backward.hpp: the gradients of native sparse attention
//
//     auto g = heed::native_sparse_attention_backward(dy, q, k, v, gates);    g.q, g.k, g.v, g.gates
//     heed::native_sparse_attention_backward_into(dq, dk, dv, dgates, dy, q, k, v, gates);
//
// Shapes as in the forward (heed/sparse/native.hpp); dy is that of y. Options are those of the forward, and
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
    if constexpr (detail::native_call<true, Q, K, V, G, Options...>()) {
        using T = detail::element_of_argument<const Q>;
        using H = detail::element_of_argument<const G>;
        const auto to = as_view(dq);
        const auto to_gates = as_view(dgates);
        using X = detail::stored_t<decltype(to)>;
        using GX = detail::stored_t<decltype(to_gates)>;
        static_assert(std::is_same_v<detail::element_of_argument<const DY>, T>,
                      "heed::native_sparse_attention_backward: dy holds another element type than q");
        static_assert(detail::table_may_be_kept<DQ> && detail::table_may_be_kept<DK> &&
                          detail::table_may_be_kept<DV> && detail::table_may_be_kept<DG>,
                      "heed::native_sparse_attention_backward_into: an output is a temporary, and the result "
                      "would be gone; give it a name");
        static_assert(
            std::is_same_v<X, T> || std::is_same_v<X, sum_t<T>>,
            "heed::native_sparse_attention_backward_into: dq is const or holds another element type "
            "than q; needs q's, or float for a q of half or bfloat16");
        static_assert(
            std::is_same_v<decltype(as_view(dk)), view<X>> && std::is_same_v<decltype(as_view(dv)), view<X>>,
            "heed::native_sparse_attention_backward_into: dk or dv is const or holds another element type "
            "than dq");
        static_assert(std::is_same_v<GX, H> || std::is_same_v<GX, sum_t<T>>,
                      "heed::native_sparse_attention_backward_into: dgates is const or holds another element "
                      "type than gates");
        detail::native_gradients<T, X, H, GX>("native_sparse_attention_backward_into", to, as_view(dk),
                                              as_view(dv), to_gates, as_view(dy), as_view(q), as_view(k),
                                              as_view(v), as_view(gates), options...);
    }
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
    const auto make = [](const auto& x, auto like) {
        return detail::result_of<typename decltype(like)::type>::make(as_view(x).extents);
    };
    native_sparse_attention_gradients<
        decltype(make(q, std::type_identity<Q>{})), decltype(make(k, std::type_identity<K>{})),
        decltype(make(v, std::type_identity<V>{})), decltype(make(gates, std::type_identity<G>{}))>
        g{make(q, std::type_identity<Q>{}), make(k, std::type_identity<K>{}),
          make(v, std::type_identity<V>{}), make(gates, std::type_identity<G>{})};
    if constexpr (detail::native_call<true, Q, K, V, G, Options...>()) {
        using T = detail::element_of_argument<const Q>;
        using H = detail::element_of_argument<const G>;
        static_assert(std::is_same_v<detail::element_of_argument<const DY>, T>,
                      "heed::native_sparse_attention_backward: dy holds another element type than q");
        detail::native_gradients<T, T, H, H>("native_sparse_attention_backward", detail::result_view(g.q),
                                             detail::result_view(g.k), detail::result_view(g.v),
                                             detail::result_view(g.gates), as_view(dy), as_view(q),
                                             as_view(k), as_view(v), as_view(gates), options...);
    }
    return g;
}

}  // namespace heed::inline HEED_ABI
