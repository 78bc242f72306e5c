// SPDX-License-Identifier: MIT
// heed/select/psa_backward.hpp: the gradients of heed::psa
//
//     auto g = heed::psa_backward(dy, q, k, v, heed::causal, heed::psa(0.25));          g.q, g.k, g.v
//     heed::psa_backward_into(dq, dk, dv, dy, q, k, v, heed::causal, heed::psa(0.25));
//
// dy is the gradient of y = heed::attention(q, k, v, …, heed::psa(…)), of q's type or, where that is half or
// bfloat16, float; dq, dk and dv have the extents of q, k and v, and dk and dv are summed over the query
// heads of a group. Which keys and which features stay is taken as constant: no gradient goes through the
// choice. In the intended reading a gradient goes through the largest score too, which every weight is
// measured against; of equal ones the first gets it. Weights of 0 and clamped scores pass none on.
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

namespace heed::inline HEED_ABI {

namespace detail {

struct psa_backward_call : query_backward_call {
    HEED_CALL("psa_backward", "dq, dk or dv", "q, k and v", "dy",
              "it takes psa, scale, masks, alibi, bias, logsumexp_gradient, on and use");
    static constexpr bool takes(option_kind kind) {
        return is_among(
            kind, {option_kind::select, option_kind::scale, option_kind::mask, option_kind::alibi,
                   option_kind::bias, option_kind::logsumexp_gradient, option_kind::on, option_kind::use});
    }
    template <class... Options>
    static constexpr void beside() {
        static_assert((std::is_same_v<Options, psa_option> || ...),
                      "heed::psa_backward: the forward's heed::psa(...) is missing; give it as an option");
    }
    template <class T, class X, class DY, class... Options>
    static void run(std::string_view function, call_memory& used, const view<X>& dq, const view<X>& dk,
                    const view<X>& dv, const view<const T>& q, const view<const T>& k, const view<const T>& v,
                    const view<DY>& dy, const Options&... options) {
        using E = storage_t<T>;
        using S = sum_t<T>;
        const auto joined = joined_masks(options...);
        const auto positions = positions_in(joined);
        const auto in = inputs_of(function, q, k, v, positions, options...);
        const problem_shape shape = shape_of(in);
        const psa_option& psa_ = pick<option_kind::select>(options...);
        psa_.validate(function, in);

        const auto of_logsumexp = rows_into_logsumexp<S>(function, used, shape, options...);
        used.validate(options...);
        if (k.heads() == 0) return;  // nor any of q: nothing to write

        const score_program program{bind_steps<S>(function, shape, positions, options...),
                                    bind_mask(joined, function, shape)};
        const exact_problem<E> p = problem_of(in, {}, program);

        workspace own;
        workspace& memory = workspace_of(own, options...);
        const device_ref device = device_of(options...);
        const psa_settings& s = psa_.settings;
        const psa_backward_plan<E> plan{sparsified(p, s.sparsify_queries, s.sparsify_keys, device, memory),
                                        {stored_or_sum_of<T>(dy), of_logsumexp, stored_or_sum_of<T>(dq),
                                         stored_or_sum_of<T>(dk), stored_or_sum_of<T>(dv)},
                                        psa_.template chooser<S>(),
                                        psa_.template weigher<S>(),
                                        {p.q, p.heads, p.queries, p.features, s.sparsify_queries, nullptr},
                                        {p.k, p.kv_heads, p.keys, p.features, s.sparsify_keys, nullptr},
                                        leaves_on_target<E>(),
                                        select_leaves_on_target<S>(),
                                        psa_leaves_on_target<S>()};
        run_psa_backward(plan, device, memory);
    }
};

}  // namespace detail

// Writes dq, dk and dv.
template <class DQ, class DK, class DV, class DY, class Q, class K, class V, class... Options>
void psa_backward_into(DQ&& dq, DK&& dk, DV&& dv, const DY& dy, const Q& q, const K& k, const V& v,
                       const Options&... options) {
    detail::write_result(detail::psa_backward_call{},
                         detail::tensors(std::forward<DQ>(dq), std::forward<DK>(dk), std::forward<DV>(dv)),
                         detail::tensors(q, k, v, dy), options...);
}

// New tensors.
template <class DY, class Q, class K, class V, class... Options>
auto psa_backward(const DY& dy, const Q& q, const K& k, const V& v, const Options&... options) {
    return detail::make_result(detail::psa_backward_call{}, detail::tensors(q, k, v, dy), options...);
}

}  // namespace heed::inline HEED_ABI
