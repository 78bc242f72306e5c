// SPDX-License-Identifier: MIT
// heed/select/psa_backward.hpp: the gradients of heed::psa
//
//     auto g = heed::psa_backward(dy, q, k, v, heed::causal, heed::psa(0.25));          g.q, g.k, g.v
//     heed::psa_backward_into(dq, dk, dv, dy, q, k, v, heed::causal, heed::psa(0.25));
//
// dy is the gradient of y = heed::attention(q, k, v, …, heed::psa(…)); dq, dk and dv have the extents of q, k
// and v, and dk and dv are summed over the query heads of a group. Which keys and which features stay is
// taken as constant: no gradient goes through the choice. In the intended reading a gradient goes through the
// largest score too, which every weight is measured against; of equal ones the first gets it. Weights of 0
// and clamped scores pass none on.
//
// Options: psa(…), the same as in the forward, which must be there; scale, masks, alibi, bias, on, use;
// logsumexp_gradient(t), what flows back into the log-sum-exp that the forward wrote (score/gradients.hpp).
// Softcap, score, sinks and dropout are for the forward alone. Formulas, cost and memory:
// kernel/psa/backward.hpp. The bits do not depend on threads: a thread takes a key/value head, so more
// threads than batch * kv_heads help nothing. Outputs hold q's type, or float where that is half or bfloat16.
//
// Throws heed::error before anything is written when the arguments do not fit; std::bad_alloc. Allocates the
// results, and scratch unless use(workspace) gives it.
#pragma once

#include <heed/attention.hpp>
#include <heed/kernel/exact/setup.hpp>
#include <heed/kernel/psa/backward.hpp>
#include <heed/select/psa.hpp>
#include <heed/sparse/row_call.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// The options of a backward call. Answers whether there is any use in going on.
template <class... Options>
constexpr bool check_psa_options() {
    check_exact_options<Options...>();
    if constexpr ((is_option<Options> && ...)) {
        constexpr bool taken =
            (kind_among<std::remove_cvref_t<Options>::kind, option_kind::select, option_kind::scale,
                        option_kind::mask, option_kind::alibi, option_kind::bias,
                        option_kind::logsumexp_gradient, option_kind::on, option_kind::use> &&
             ...);
        static_assert(
            taken,
            "heed::psa_backward: takes psa, scale, masks, alibi, bias, logsumexp_gradient, on and use; "
            "one of these options is another");
        constexpr bool given = (std::is_same_v<std::remove_cvref_t<Options>, psa_option> || ...);
        static_assert(given,
                      "heed::psa_backward: the forward's heed::psa(...) is missing; give it as an option");
        return taken && given;
    } else {
        return false;
    }
}

// dq, dk and dv hold T, or the type sums are kept in.
template <class T, class X, class... Options>
void psa_gradients_into(std::string_view function, const view<X>& dq, const view<X>& dk, const view<X>& dv,
                        const view<const T>& dy, const view<const T>& q, const view<const T>& k,
                        const view<const T>& v, const Options&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    check_shapes<T>(function, q, k, v, nullptr);
    const view<const T> output(nullptr, {q.batch(), q.heads(), q.positions(), v.features()}, {});
    check_same_extents(function, "dy", dy, "the output", output);
    check_same_extents(function, "dq", dq, "q", q);
    check_same_extents(function, "dk", dk, "k", k);
    check_same_extents(function, "dv", dv, "v", v);
    exact_problem<E> p = problem_of<E>(function, q, k, v, options...);
    const problem_shape shape = shape_of(p);
    const psa_option& psa_ = pick<option_kind::select>(options...);
    psa_.validate(function, p);

    call_memory used(function);
    used.reads("dy", bytes_of(dy));
    used.reads("q", bytes_of(q));
    used.reads("k", bytes_of(k));
    used.reads("v", bytes_of(v));
    const auto of_logsumexp = rows_into_logsumexp<S>(function, used, shape, options...);
    used.writes("dq", bytes_of(dq));
    used.writes("dk", bytes_of(dk));
    used.writes("dv", bytes_of(dv));
    used.validate(options...);
    if (k.heads() == 0) return;  // nor any of q: nothing to write

    const auto joined = joined_masks(options...);
    const auto places = places_in(joined);
    set_places(p, places);
    const score_program program{bind_steps<S>(function, shape, places, options...),
                                bind_mask(joined, function, shape)};
    set_program(p, program);

    workspace own;
    workspace& memory = memory_of(own, options...);
    const device_ref device_ = device_of(options...);
    const psa_settings& s = psa_.settings;
    const psa_backward_plan<E> plan{
        sparsified(p, s.sparsify_queries, s.sparsify_keys, device_, memory),
        {strided_of<E>(dy), of_logsumexp, either_of<T>(dq), either_of<T>(dk), either_of<T>(dv)},
        psa_.template chooser<S>(),
        psa_.template weigher<S>(),
        {p.q, p.heads, p.queries, p.features, s.sparsify_queries, nullptr},
        {p.k, p.kv_heads, p.keys, p.features, s.sparsify_keys, nullptr},
        leaves_on_target<E>(),
        select_leaves_on_target<S>(),
        psa_leaves_on_target<S>()};
    run_psa_backward(plan, device_, memory);
}

}  // namespace detail

// The gradients of q, k and v, each of its tensor's kind.
template <class Q, class K, class V>
struct psa_attention_gradients {
    Q q;
    K k;
    V v;
};

// Writes dq, dk and dv.
template <class DQ, class DK, class DV, class DY, class Q, class K, class V, class... Options>
void psa_backward_into(DQ&& dq, DK&& dk, DV&& dv, const DY& dy, const Q& q, const K& k, const V& v,
                       const Options&... options) {
    if constexpr (detail::check_psa_options<Options...>()) {
        using T = detail::element_of_argument<const Q>;
        const auto to = as_view(dq);
        using X = detail::stored_t<decltype(to)>;
        static_assert(detail::one_element<const Q, const K, const V> &&
                          std::is_same_v<detail::element_of_argument<const DY>, T>,
                      "heed::psa_backward: dy, q, k and v hold different element types; convert them to one");
        static_assert(std::is_same_v<X, T> || std::is_same_v<X, sum_t<T>>,
                      "heed::psa_backward_into: dq is const or holds another element type than q; needs q's, "
                      "or float for a q of half or bfloat16");
        static_assert(
            std::is_same_v<decltype(as_view(dk)), view<X>> && std::is_same_v<decltype(as_view(dv)), view<X>>,
            "heed::psa_backward_into: dk or dv is const or holds another element type than dq");
        detail::psa_gradients_into<T, X>("psa_backward_into", to, as_view(dk), as_view(dv), as_view(dy),
                                         as_view(q), as_view(k), as_view(v), options...);
    }
}

// New tensors.
template <class DY, class Q, class K, class V, class... Options>
auto psa_backward(const DY& dy, const Q& q, const K& k, const V& v, const Options&... options) {
    const auto make = [](const auto& x, auto like) {
        return detail::result_of<typename decltype(like)::type>::make(as_view(x).extents);
    };
    psa_attention_gradients<decltype(make(q, std::type_identity<Q>{})),
                            decltype(make(k, std::type_identity<K>{})),
                            decltype(make(v, std::type_identity<V>{}))>
        g{make(q, std::type_identity<Q>{}), make(k, std::type_identity<K>{}),
          make(v, std::type_identity<V>{})};
    if constexpr (detail::check_psa_options<Options...>()) {
        using T = detail::element_of_argument<const Q>;
        static_assert(detail::one_element<const Q, const K, const V> &&
                          std::is_same_v<detail::element_of_argument<const DY>, T>,
                      "heed::psa_backward: dy, q, k and v hold different element types; convert them to one");
        detail::psa_gradients_into<T, T>("psa_backward", detail::result_view(g.q), detail::result_view(g.k),
                                         detail::result_view(g.v), as_view(dy), as_view(q), as_view(k),
                                         as_view(v), options...);
    }
    return g;
}

}  // namespace heed::inline HEED_ABI
