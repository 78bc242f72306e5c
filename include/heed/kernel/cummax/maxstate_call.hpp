// SPDX-License-Identifier: MIT
// heed/kernel/cummax/maxstate_call.hpp: maxstate and maxstate_super, from views and options
#pragma once

#include <cmath>

#include <heed/kernel/cummax/attention_call.hpp>
#include <heed/kernel/cummax/maxstate.hpp>
#include <heed/kernel/cummax/maxstate_super.hpp>

namespace heed::inline HEED_ABI {
template <class A, class B, class C, class D>
struct maxstate_super_gradients;  // heed/cummax/maxstate.hpp
}  // namespace heed::inline HEED_ABI

namespace heed::inline HEED_ABI::detail {

template <class E, class T>
maxstate_form<E> maxstate_form_of(const view<const T>& o, const view<const T>& a1, const view<const T>& a2) {
    using S = sum_t<T>;
    maxstate_form<E> form;
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

struct maxstate_call : cummax_call {
    HEED_CALL("maxstate", "y", "o, a1 and a2", "",
              "it takes state, initial_state, final_state, on and use, and no mask");
    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::state, option_kind::initial_state, option_kind::final_state,
                               option_kind::on, option_kind::use});
    }
    template <class T, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& y, const view<const T>& o,
                    const view<const T>& a1, const view<const T>& a2, const Options&... options) {
        using E = storage_t<T>;
        const auto states = states_of<sum_t<T>>(function, used, state_extents(o.extents), options...);
        used.validate(options...);
        const cummax_plan plan = apart_plan(o, a1, a2, y);
        auto form = maxstate_form_of<E>(o, a1, a2);
        form.y = strided_of<E>(y);
        run_forward(form, plan, states, options...);
    }
};

struct maxstate_backward_call : cummax_call {
    HEED_CALL(
        "maxstate_backward", "do, da1 or da2", "o, a1 and a2", "dy",
        "it takes initial_state, initial_state_gradient, final_state_gradient, on and use, and no mask");
    static constexpr const char* replaces = nullptr;
    template <class... Gradients>
    using results = cummax_gradients<Gradients...>;
    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::initial_state, option_kind::initial_state_gradient,
                               option_kind::final_state_gradient, option_kind::on, option_kind::use});
    }
    template <class T, class DY, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& d_o, const view<T>& d_a1,
                    const view<T>& d_a2, const view<const T>& o, const view<const T>& a1,
                    const view<const T>& a2, const view<DY>& dy, const Options&... options) {
        using E = storage_t<T>;
        const auto states = states_of<sum_t<T>>(function, used, state_extents(o.extents), options...);
        used.validate(options...);
        const cummax_plan plan = apart_plan(o, a1, a2, dy, d_o, d_a1, d_a2);
        auto form = maxstate_form_of<E>(o, a1, a2);
        form.g = stored_or_sum_of<T>(dy);
        form.d_o = strided_of<E>(d_o);
        form.d_a1 = strided_of<E>(d_a1);
        form.d_a2 = strided_of<E>(d_a2);
        run_backward(form, plan, states, [](const double*) {}, options...);
    }
};

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
                                     call_memory& used, const Options&... options) {
    using S = sum_t<T>;
    maxstate_super_form<E> form;
    const index heads = u[0].heads();
    const auto& mix = pick<option_kind::head_mix>(options...);
    constexpr bool mixes = !is_absent<decltype(mix)>;
    if constexpr (mixes) {
        form.mix = head_mix_of<S>(function, "head_mix", mix.to, heads);
        used.reads("head_mix", bytes_of(mix.to));
        form.mix_strides[0] = mix.to.strides[2];
        form.mix_strides[1] = mix.to.strides[3];
        form.mixed_heads = heads;
    }
    plan = cummax_plan(u[0].batch(), heads, u[0].positions(), u[0].features(), mixes,
                       features_together(cummax_block(mixes ? heads : 1), u[0], u[1], u[2], u[3]));
    form.leaf = &maxstate_leaves_on_target<S>();
    for (std::size_t i = 0; i < 4; ++i) form.u[i] = strided_of<E>(u[i]);
    for (std::size_t i = 0; i < 3; ++i) form.alphas[i] = static_cast<S>(alphas[i]);
    return form;
}

struct maxstate_super_call : cummax_call {
    HEED_CALL("maxstate_super", "y", "a, b, c and d", "",
              "it takes state, initial_state, final_state, head_mix, on and use, and no mask");
    static constexpr const char* replaces = nullptr;
    const std::array<double, 3>& alphas;

    static constexpr bool takes(option_kind kind) {
        return maxstate_call::takes(kind) || kind == option_kind::head_mix;
    }
    template <class T, class... Options>
    void run(std::string_view function, call_memory& used, const view<T>& y, const view<const T>& a,
             const view<const T>& b, const view<const T>& c, const view<const T>& d,
             const Options&... options) const {
        using E = storage_t<T>;
        const std::array<view<const T>, 4> u{a, b, c, d};
        const auto states = states_of<sum_t<T>>(function, used, state_extents(u[0].extents), options...);
        cummax_plan plan;
        auto form = super_form_of<E>(function, u, alphas, plan, used, options...);
        used.validate(options...);
        form.y = strided_of<E>(y);
        run_forward(form, plan, states, options...);
    }
};

struct maxstate_super_backward_call : cummax_call {
    HEED_CALL("maxstate_super_backward", "da, db, dc or dd", "a, b, c and d", "dy",
              "heed/cummax/maxstate.hpp lists those it takes, and it takes no mask");
    static constexpr const char* replaces = nullptr;
    const std::array<double, 3>& alphas;
    std::array<double, 3>& d_alphas;

    template <class... Gradients>
    using results = maxstate_super_gradients<Gradients...>;
    static constexpr bool takes(option_kind kind) {
        return maxstate_backward_call::takes(kind) || kind == option_kind::head_mix ||
               kind == option_kind::head_mix_gradient;
    }
    template <class T, class DY, class... Options>
    void run(std::string_view function, call_memory& used, const view<T>& da, const view<T>& db,
             const view<T>& dc, const view<T>& dd, const view<const T>& a, const view<const T>& b,
             const view<const T>& c, const view<const T>& d, const view<DY>& dy,
             const Options&... options) const {
        using E = storage_t<T>;
        using S = sum_t<T>;
        const std::array<view<const T>, 4> u{a, b, c, d};
        const std::array<view<T>, 4> du{da, db, dc, dd};
        const auto states = states_of<S>(function, used, state_extents(u[0].extents), options...);
        cummax_plan plan;
        auto form = super_form_of<E>(function, u, alphas, plan, used, options...);
        const index heads = u[0].heads();
        const auto& gradient = pick<option_kind::head_mix_gradient>(options...);
        constexpr bool wants_mix = !is_absent<decltype(gradient)>;
        if constexpr (wants_mix) {
            static_assert(count_of<option_kind::head_mix, Options...> == 1,
                          "heed::maxstate_super_backward: head_mix_gradient needs head_mix(w) beside it");
            head_mix_of<S>(function, "head_mix_gradient", gradient.to, heads);
            used.writes("head_mix_gradient", bytes_of(gradient.to));
        }
        used.validate(options...);
        form.wants_mix = wants_mix;
        form.sums = 3 + (wants_mix ? 5 * heads * heads : 0);
        form.g = stored_or_sum_of<T>(dy);
        for (std::size_t i = 0; i < 4; ++i) form.du[i] = strided_of<E>(du[i]);
        run_backward(
            form, plan, states,
            [&](const double* sums) {
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
};

}  // namespace heed::inline HEED_ABI::detail
