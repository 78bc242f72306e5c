// SPDX-License-Identifier: MIT
// heed/kernel/linear/backward_call.hpp: from a backward call's tensors and options to checked gradients
#pragma once

#include <heed/kernel/linear/backward_run.hpp>
#include <heed/kernel/linear/call.hpp>

namespace heed::inline HEED_ABI::detail {

// dq, dk, dv hold T, or the type sums are kept in.
template <class T, class X, class... Options>
void linear_gradients_into(std::string_view function, const view<X>& dq, const view<X>& dk, const view<X>& dv,
                           const view<const T>& dy, const view<const T>& q, const view<const T>& k,
                           const view<const T>& v, const std::tuple<Options...>& options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    check_shapes<T>(function, q, k, v, nullptr);
    view<const T> answer(nullptr, {q.batch(), q.heads(), q.positions(), v.features()}, {});
    check_same_extents(function, "dy", dy, "the output", answer);
    check_same_extents(function, "dq", dq, "q", q);
    check_same_extents(function, "dk", dk, "k", k);
    check_same_extents(function, "dv", dv, "v", v);
    const linear_leaves<E>& leaves = linear_leaves_on_target<E>();
    linear_setup<T, std::tuple<Options...>> setup(function, options, q, k, v, leaves);
    linear_problem<E>& p = setup.problem;
    setup.bind_states(function);
    linear_gradients<E> g;
    g.dy = strided_of<E>(dy);
    g.q = either_of<T>(dq);
    g.k = either_of<T>(dk);
    g.v = either_of<T>(dv);

    const auto& into_state = setup.template get<option_kind::initial_state_gradient>();
    const auto& from_state = setup.template get<option_kind::final_state_gradient>();
    const auto& decays = setup.template get<option_kind::decay_gradient>();
    const auto& betas = setup.template get<option_kind::delta_gradient>();
    call_memory used(function);
    used.reads("dy", bytes_of(dy));
    used.reads("q", bytes_of(q));
    used.reads("k", bytes_of(k));
    used.reads("v", bytes_of(v));
    used.writes("dq", bytes_of(dq));
    used.writes("dk", bytes_of(dk));
    used.writes("dv", bytes_of(dv));
    setup.list_states(used);
    if constexpr (!is_absent<decltype(into_state)>) {
        g.initial = setup.state_table(function, "the initial state's gradient", into_state.to);
        used.writes("the initial state's gradient", bytes_of(into_state.to));
    }
    if constexpr (!is_absent<decltype(from_state)>) {
        g.final_gradient = setup.state_table(function, "the final state's gradient", from_state.to);
        used.reads("the final state's gradient", bytes_of(from_state.to));
    }
    if constexpr (!is_absent<decltype(decays)>) {
        static_assert(std::is_same_v<decltype(decays.to), table<S>>,
                      "heed::linear_attention_backward: the decay's gradient is float, or double where q is");
        const bool each = p.decays == decay_of::feature;
        auto t = decays.to;
        if (each != (t.rank == 4))
            fail(function, {"the decay's gradient has ", t.rank, " axes, the decay has ", each ? 4 : 3});
        exact_extents(function, "the decay's gradient", t,
                      each ? std::array<index, 4>{p.batch, k.heads(), p.keys, p.features}
                           : std::array<index, 4>{1, p.batch, k.heads(), p.keys},
                      each ? 4 : 3);
        g.decay = each ? strided<S>{t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}}
                       : strided<S>{t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
        used.writes("the decay's gradient", bytes_of(t));
    }
    if constexpr (!is_absent<decltype(betas)>) {
        static_assert(std::is_same_v<decltype(betas.to), table<S>>,
                      "heed::linear_attention_backward: the gradient of beta is float, or double where q is");
        const auto& t = betas.to;
        exact_extents(function, "the gradient of beta", t, {1, p.batch, k.heads(), p.keys}, 3);
        g.beta = {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
        used.writes("the gradient of beta", bytes_of(t));
    }
    setup.check_list(used);

    setup.run([&](const device_ref device, index lanes, workspace& memory) {
        run_linear_backward(p, g, leaves, device, lanes, memory);
    });
}

}  // namespace heed::inline HEED_ABI::detail
