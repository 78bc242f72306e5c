// SPDX-License-Identifier: MIT
// heed/layers/heads/concept.hpp: what a multi-head layer asks of the attention inside it
//
// A multi-head layer projects its input to what a variant reads (queries, keys and values; or o, a1 and
// a2 of cummax), lets the variant make one output a head of them, and projects that. A variant, ours or
// your own (examples/14_own_heads.cpp), is a type with nothing but static members, heed::concepts::heads:
//
//     streams                           how many projections
//     stream_of(config, i)              heads, features and whether rotary positions rotate it
//     value_dim(config)                 features of a head's output
//     takes(kind)                       the options it understands; the layer passes no other
//     crosses                           true where projections from the second on may come from another
//                                       sequence
//     parameters<T>                     what it learns itself (heed/layers/parameters.hpp), made from a
//                                       config and a seed
//     tape<T>                           what its backward needs beside projections and output
//     forward(function, y, projections, parameters, tape, options…)           writes y
//     backward(function, d, dy, projections, y, parameters, tape, gradients, options…)
//                                       writes d, adds to gradients
//     stream_state<T>                   what is carried from position to position
//     extend(function, y, projections, parameters, state, options…)           the next positions
//     attend(function, y, projections, parameters, options…)              optional: a forward without a tape
//     validate(function, options…)      optional: refuses options that no call can have, before another
//                                       variant of a blend has moved on, or a backward has added to a
//                                       gradient
//     check_backward(function, projections, options…)
//                                       optional: refuses gradients that a backward's options ask for
//     extend_cross(function, y, projections, parameters, tape, state, options…)
//                                       the next positions over a memory that stays; where stream_state has
//                                       a `memory` with forget(), called when another comes. The rest
//                                       calls forward
//
// What heads_base says need not be said again: crosses is false, and nothing is learned or kept on a tape.
//
// y is (batch, head, position, value_dim), projection i (batch, heads, position, dim), views into fused rows.
#pragma once

#include <concepts>
#include <tuple>

#include <heed/core/option.hpp>
#include <heed/core/resources.hpp>
#include <heed/layers/parameters.hpp>

namespace heed::inline HEED_ABI {

// The sizes of a multi-head layer. 0 stands for the usual: kv_heads = heads, head_dim = width / heads.
struct attention_config {
    index width = 0;
    index heads = 1;
    index kv_heads = 0;
    index head_dim = 0;
    index memory_width = 0;  // of what keys and values are made of, in cross attention; 0: of x itself
    bool in_bias = false;    // of the projection to queries, keys and values
    bool out_bias = false;
    bool out_projection = true;  // without it heads * head_dim has to be the width
    index rotary_positions = 0;  // the longest sequence that rotary positions are made for; 0: none
    double rotary_base = 10000;

    bool operator==(const attention_config&) const = default;
};

// One of the projections of a variant.
struct stream_shape {
    index heads;
    index dim;
    bool rotary;
    index width() const { return heads * dim; }
};

namespace detail {

// An option as a list of one, or of none where the variant does not take it.
template <class Heads, class O>
auto taken_option(const O& o) {
    if constexpr (Heads::takes(O::kind))
        return std::tuple<const O&>(o);
    else
        return std::tuple<>();
}
// run(options…) with the options that the variant takes.
template <class Heads, class Run, class... Options>
decltype(auto) with_options_of(const Run& run, const Options&... options) {
    return std::apply(run, std::tuple_cat(taken_option<Heads>(options)...));
}

// What a variant can say of options without a call.
template <class Heads, class... Options>
void check_options_of(std::string_view function, const Options&... options) {
    with_options_of<Heads>(
        [&](const auto&... o) {
            if constexpr (requires { Heads::validate(function, o...); }) Heads::validate(function, o...);
        },
        options...);
}

// What a variant says of the gradients that options ask its backward for.
template <class Heads, class Projections, class... Options>
void check_heads_backward(std::string_view function, const Projections& projections,
                          const Options&... options) {
    with_options_of<Heads>(
        [&](const auto&... o) {
            if constexpr (requires { Heads::check_backward(function, projections, o...); })
                Heads::check_backward(function, projections, o...);
        },
        options...);
}

// True where a stream keeps something made of a memory's keys and values.
template <class T, class Heads>
concept keeps_memory = requires(typename Heads::template stream_state<T>& s) { s.memory.forget(); };

constexpr bool resource_kind(option_kind kind) { return kind == option_kind::on || kind == option_kind::use; }

// A variant that learns nothing of its own.
template <class T>
struct no_parameters {
    no_parameters() = default;
    no_parameters(const attention_config&, std::uint64_t) {}
    template <class F, class... P>
    static void each(F&&, P&...) {}
};

// A backward that reads nothing but the projections.
template <class T>
struct no_tape {};

}  // namespace detail

// What most variants have in common.
struct heads_base {
    static constexpr bool crosses = false;
    template <class T>
    using parameters = detail::no_parameters<T>;
    template <class T>
    using tape = detail::no_tape<T>;
};

namespace concepts {

// An attention that stands inside of layers.
template <class H>
concept heads = requires(const attention_config& c) {
    { H::streams } -> std::convertible_to<int>;
    { H::stream_of(c, 0) } -> std::convertible_to<stream_shape>;
    { H::value_dim(c) } -> std::convertible_to<index>;
    { H::takes(option_kind::mask) } -> std::convertible_to<bool>;
    { H::crosses } -> std::convertible_to<bool>;
    typename H::template parameters<float>;
    typename H::template tape<float>;
    typename H::template stream_state<float>;
};

}  // namespace concepts
}  // namespace heed::inline HEED_ABI
