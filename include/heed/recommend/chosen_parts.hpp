// SPDX-License-Identifier: MIT
// heed/recommend/chosen_parts.hpp: the steps of a multi-head layer whose attention is chosen when the program
// runs: those of the layer that is held, with the masks of the choice among its options
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

constexpr std::size_t choice_index(variant v) {
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

// body(std::integral_constant) for choice number `choice`.
template <std::size_t Int = 0, class Body>
void at_choice(std::size_t choice, const Body& body) {
    if constexpr (Int < std::tuple_size_v<chosen_heads>) {
        if (choice == Int)
            body(std::integral_constant<std::size_t, Int>());
        else
            at_choice<Int + 1>(choice, body);
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
        detail::at_choice(first.of.index(), [&](auto i) {
            std::get<i>(first.of).each(f, std::get<i>(first.of), std::get<i>(p.of)...);
        });
    }
};

template <class T>
struct chosen_tape {
    detail::chosen<T, multi_head_tape> of;
};
template <class T>
struct chosen_stream {
    detail::chosen<T, multi_head_stream> of;
};

namespace detail {

template <class T>
struct chosen_parts : layer_facts {
    static constexpr literal name{"attention_layer"};
    using value = T;
    using config_type = attention_choice;
    using parameters = chosen_parameters<T>;
    using tape = chosen_tape<T>;
    using stream = chosen_stream<T>;
    attention_choice config_;
    chosen<T, layer_parts> held_;

    explicit chosen_parts(const attention_choice& choice) : config_(choice) {
        constexpr const char* f = "make_attention";
        check_enumerator(f, "use", choice.use, 7);
        if (choice.use == variant::quest)
            fail(f, {"quest is no layer of its own; make variant::exact, or give heed::quest to the "
                     "extend() of a multi_head_attention"});
        if (choice.sizes.memory_width != 0)
            fail(f, {"sizes.memory_width is ", choice.sizes.memory_width,
                     ", needs 0: for cross attention take multi_head_attention"});
        if (choice.use == variant::window ? choice.window < 1 : choice.window != 0)
            fail(f, {"window is ", choice.window, ", needs ",
                     choice.use == variant::window ? "at least 1" : "0 without variant::window"});
        const bool one_way = choice.use == variant::gated_delta || choice.use == variant::native ||
                             choice.use == variant::cummax;
        if (one_way && !choice.causal)
            fail(f, {name_of(choice.use), " is causal by itself; state .causal = true"});
        at_choice(choice_index(choice.use),
                  [&](auto i) { config_.sizes = held_.template emplace<i>(choice.sizes).config_; });
    }
    parameters start(std::uint64_t seed) const {
        parameters w;
        at_choice(held_.index(), [&](auto i) { w.of.template emplace<i>(std::get<i>(held_).start(seed)); });
        return w;
    }
    index input_width() const { return config_.sizes.width; }
    index output_width() const { return config_.sizes.width; }
    bool takes_dropout() const {
        bool takes = false;
        at_choice(held_.index(), [&](auto i) {
            takes = std::tuple_element_t<i, chosen_heads>::takes(option_kind::dropout);
        });
        return takes;
    }
    template <class... Options>
    static constexpr bool options() {
        return options_of_chosen<Options...>();
    }

    void check_same(std::string_view f, const char* what, std::size_t choice) const {
        if (choice != held_.index())
            fail(f, {what, " are those of another choice of attention than ", name_of(config_.use)});
    }
    template <class... Options>
    void check_choice(std::string_view f, const parameters& w, const Options&... options) const {
        check_dropout(f, options...);
        const auto& drop = pick<option_kind::dropout>(options...);
        if constexpr (!is_absent<decltype(drop)>)
            if (drop.probability > 0 && !takes_dropout())
                fail(f, {"dropout is ", drop.probability, ", needs 0: ", name_of(config_.use),
                         " takes no dropout; exact and window do"});
        check_same(f, "weights", w.of.index());
    }
    // body(choice, options…) of the layer that is held, with its masks among the options.
    template <class Body, class... Options>
    void with_choice(const Body& body, const Options&... options) const {
        at_choice(held_.index(), [&](auto i) {
            const auto call = [&](const auto&... masks) {
                with_options_of<std::tuple_element_t<i, chosen_heads>>(
                    [&](const auto&... taken) { body(i, taken...); }, masks..., options...);
            };
            const index w = config_.window;
            if constexpr (i == 0) {
                if (config_.use == variant::window)
                    call(window(w - 1, config_.causal ? 0 : w - 1));
                else if (config_.causal)
                    call(causal);
                else
                    call();
            } else if (i > 1 || config_.causal) {
                call(causal);
            } else if constexpr (i == 1) {
                call();
            }
        });
    }
    // The tape or stream as that of the layer held; a fresh one becomes its kind.
    template <std::size_t Choice, class Object>
    static auto& held_as(Object& object) {
        if (object.of.index() != Choice) object.of.template emplace<Choice>();
        return std::get<Choice>(object.of);
    }

    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&... options) const {
        check_choice(f, w, options...);
        at_choice(held_.index(), [&](auto i) { std::get<i>(held_).check_forward(f, std::get<i>(w.of), r); });
    }
    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Options&... options) const {
        const auto run = [&](auto i, const auto&... taken) {
            auto* const own = kept == nullptr ? nullptr : &held_as<i>(*kept);
            std::get<i>(held_).run_forward(f, std::get<i>(w.of), r, own, scratch, taken...);
            if (own != nullptr) own->forward_options = option_marks(taken...);
        };
        with_choice(run, options...);
    }
    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&... options) const {
        check_same(f, "gradients", g.of.index());
        check_choice(f, w, options...);
        // No forward has filled it: the backward of any layer says so.
        const bool empty = std::visit([](const auto& held) { return held.projections.size() == 0; }, kept.of);
        if (!empty) check_same(f, "tape or stream", kept.of.index());
        const auto validate = [&](auto i, const auto&... taken) {
            const auto ask = [&](const auto& own) {
                std::get<i>(held_).check_backward(f, std::get<i>(w.of), r, own, std::get<i>(g.of), taken...);
                own.forward_options.compare(f, option_marks(taken...));
            };
            if (kept.of.index() == i)
                ask(std::get<i>(kept.of));
            else
                ask(std::variant_alternative_t<i, decltype(kept.of)>());
        };
        with_choice(validate, options...);
    }
    template <class... Options>
    void run_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        const auto run = [&](auto i, const auto&... taken) {
            std::get<i>(held_).run_backward(f, std::get<i>(w.of), r, std::get<i>(kept.of), std::get<i>(g.of),
                                            scratch, taken...);
        };
        with_choice(run, options...);
    }
    template <class... Options>
    void check_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, const stream& s,
                      const Options&... options) const {
        stream_options_of_chosen<Options...>();
        if (!config_.causal) fail(f, {"the choice is not causal, and a stream has to be"});
        check_choice(f, w, options...);
        // A new stream is that of any layer.
        const bool fresh = std::visit([](const auto& held) { return held.position == 0; }, s.of);
        if (!fresh) check_same(f, "tape or stream", s.of.index());
        at_choice(held_.index(), [&](auto i) {
            const auto ask = [&](const auto& own) {
                std::get<i>(held_).check_extend(f, std::get<i>(w.of), r, own);
            };
            if (s.of.index() == i)
                ask(std::get<i>(s.of));
            else
                ask(std::variant_alternative_t<i, decltype(s.of)>());
        });
    }
    template <class... Options>
    void run_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, stream& s,
                    workspace& scratch, const Options&... options) const {
        const auto run = [&](auto i, const auto&... taken) {
            std::get<i>(held_).run_extend(f, std::get<i>(w.of), r, held_as<i>(s), scratch, taken...);
        };
        with_choice(run, options...);
    }
};

}  // namespace detail

}  // namespace heed::inline HEED_ABI
