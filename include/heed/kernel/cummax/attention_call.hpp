// SPDX-License-Identifier: MIT
// heed/kernel/cummax/attention_call.hpp: cummax attention, forward and backward, from views and options
#pragma once

#include <heed/kernel/cummax/call.hpp>
#include <heed/kernel/cummax/hybrid.hpp>

namespace heed::inline HEED_ABI {
template <class O, class A1, class A2>
struct cummax_gradients;  // heed/cummax/attention.hpp
}  // namespace heed::inline HEED_ABI

namespace heed::inline HEED_ABI::detail {

// Are heads joined by a second maximum? The option's type says so; along heads they are the axis itself.
template <class... Options>
constexpr bool heads_joined() {
    using mode =
        std::remove_cvref_t<decltype(pick<option_kind::heads_mode>(std::declval<const Options&>()...))>;
    if constexpr (std::is_same_v<mode, absent>) {
        return true;
    } else {
        static_assert(mode::across || count_of<option_kind::hybrid, Options...> == 0,
                      "heed::cummax_attention: hybrid blends over heads; leave heads_apart away");
        return mode::across;
    }
}

template <class E, class... Options>
auto cummax_form_of(std::string_view function, index heads, along::axis axis, const Options&... options) {
    const auto& blend = pick<option_kind::hybrid>(options...);
    if constexpr (is_absent<decltype(blend)>) {
        return cummax_attention_form<E>{};
    } else {
        blend.validate(function, heads);
        if (axis == along::axis::head)
            fail(function, {"hybrid blends over heads, needs along position or feature"});
        cummax_hybrid_form<E> form;
        using option_type = std::remove_cvref_t<decltype(blend)>;
        form.alpha_option = &blend;
        form.alpha_of = [](const void* o, index head) { return (*static_cast<const option_type*>(o))[head]; };
        return form;
    }
}

struct cummax_attention_call : cummax_call {
    HEED_CALL("cummax_attention", "y", "o, a1 and a2", "",
              "heed/cummax/attention.hpp lists those it takes, and it takes no mask");
    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::state, option_kind::initial_state, option_kind::final_state,
                               option_kind::along, option_kind::heads_mode, option_kind::hybrid,
                               option_kind::on, option_kind::use});
    }
    template <class T, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& y, const view<const T>& o,
                    const view<const T>& a1, const view<const T>& a2, const Options&... options) {
        using E = storage_t<T>;
        const auto states = states_of<sum_t<T>>(function, used, state_extents(o.extents), options...);
        const along::axis axis = axis_of(function, o.positions(), o.heads(), options...);
        auto form = cummax_form_of<E>(function, o.heads(), axis, options...);
        used.validate(options...);

        const auto from = permuted(o, axis, false);
        const auto from_a1 = permuted(a1, axis, false);
        const auto from_a2 = permuted(a2, axis, false);
        const auto to = permuted(y, axis, false);
        const bool across = heads_joined<Options...>() && axis != along::axis::head;
        constexpr bool blended = count_of < option_kind::hybrid, Options... >> 0;
        const cummax_plan plan(
            to.batch(), to.heads(), to.positions(), to.features(), across,
            features_together(blended ? cummax_block(to.heads()) : 128, from, from_a1, from_a2, to));
        form.o = strided_of<E>(from);
        form.a1 = strided_of<E>(from_a1);
        form.a2 = strided_of<E>(from_a2);
        form.y = strided_of<E>(to);
        run_forward(form, plan, states, options...);
    }
};
// A part of a stream, whose state is the object's.
struct cummax_attend_call : cummax_attention_call {
    HEED_CALL("cummax_state::attend", "y", "o, a1 and a2", "",
              "it takes those of heed::cummax_attention but states");
};

struct cummax_attention_backward_call : cummax_call {
    HEED_CALL("cummax_attention_backward", "do, da1 or da2", "o, a1 and a2", "dy",
              "heed/cummax/attention.hpp lists those it takes, and it takes no mask");
    static constexpr const char* replaces = nullptr;
    template <class... Gradients>
    using results = cummax_gradients<Gradients...>;
    static constexpr bool takes(option_kind kind) {
        return is_among(
            kind, {option_kind::initial_state, option_kind::initial_state_gradient,
                   option_kind::final_state_gradient, option_kind::along, option_kind::heads_mode,
                   option_kind::hybrid, option_kind::hybrid_gradient, option_kind::on, option_kind::use});
    }
    template <class T, class DY, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& d_o, const view<T>& d_a1,
                    const view<T>& d_a2, const view<const T>& o, const view<const T>& a1,
                    const view<const T>& a2, const view<DY>& dy, const Options&... options) {
        using E = storage_t<T>;
        using S = sum_t<T>;
        const auto states = states_of<S>(function, used, state_extents(o.extents), options...);
        const along::axis axis = axis_of(function, o.positions(), o.heads(), options...);
        auto form = cummax_form_of<E>(function, o.heads(), axis, options...);
        table<S> alpha_gradient;
        const auto& gradient = pick<option_kind::hybrid_gradient>(options...);
        constexpr bool wants_alpha = !is_absent<decltype(gradient)>;
        if constexpr (wants_alpha) {
            static_assert(count_of<option_kind::hybrid, Options...> == 1,
                          "heed::cummax_attention_backward: hybrid_gradient needs hybrid(alpha) beside it");
            static_assert(std::is_same_v<std::remove_cvref_t<decltype(*gradient.to.data)>, S>,
                          "heed::cummax_attention_backward: a gradient of alpha is float, or double where "
                          "the tensors hold double");
            alpha_gradient = gradient.to;
            const auto& e = alpha_gradient.extents;
            if (!(e[0] == 1 && e[1] == 1 && e[2] == 1 && (e[3] == 1 || e[3] == o.heads())))
                fail(function, {"hybrid_gradient is (", e[0], ", ", e[1], ", ", e[2], ", ", e[3],
                                "), needs one number, or one for each of the ", o.heads(), " heads"});
            used.writes("hybrid_gradient", bytes_of(alpha_gradient));
            form.sums = o.heads();
        }
        used.validate(options...);

        const auto source = permuted(o, axis, false);
        const auto of = [&](const auto& x) { return permuted(x, axis, false); };
        const bool across = heads_joined<Options...>() && axis != along::axis::head;
        const index group = across ? source.heads() : 1;
        const cummax_plan plan(source.batch(), source.heads(), source.positions(), source.features(), across,
                               features_together(cummax_block(group), source, of(a1), of(a2), of(dy), of(d_o),
                                                 of(d_a1), of(d_a2)));
        form.o = strided_of<E>(source);
        form.a1 = strided_of<E>(of(a1));
        form.a2 = strided_of<E>(of(a2));
        form.g = stored_or_sum_of<T>(of(dy));
        form.d_o = strided_of<E>(of(d_o));
        form.d_a1 = strided_of<E>(of(d_a1));
        form.d_a2 = strided_of<E>(of(d_a2));
        run_backward(
            form, plan, states,
            [&]([[maybe_unused]] const double* sums) {
                if constexpr (wants_alpha) {
                    const index numbers = alpha_gradient.extents[3];
                    for (index i = 0; i < numbers; ++i) {
                        double total = 0;
                        for (index chain = 0; chain < plan.chains; ++chain)
                            for (index h = numbers == 1 ? 0 : i; h < (numbers == 1 ? o.heads() : i + 1); ++h)
                                total += sums[chain * form.sums + h];
                        alpha_gradient.data[i * alpha_gradient.strides[3]] = static_cast<S>(total);
                    }
                }
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
