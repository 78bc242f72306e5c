// SPDX-License-Identifier: MIT
// heed/recommend/attention_layer.hpp: a multi-head layer whose attention is chosen when the program runs
//
//     auto layer = heed::make_attention<float>(heed::config_for(heed::task::text));
//     auto y = layer(x);                                                 the mask comes from the choice
//
//     decltype(layer)::tape tape;
//     auto y = layer.forward(x, tape);
//     auto dx = layer.backward(dy, x, tape, gradients);                  gradients are added to
//     auto y = layer.extend(x_next, stream);
//
// Holds one of multi_head_attention<T, …_heads> and forwards the calls; x and y (…, position, width). Options
// on(device) and use(workspace), and in training dropout(p, seed). weights, gradients, tapes and streams are
// those of the layer that is held; one that another choice made is refused. Self attention: in a stream every
// choice has to be causal.
//
//     exact, window    exact_heads, under causal and, for window, a window of choice.window keys
//     native, gated_delta, linear, cummax                    the heads of that name
//
// dropout drops weights of the softmax, in exact and window. The others take none and refuse a probability
// above 0, since a model would be trained without what was asked for; a program for any choice calls
//
//     auto y = layer.forward(x, tape, heed::dropout(layer.takes_dropout() ? 0.1 : 0, step));
//
// quest chooses keys for weights that were trained with exact attention, and in streams alone: make the layer
// with exact_heads and give extend() the selector.
#pragma once

#include <tuple>
#include <variant>

#include <heed/layers/residual.hpp>
#include <heed/multi_head.hpp>
#include <heed/recommend/cost.hpp>

namespace heed::inline HEED_ABI {

struct attention_choice {
    attention_config sizes;
    variant use = variant::exact;
    bool causal = false;
    index window =
        0;  // of variant::window: keys that a query sees, its own included (two-sided: to each side)
    index length = 0;  // what the sizes are meant for; calls may be longer and shorter
};

namespace detail {

// What can be held, and one of a template's instances for them.
using chosen_heads = std::tuple<exact_heads, linear_heads, gated_delta_heads, native_heads, cummax_heads>;
template <class T, template <class, class> class Of, class Heads = chosen_heads>
struct one_of_choices;
template <class T, template <class, class> class Of, class... Heads>
struct one_of_choices<T, Of, std::tuple<Heads...>> {
    using type = std::variant<Of<T, Heads>...>;
};
template <class T, template <class, class> class Of>
using chosen = typename one_of_choices<T, Of>::type;
template <class T, class Heads>
using layer_parts = multi_head_parts<T, Heads>;

template <class... Options>
constexpr bool options_of_chosen() {
    static_assert(((is_option<Options> &&
                    (option_of_kind<Options, option_kind::on> || option_of_kind<Options, option_kind::use> ||
                     option_of_kind<Options, option_kind::dropout>)) &&
                   ...),
                  "heed::attention_layer: takes the options on(device), use(workspace) and dropout(p, seed), "
                  "and no other; the mask comes from the choice");
    return true;
}
template <class... Options>
constexpr bool stream_options_of_chosen() {
    static_assert(!(option_of_kind<Options, option_kind::dropout> || ...),
                  "heed::attention_layer::extend: dropout(p, seed) is an option of training, of forward and "
                  "backward; leave it away");
    return options_of_chosen<Options...>();
}

constexpr std::size_t place_of(variant v) {
    switch (v) {
        case variant::exact:
        case variant::window:
        case variant::quest:
            return 0;
        case variant::linear:
            return 1;
        case variant::gated_delta:
            return 2;
        case variant::native:
            return 3;
        case variant::cummax:
            break;
    }
    return 4;
}

// body(std::integral_constant) for the choice at `place`.
template <std::size_t Int = 0, class Body>
void at_place(std::size_t place, const Body& body) {
    if constexpr (Int < std::tuple_size_v<chosen_heads>) {
        if (place == Int)
            body(std::integral_constant<std::size_t, Int>());
        else
            at_place<Int + 1>(place, body);
    }
}

}  // namespace detail

template <class T>
struct chosen_parameters {
    detail::chosen<T, multi_head_parameters> of;

    template <class F, class First, class... P>
    static void each(F&& f, First& first, P&... p) {
        if (((p.of.index() != first.of.index()) || ...))
            detail::fail("for_each_parameter",
                         {"the parameters are those of different choices of attention"});
        detail::at_place(first.of.index(), [&](auto i) {
            std::get<i>(first.of).each(f, std::get<i>(first.of), std::get<i>(p.of)...);
        });
    }
};

template <class T>
class attention_layer {
public:
    using parameters = chosen_parameters<T>;
    struct tape {
        detail::chosen<T, multi_head_tape> of;
    };
    struct stream {
        detail::chosen<T, multi_head_stream> of;
    };
    parameters weights;

    // Throws heed::error for sizes that cannot be, and for a choice that has no layer of its own.
    explicit attention_layer(const attention_choice& choice, std::uint64_t seed = 0) : choice_(choice) {
        constexpr const char* f = "make_attention";
        detail::check_enumerator(f, "use", choice.use, 7);
        if (choice.use == variant::quest)
            detail::fail(f, {"quest is no layer of its own; make variant::exact, or give heed::quest to the "
                             "extend() of a multi_head_attention"});
        if (choice.sizes.memory_width != 0)
            detail::fail(f, {"sizes.memory_width is ", choice.sizes.memory_width,
                             ", needs 0: for cross attention take multi_head_attention"});
        if (choice.use == variant::window ? choice.window < 1 : choice.window != 0)
            detail::fail(f, {"window is ", choice.window, ", needs ",
                             choice.use == variant::window ? "at least 1" : "0 without variant::window"});
        const bool one_way = choice.use == variant::gated_delta || choice.use == variant::native ||
                             choice.use == variant::cummax;
        if (one_way && !choice.causal)
            detail::fail(f, {name_of(choice.use), " is causal by itself; state .causal = true"});
        detail::at_place(detail::place_of(choice.use), [&](auto i) {
            auto& parts = parts_.template emplace<i>(choice.sizes);
            choice_.sizes = parts.config_;
            using own = std::variant_alternative_t<i, decltype(weights.of)>;
            weights.of.template emplace<i>(own(parts.config_, seed));
        });
    }
    const attention_choice& choice() const { return choice_; }
    const attention_config& config() const { return choice_.sizes; }
    // Does the attention drop weights under dropout(p, seed)?
    bool takes_dropout() const {
        bool takes = false;
        detail::at_place(parts_.index(), [&](auto i) {
            takes = std::tuple_element_t<i, detail::chosen_heads>::takes(option_kind::dropout);
        });
        return takes;
    }

    template <class X, class... Options>
    auto operator()(const X& x, const Options&... options) const {
        tape kept;
        return forward(x, kept, options...);
    }
    template <class X, class... Options>
    auto forward(const X& x, tape& kept, const Options&... options) const {
        auto y = detail::rows_like(x, choice_.sizes.width);
        forward_into(detail::result_view(y), x, kept, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires(detail::options_of_chosen<Options...>())
    void forward_into(Y&& y, const X& x, tape& kept, const Options&... options) const {
        constexpr const char* f = "attention_layer::forward_into";
        const auto from = detail::rows_of<const T>(f, "x", x);
        const auto to = detail::written_rows<T, Y>(f, "y", y);
        const auto call = [&](const auto& parts, const auto& w, auto& t, const auto&... taken) {
            parts.run_forward(f, w, to, from, nullptr, t, taken...);
        };
        run(f, kept, true, call, options...);
    }
    template <class Dy, class X, class... Options>
    auto backward(const Dy& dy, const X& x, tape& kept, parameters& gradients,
                  const Options&... options) const {
        auto dx = detail::rows_like(x, choice_.sizes.width);
        backward_into(detail::result_view(dx), dy, x, kept, gradients, options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    requires(detail::options_of_chosen<Options...>())
    void backward_into(Dx&& dx, const Dy& dy, const X& x, tape& kept, parameters& gradients,
                       const Options&... options) const {
        constexpr const char* f = "attention_layer::backward_into";
        const auto from = detail::rows_of<const T>(f, "x", x);
        const auto up = detail::rows_of<const T>(f, "dy", dy);
        const auto to = detail::written_rows<T, Dx>(f, "dx", dx);
        check_same(f, "gradients", gradients.of.index());
        const auto call = [&](const auto& parts, const auto& w, auto& t, const auto&... taken) {
            auto& g = std::get<std::remove_cvref_t<decltype(w)>>(gradients.of);
            parts.run_backward(f, w, {to, nullptr, up, from, nullptr}, t, g, taken...);
        };
        // No forward has filled it: the backward of any layer says so.
        const bool empty = std::visit([](const auto& held) { return held.streams.size() == 0; }, kept.of);
        run(f, kept, empty, call, options...);
    }
    template <class X, class... Options>
    auto extend(const X& x, stream& s, const Options&... options) const {
        auto y = detail::rows_like(x, choice_.sizes.width);
        extend_into(detail::result_view(y), x, s, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires(detail::stream_options_of_chosen<Options...>())
    void extend_into(Y&& y, const X& x, stream& s, const Options&... options) const {
        constexpr const char* f = "attention_layer::extend_into";
        if (!choice_.causal) detail::fail(f, {"the choice is not causal, and a stream has to be"});
        const auto from = detail::rows_of<const T>(f, "x", x);
        const auto to = detail::written_rows<T, Y>(f, "y", y);
        // A new stream is that of any layer.
        const bool fresh = std::visit([](const auto& held) { return held.position == 0; }, s.of);
        const auto call = [&](const auto& parts, const auto& w, auto& held, const auto&... taken) {
            parts.run_extend(f, w, to, from, held, taken...);
        };
        run(f, s, fresh, call, options...);
    }

private:
    attention_choice choice_;
    detail::chosen<T, detail::layer_parts> parts_;

    void check_same(std::string_view f, const char* name, std::size_t place) const {
        if (place != parts_.index())
            detail::fail(f, {name, " are those of another choice of attention than ", name_of(choice_.use)});
    }

    template <class... Options>
    void check_dropout(std::string_view f, const Options&... options) const {
        detail::check_dropout(f, options...);
        const auto& drop = detail::pick<option_kind::dropout>(options...);
        if constexpr (!detail::is_absent<decltype(drop)>)
            if (drop.probability > 0 && !takes_dropout())
                detail::fail(f, {"dropout is ", drop.probability, ", needs 0: ", name_of(choice_.use),
                                 " takes no dropout; exact and window do"});
    }

    // body(layer, weights, kept, options…) of the layer that is held, with its masks among the options;
    // `kept` becomes its kind if it is `fresh`.
    template <class Kept, class Body, class... Options>
    void run(std::string_view f, Kept& kept, bool fresh, const Body& body, const Options&... options) const {
        check_dropout(f, options...);
        check_same(f, "weights", weights.of.index());
        if (!fresh) check_same(f, "tape or stream", kept.of.index());
        detail::at_place(parts_.index(), [&](auto i) {
            if (kept.of.index() != i) kept.of.template emplace<i>();
            const auto call = [&](const auto&... masks) {
                detail::with_options_of<std::tuple_element_t<i, detail::chosen_heads>>(
                    [&](const auto&... taken) {
                        body(std::get<i>(parts_), std::get<i>(weights.of), std::get<i>(kept.of), taken...);
                    },
                    masks..., options...);
            };
            const index w = choice_.window;
            if constexpr (i == 0) {
                if (choice_.use == variant::window)
                    call(window(w - 1, choice_.causal ? 0 : w - 1));
                else if (choice_.causal)
                    call(causal);
                else
                    call();
            } else if (i > 1 || choice_.causal) {
                call(causal);
            } else if constexpr (i == 1) {
                call();
            }
        });
    }
};

// The layer of a choice; equal seeds give equal weights.
template <class T>
attention_layer<T> make_attention(const attention_choice& choice, std::uint64_t seed = 0) {
    return attention_layer<T>(choice, seed);
}

}  // namespace heed::inline HEED_ABI
