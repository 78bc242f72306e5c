// SPDX-License-Identifier: MIT
// heed/kernel/linear/backward_call.hpp: from a backward call's tensors and options to checked gradients
#pragma once

#include <heed/kernel/linear/backward_run.hpp>
#include <heed/kernel/linear/call.hpp>

namespace heed::inline HEED_ABI::detail {

// The gradient of a decay has the decay's axes.
template <class S, class E>
void check_decay_gradient(std::string_view function, const table<S>& t, const linear_problem<E>& p) {
    const bool each = p.decays == decay_of::feature;
    if (each != (t.rank == 4))
        fail(function, {"the decay's gradient has ", t.rank, " axes, the decay has ", each ? 4 : 3});
    exact_extents(function, "the decay's gradient", t,
                  each ? std::array<index, 4>{p.batch, p.kv_heads, p.keys, p.features}
                       : std::array<index, 4>{1, p.batch, p.kv_heads, p.keys},
                  each ? 4 : 3);
}

struct linear_backward_call : query_backward_call {
    HEED_CALL("linear_attention_backward", "dq, dk or dv", "q, k and v", "dy",
              "heed/linear.hpp lists those it takes (initial_state, not state)");
    static constexpr bool takes(option_kind kind) {
        return linear_kind(kind) || kind == option_kind::initial_state_gradient ||
               kind == option_kind::final_state_gradient || kind == option_kind::decay_gradient ||
               kind == option_kind::delta_gradient;
    }
    template <class... Options>
    static constexpr void beside() {
        static_assert(
            count_of<option_kind::decay_gradient, Options...> <= count_of<option_kind::decay, Options...>,
            "heed::linear_attention_backward: decay_gradient needs a decay");
        static_assert(
            count_of<option_kind::delta_gradient, Options...> <= count_of<option_kind::delta, Options...>,
            "heed::linear_attention_backward: delta_gradient needs a delta");
        static_assert(count_of<option_kind::mask, Options...> > 0 ||
                          (count_of<option_kind::initial_state_gradient, Options...> == 0 &&
                           count_of<option_kind::final_state_gradient, Options...> == 0),
                      "heed::linear_attention_backward: the gradient of a state needs heed::causal");
        static_assert((has_gradient<Options> && ...),
                      "heed::linear_attention_backward: this feature_map has no derivative; write "
                      "feature_map(f, df)");
        check_linear_options<Options...>();
    }
    template <class T, class X, class DY, class... Options>
    static void run(std::string_view function, call_memory& used, const view<X>& dq, const view<X>& dk,
                    const view<X>& dv, const view<const T>& q, const view<const T>& k, const view<const T>& v,
                    const view<DY>& dy, const Options&... options) {
        using E = storage_t<T>;
        using S = sum_t<T>;
        linear_setup<T, std::tuple<Options...>> setup(function, {options...}, q, k, v);
        linear_problem<E>& p = setup.problem;
        const auto states = setup.bind_states(function, used, options...);
        linear_gradients<E> g;
        g.dy = stored_or_sum_of<T>(dy);
        g.q = stored_or_sum_of<T>(dq);
        g.k = stored_or_sum_of<T>(dk);
        g.v = stored_or_sum_of<T>(dv);

        g.initial = states.initial_gradient;
        g.final_gradient = states.last_gradient;
        const auto& decays = pick<option_kind::decay_gradient>(options...);
        const auto& betas = pick<option_kind::delta_gradient>(options...);
        if constexpr (!is_absent<decltype(decays)>) {
            static_assert(
                std::is_same_v<decltype(decays.to), table<S>>,
                "heed::linear_attention_backward: the decay's gradient is float, or double where q is");
            const auto& t = decays.to;
            check_decay_gradient(function, t, p);
            g.decay = t.rank == 4
                          ? strided<S>{t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}}
                          : strided<S>{t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
            used.writes("the decay's gradient", bytes_of(t));
        }
        if constexpr (!is_absent<decltype(betas)>) {
            static_assert(
                std::is_same_v<decltype(betas.to), table<S>>,
                "heed::linear_attention_backward: the gradient of beta is float, or double where q is");
            const auto& t = betas.to;
            exact_extents(function, "the gradient of beta", t, {1, p.batch, k.heads(), p.keys}, 3);
            g.beta = {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
            used.writes("the gradient of beta", bytes_of(t));
        }
        used.validate(options...);
        with_resources(
            [&](const device_ref device, workspace& scratch) { run_linear_backward(p, g, device, scratch); },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
