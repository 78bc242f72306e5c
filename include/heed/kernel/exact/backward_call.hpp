// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_call.hpp: from a backward call's tensors and options to a checked problem
//
// Everything a caller can get wrong is found here, before anything is written.
#pragma once

#include <heed/kernel/exact/backward_options.hpp>
#include <heed/kernel/exact/backward_run.hpp>
#include <heed/kernel/exact/derivative.hpp>
#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/exact/setup.hpp>

namespace heed::inline HEED_ABI::detail {

// One number a head.
template <class S>
strided<S> strided_of_numbers(const table<S>& t) {
    return {t.data, {0, 0, 0, t.strides[3]}};
}

// Of tensors that fit together; dq, dk, dv hold T, or the type sums are kept in; so do dy and y.
template <class T, class DX, class DY, class Y, class S>
void exact_attention_backward(std::string_view function, call_memory& used, const view<DX>& dq,
                              const view<DX>& dk, const view<DX>& dv, const view<const T>& q,
                              const view<const T>& k, const view<const T>& v, const view<DY>& dy,
                              const view<Y>& y, const table<S>& lse, const auto&... options) {
    using E = storage_t<T>;
    const auto positions = positions_in(joined_masks(options...));
    auto inputs = inputs_of(function, q, k, v, positions, options...);
    const problem_shape shape = shape_of(inputs);
    const auto rows = exact_extents(function, "lse", lse, {1, shape.batch, shape.heads, shape.queries}, 3);

    exact_gradients<E> g;
    g.dy = stored_or_sum_of<T>(dy);
    g.y = stored_or_sum_of<T>(y);
    g.lse = {rows.data, {rows.strides[1], rows.strides[2], rows.strides[3], 0}};
    g.q = stored_or_sum_of<T>(dq);
    g.k = stored_or_sum_of<T>(dk);
    g.v = stored_or_sum_of<T>(dv);

    used.reads("lse", bytes_of(rows));
    g.of_logsumexp = rows_into_logsumexp<sum_t<T>>(function, used, shape, options...);
    const auto into = [&](const char* name, const auto& option_, const std::array<index, 4>& extents) {
        static_assert(
            std::is_same_v<decltype(option_.to), table<sum_t<T>>>,
            "heed::attention_backward: the gradients of a bias, of slopes and of sinks are float, or "
            "double where q, k and v are double");
        used.writes(name, bytes_of(option_.to));
        return exact_extents(function, name, option_.to, extents, 4);
    };
    const auto& bias_to = pick<option_kind::bias_gradient>(options...);
    if constexpr (!is_absent<decltype(bias_to)>) {
        g.bias = into("the bias's gradient", bias_to, pick<option_kind::bias>(options...).values.extents);
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (g.bias.extents[axis] == 1) g.bias.strides[axis] = 0;
    }
    const auto& slopes_to = pick<option_kind::slopes_gradient>(options...);
    if constexpr (!is_absent<decltype(slopes_to)>)
        g.slope = strided_of_numbers(into("the slopes' gradient", slopes_to, {1, 1, 1, shape.heads}));
    const auto& sinks_to = pick<option_kind::sinks_gradient>(options...);
    if constexpr (!is_absent<decltype(sinks_to)>)
        g.sink = strided_of_numbers(into("the sinks' gradient", sinks_to, {1, 1, 1, shape.heads}));
    used.validate(options...);
    const auto steps = bind_steps<sum_t<T>>(function, shape, positions, options...);
    const auto& score_ = pick<option_kind::score>(options...);
    const auto& softcap_ = std::get<0>(steps.scores);
    const score_derivative<std::remove_cvref_t<decltype(softcap_)>, std::remove_cvref_t<decltype(score_)>>
        derivative{softcap_, score_};
    if constexpr (!decltype(derivative)::trivial) {
        g.derivative_context = &derivative;
        g.derivative = derivative_on_target<std::remove_const_t<decltype(derivative)>, sum_t<T>>();
    }
    workspace own;
    workspace& memory = workspace_of(own, options...);
    const device_ref device = device_of(options...);
    const auto run = [&](const auto& visible) {
        const score_program program{steps, visible};
        if constexpr (decltype(program)::has_probability)
            g.probability =
                probability_gradient_on_target<std::remove_const_t<decltype(program)>, sum_t<T>>();
        // Without batch entries or heads the sums over them, of a bias, of slopes and of sinks, are written
        // all the same, as zeros; and without a head of keys there are no keys to go through.
        if (k.heads() == 0) inputs.batch = 0;
        run_backward(problem_of(inputs, {}, program), g, device, memory);
    };
    // Of the forward's program, so that the choice is the forward's.
    const auto run_selector = [&](const auto& selector, const auto& visible) {
        under_kept_keys(inputs, steps, selector, visible, device, memory, run);
    };
    under_masks(function, inputs, q, k, device, memory, run, run_selector, options...);
}

}  // namespace heed::inline HEED_ABI::detail
