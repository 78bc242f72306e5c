// SPDX-License-Identifier: MIT
// heed/kernel/cummax/maxstate_call.hpp: maxstate and maxstate_super, from views and options
#pragma once

#include <cmath>

#include <heed/kernel/cummax/call.hpp>
#include <heed/kernel/cummax/maxstate.hpp>
#include <heed/kernel/cummax/maxstate_super.hpp>

namespace heed::inline HEED_ABI::detail {

using maxstate_options = cummax_options<option_kind::state, option_kind::initial_state,
                                        option_kind::final_state, option_kind::on, option_kind::use>;
using maxstate_backward_options =
    cummax_options<option_kind::initial_state, option_kind::initial_state_gradient,
                   option_kind::final_state_gradient, option_kind::on, option_kind::use>;
using super_options = cummax_options<option_kind::state, option_kind::initial_state, option_kind::final_state,
                                     option_kind::head_mix, option_kind::on, option_kind::use>;
using super_backward_options =
    cummax_options<option_kind::initial_state, option_kind::initial_state_gradient,
                   option_kind::final_state_gradient, option_kind::head_mix, option_kind::head_mix_gradient,
                   option_kind::on, option_kind::use>;

// A tensor of a call by its name.
template <class T>
struct named_view {
    const char* name;
    view<T> of;
};

// All of one shape; what is written has memory of its own, or (the first, where it may) stands for an input.
template <class T>
void check_tensors(std::string_view function, std::initializer_list<named_view<const T>> inputs,
                   std::initializer_list<named_view<T>> outputs, bool may_replace, call_memory& memory) {
    const named_view<const T>& first = *inputs.begin();
    check_extents(function, first.name, first.of);
    for (const auto& x : inputs) {
        check_same_extents(function, x.name, x.of, first.name, first.of);
        memory.reads(x.name, bytes_of(x.of));
    }
    for (const auto& x : outputs) {
        check_same_extents(function, x.name, x.of, first.name, first.of);
        may_replace ? memory.replaces(x.name, bytes_of(x.of)) : memory.writes(x.name, bytes_of(x.of));
    }
}

template <class E, class T>
maxstate_form<E> maxstate_form_of(const cummax_plan& plan, const view<const T>& o, const view<const T>& a1,
                                  const view<const T>& a2) {
    using S = sum_t<T>;
    maxstate_form<E> form;
    form.io.leaf = &cummax_leaves_on_target<E>();
    form.io.pad = plan.pad;
    form.leaf = &maxstate_leaves_on_target<S>();
    form.o = strided_of<E>(o);
    form.a1 = strided_of<E>(a1);
    form.a2 = strided_of<E>(a2);
    form.factor = static_cast<S>(1 / std::sqrt(static_cast<double>(o.features() > 0 ? o.features() : 1)));
    return form;
}
template <class T, class... X>
cummax_plan apart_plan(const view<T>& x, const X&... others) {
    return cummax_plan(x.batch(), x.heads(), x.positions(), x.features(), false,
                       features_together(128, x, others...));
}

template <class T, class... Options>
void run_maxstate(std::string_view function, const view<T>& y, const view<const T>& o,
                  const view<const T>& a1, const view<const T>& a2, const Options&... options) {
    using E = storage_t<T>;
    call_memory memory(function);
    check_tensors<T>(function, {{"o", o}, {"a1", a1}, {"a2", a2}}, {{"y", y}}, true, memory);
    const auto states = states_of<sum_t<T>>(function, o.extents, memory, options...);
    memory.validate(options...);
    const cummax_plan plan = apart_plan(o, a1, a2, y);
    auto form = maxstate_form_of<E>(plan, o, a1, a2);
    form.y = strided_of<E>(y);
    with_resources(
        [&](const device_ref device_, workspace& w) { walk_forward(form, plan, states, device_, w); },
        options...);
}

template <class T, class... Options>
void run_maxstate_backward(std::string_view function, const view<T>& d_o, const view<T>& d_a1,
                           const view<T>& d_a2, const view<const T>& dy, const view<const T>& o,
                           const view<const T>& a1, const view<const T>& a2, const Options&... options) {
    using E = storage_t<T>;
    call_memory memory(function);
    check_tensors<T>(function, {{"o", o}, {"a1", a1}, {"a2", a2}, {"dy", dy}},
                     {{"do", d_o}, {"da1", d_a1}, {"da2", d_a2}}, false, memory);
    const auto states = states_of<sum_t<T>>(function, o.extents, memory, options...);
    memory.validate(options...);
    const cummax_plan plan = apart_plan(o, a1, a2, dy, d_o, d_a1, d_a2);
    auto form = maxstate_form_of<E>(plan, o, a1, a2);
    form.g = strided_of<E>(dy);
    form.d_o = strided_of<E>(d_o);
    form.d_a1 = strided_of<E>(d_a1);
    form.d_a2 = strided_of<E>(d_a2);
    with_resources(
        [&](const device_ref device_, workspace& w) {
            double* none = nullptr;
            walk_backward(form, plan, states, device_, w, none);
        },
        options...);
}

// The mix over heads, (heads, 5 heads), or its gradient: where its elements are. Deduced as state_of is.
template <class S, class X>
auto head_mix_of(std::string_view function, const char* name, const table<X>& t, index heads) {
    static_assert(
        std::is_same_v<std::remove_const_t<X>, S>,
        "heed::maxstate_super: the head mix and its gradient are float, or double where the tensors "
        "hold double");
    if (t.extents != std::array<index, 4>{1, 1, heads, 5 * heads})
        fail(function,
             {name, " is (", t.extents[2], ", ", t.extents[3], "), needs (", heads, ", ", 5 * heads, ")"});
    return t.data;
}

template <class E, class T, class... Options>
maxstate_super_form<E> super_form_of(std::string_view function, const std::array<view<const T>, 4>& u,
                                     const std::array<double, 3>& alphas, cummax_plan& plan,
                                     call_memory& memory, const Options&... options) {
    using S = sum_t<T>;
    maxstate_super_form<E> form;
    const index heads = u[0].heads();
    const auto& mix = pick<option_kind::head_mix>(options...);
    constexpr bool mixes = !is_absent<decltype(mix)>;
    if constexpr (mixes) {
        form.mix = head_mix_of<S>(function, "head_mix", mix.to, heads);
        memory.reads("head_mix", bytes_of(mix.to));
        form.mix_strides[0] = mix.to.strides[2];
        form.mix_strides[1] = mix.to.strides[3];
        form.mixed_heads = heads;
    }
    plan = cummax_plan(u[0].batch(), heads, u[0].positions(), u[0].features(), mixes,
                       features_together(cummax_block(mixes ? heads : 1), u[0], u[1], u[2], u[3]));
    form.io.leaf = &cummax_leaves_on_target<E>();
    form.io.pad = plan.pad;
    form.leaf = &maxstate_leaves_on_target<S>();
    for (std::size_t i = 0; i < 4; ++i) form.u[i] = strided_of<E>(u[i]);
    for (std::size_t i = 0; i < 3; ++i) form.alphas[i] = static_cast<S>(alphas[i]);
    return form;
}

template <class T, class... Options>
void run_super(std::string_view function, const view<T>& y, const std::array<view<const T>, 4>& u,
               const std::array<double, 3>& alphas, const Options&... options) {
    using E = storage_t<T>;
    call_memory memory(function);
    check_tensors<T>(function, {{"a", u[0]}, {"b", u[1]}, {"c", u[2]}, {"d", u[3]}}, {{"y", y}}, false,
                     memory);
    const auto states = states_of<sum_t<T>>(function, u[0].extents, memory, options...);
    cummax_plan plan;
    auto form = super_form_of<E>(function, u, alphas, plan, memory, options...);
    memory.validate(options...);
    form.y = strided_of<E>(y);
    with_resources(
        [&](const device_ref device_, workspace& w) { walk_forward(form, plan, states, device_, w); },
        options...);
}

template <class T, class... Options>
void run_super_backward(std::string_view function, const std::array<view<T>, 4>& du,
                        std::array<double, 3>& d_alphas, const view<const T>& dy,
                        const std::array<view<const T>, 4>& u, const std::array<double, 3>& alphas,
                        const Options&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    call_memory memory(function);
    check_tensors<T>(function, {{"a", u[0]}, {"b", u[1]}, {"c", u[2]}, {"d", u[3]}, {"dy", dy}},
                     {{"da", du[0]}, {"db", du[1]}, {"dc", du[2]}, {"dd", du[3]}}, false, memory);
    const auto states = states_of<S>(function, u[0].extents, memory, options...);
    cummax_plan plan;
    auto form = super_form_of<E>(function, u, alphas, plan, memory, options...);
    const index heads = u[0].heads();
    const auto& gradient = pick<option_kind::head_mix_gradient>(options...);
    constexpr bool wants_mix = !is_absent<decltype(gradient)>;
    if constexpr (wants_mix) {
        static_assert(count_of<option_kind::head_mix, Options...> == 1,
                      "heed::maxstate_super_backward: head_mix_gradient needs head_mix(w) beside it");
        head_mix_of<S>(function, "head_mix_gradient", gradient.to, heads);
        memory.writes("head_mix_gradient", bytes_of(gradient.to));
    }
    memory.validate(options...);
    form.wants_mix = wants_mix;
    form.sums = 3 + (wants_mix ? 5 * heads * heads : 0);
    form.g = strided_of<E>(dy);
    for (std::size_t i = 0; i < 4; ++i) form.du[i] = strided_of<E>(du[i]);
    with_resources(
        [&](const device_ref device_, workspace& w) {
            double* sums = nullptr;
            walk_backward(form, plan, states, device_, w, sums);
            const auto total = [&](index i) {
                double sum = 0;
                for (index chain = 0; chain < plan.chains; ++chain) sum += sums[chain * form.sums + i];
                return sum;
            };
            for (std::size_t i = 0; i < 3; ++i) d_alphas[i] = total(static_cast<index>(i));
            if constexpr (wants_mix)
                for (index h = 0; h < heads; ++h)
                    for (index i = 0; i < 5 * heads; ++i)
                        gradient.to.data[h * gradient.to.strides[2] + i * gradient.to.strides[3]] =
                            static_cast<S>(total(3 + h * 5 * heads + i));
        },
        options...);
}

}  // namespace heed::inline HEED_ABI::detail
