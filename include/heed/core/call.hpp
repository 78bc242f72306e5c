// SPDX-License-Identifier: MIT
// heed/core/call.hpp: what every public function of tensors has in common
//
// A function f and its twin f_into state once what they write, read and take, as a type:
//
//     struct linear_call : call_base {
//         HEED_CALL("linear_attention", "y", "q, k and v", "", "heed/linear.hpp lists those it takes");
//         static constexpr bool takes(option_kind kind);                       the options
//         static auto shapes(function, q, k, v);                               the extents of what is written
//         void run(function, call_memory&, y, q, k, v, options…) const;
//     };
//     make_result(linear_call{}, std::tie(q, k, v), options…)                  f
//     write_result(linear_call{}, std::forward_as_tuple(y), std::tie(q, k, v), options…)    f_into
//
// Both make views of the tensors, check their element types and the options when they are compiled, and then,
// before anything is written, shapes, memory and what is written; run() gets all of it under the name that
// the caller wrote, puts what its options read and write on the list of memory, validates that, and works.
// Outputs are of the kinds of the first tensors read, one after the other: y of q's, dq, dk and dv of q's,
// k's and v's.
#pragma once

#include <tuple>

#include <heed/core/broadcast.hpp>
#include <heed/core/option.hpp>
#include <heed/core/resources.hpp>

namespace heed::inline HEED_ABI {

// The gradients of q, k and v, each of its tensor's kind.
template <class Q, class K, class V>
struct attention_gradients {
    Q q;
    K k;
    V v;
};

}  // namespace heed::inline HEED_ABI

namespace heed::inline HEED_ABI::detail {

// The names of a list such as "q, k and v" as texts of their own.
struct name_list {
    char text[6][16]{};
    std::size_t count = 0;

    constexpr name_list(std::string_view list) {
        while (!list.empty()) {
            const std::string_view word = list.substr(0, list.find_first_of(" ,"));
            list.remove_prefix(word.size() < list.size() ? word.size() + 1 : word.size());
            if (word.empty() || word == "and" || word == "or") continue;
            for (std::size_t i = 0; i < word.size(); ++i) text[count][i] = word[i];
            ++count;
        }
    }
    constexpr const char* operator[](std::size_t i) const { return text[i]; }
};

// What a call says of itself unless it says otherwise.
struct call_base {
    // Outputs may hold the type sums are kept in, in the place of the element type.
    static constexpr bool writes_sums = false;
    // The input that outputs may stand on, element on element: its name, "" for any, nullptr for none.
    static constexpr const char* replaces = nullptr;
    // The input whose last axis an output has: the one that it is made after.
    static constexpr std::size_t last_axis_of(std::size_t output) { return output; }
    // The sentences about options that do not belong together.
    template <class... Options>
    static constexpr void beside() {}
};

// Calls of queries, keys and values, and their backwards.
struct query_call : call_base {
    static constexpr bool writes_sums = true;
    static constexpr const char* replaces = "q";
    static constexpr std::size_t last_axis_of(std::size_t) { return 2; }  // v's
    static auto shapes(const char* function, const auto& q, const auto& k, const auto& v) {
        return check_shapes(function, q, k, v);
    }
};
struct query_backward_call : call_base {
    static constexpr bool writes_sums = true;
    template <class... Gradients>
    using results = attention_gradients<Gradients...>;
    static auto shapes(const char* function, const auto& q, const auto& k, const auto& v, const auto& dy) {
        return check_gradient_shapes(function, q, k, v, dy);
    }
};

template <class X>
using read_view = view<const element_of_argument<X>>;
template <class Y>
using written_element = stored_t<decltype(as_view(std::declval<Y&>()))>;
template <class Y>
inline constexpr bool is_read_only = std::is_const_v<written_element<Y>>;

// T, or what sums of T are kept in.
template <class X, class T>
inline constexpr bool is_stored_or_sum = std::is_same_v<X, T> || std::is_same_v<X, sum_t<T>>;

// Element types of a call whose first `Alike` inputs X hold the same one.
template <std::size_t Alike, class... X>
struct call_elements {
    template <std::size_t I>
    using of = element_of_argument<std::tuple_element_t<I, std::tuple<X...>>>;
    using type = of<0>;

    static constexpr bool alike = []<std::size_t... I>(std::index_sequence<I...>) {
        return (std::is_same_v<of<I>, type> && ...);
    }(std::make_index_sequence<Alike>());
    static constexpr bool beside = []<std::size_t... I>(std::index_sequence<I...>) {
        return (is_stored_or_sum<of<Alike + I>, type> && ...);
    }(std::make_index_sequence<sizeof...(X) - Alike>());

    // Outputs Y: those of the inputs alike hold one type.
    template <bool Sums, class... Y>
    static constexpr bool fit_outputs() {
        using outputs = std::tuple<std::remove_const_t<written_element<Y>>...>;
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return ((std::is_same_v<std::tuple_element_t<I, outputs>, of<I>> ||
                     (Sums && std::is_same_v<std::tuple_element_t<I, outputs>, sum_t<type>>)) &&
                    ...) &&
                   ((I >= Alike ||
                     std::is_same_v<std::tuple_element_t<I, outputs>, std::tuple_element_t<0, outputs>>) &&
                    ...);
        }(std::make_index_sequence<sizeof...(Y)>());
    }
};

using call_extents = std::array<index, 4>;

// The extents of what a call writes. Without a rule of its own all its tensors have those of the first.
template <class Call, class First, class... Rest>
auto shapes_of(const Call& call, const char* function, const First& first, const Rest&... rest) {
    if constexpr (requires { call.shapes(function, first, rest...); }) {
        return call.shapes(function, first, rest...);
    } else {
        check_extents(function, Call::inputs[0], first);
        std::size_t i = 0;
        (check_same_extents(function, Call::inputs[++i], rest, Call::inputs[0], first), ...);
        std::array<call_extents, Call::outputs.count> needed;
        needed.fill(first.extents);
        return needed;
    }
}

// Output number i has the extents needed; a text compares it with an input that has them too, first of all
// with the one it is made after.
template <std::size_t Inputs>
void check_output(const char* function, const name_list& outputs, std::size_t i, const call_extents& extents,
                  const byte_span& memory, const call_extents& needed, const name_list& inputs,
                  const std::array<call_extents, Inputs>& from) {
    check_extents(function, outputs[i], extents, memory);
    for (std::size_t axis = 0; axis < 4; ++axis) {
        if (extents[axis] == needed[axis]) continue;
        std::size_t like = i;
        for (std::size_t tried = 0; from[like][axis] != needed[axis] && tried < Inputs; ++tried) like = tried;
        if (from[like][axis] != needed[axis])
            fail(function,
                 {outputs[i], " has ", extents[axis], " ", axis_names[axis], ", needs ", needed[axis]});
        fail(function, {outputs[i], " has ", extents[axis], " ", axis_names[axis], ", ", inputs[like],
                        " has ", needed[axis]});
    }
}

// Outputs `to` and inputs `from` as views, of shapes that were checked.
template <class Call, class To, class From, class... Options, std::size_t... O, std::size_t... I>
void run_call(const Call& call, const char* function, const To& to, const From& from,
              std::index_sequence<O...>, std::index_sequence<I...>, const Options&... options) {
    call_memory used(function);
    (used.reads(Call::inputs[I], bytes_of(std::get<I>(from))), ...);
    if constexpr (Call::replaces != nullptr)
        (used.replaces(Call::outputs[O], bytes_of(std::get<O>(to)), Call::replaces), ...);
    else
        (used.writes(Call::outputs[O], bytes_of(std::get<O>(to))), ...);
    call.run(function, used, std::get<O>(to)..., std::get<I>(from)..., options...);
}

template <class Call, std::size_t Output, class... X>
using call_result =
    result_of<std::remove_const_t<std::tuple_element_t<Output, std::tuple<X...>>>,
              std::remove_const_t<std::tuple_element_t<Call::last_axis_of(Output), std::tuple<X...>>>>;

// New tensors for what a call writes: one, or Call::results of several.
template <class Call, class... X, class... Options>
auto make_result(const Call& call, const std::tuple<X&...>& inputs, const Options&... options) {
    if constexpr ((is_bundle<Options> || ...))
        return std::apply([&](const auto&... all) { return make_result(call, inputs, all...); },
                          all_options(options...));
    else if constexpr (Call::template check_inputs<X...>() && Call::template check_options<Options...>())
        return [&]<std::size_t... O, std::size_t... I>(std::index_sequence<O...> outs,
                                                       std::index_sequence<I...> ins) {
            const std::tuple<read_view<X>...> from(as_view(std::get<I>(inputs))...);
            const auto needed = shapes_of(call, Call::name, std::get<I>(from)...);
            auto made = std::tuple(call_result<Call, O, X...>::make(needed[O])...);
            run_call(call, Call::name, std::tuple(call_result<Call, O, X...>::view_of(std::get<O>(made))...),
                     from, outs, ins, options...);
            if constexpr (sizeof...(O) == 1)
                return std::get<0>(std::move(made));
            else
                return typename Call::template results<std::tuple_element_t<O, decltype(made)>...>{
                    std::get<O>(std::move(made))...};
        }(std::make_index_sequence<Call::outputs.count>(), std::index_sequence_for<X...>());
}

// Into the caller's tensors.
template <class Call, class... Y, class... X, class... Options>
void write_result(const Call& call, const std::tuple<Y...>& outputs, const std::tuple<X&...>& inputs,
                  const Options&... options) {
    if constexpr ((is_bundle<Options> || ...))
        std::apply([&](const auto&... all) { return write_result(call, outputs, inputs, all...); },
                   all_options(options...));
    else if constexpr (Call::template check_inputs<X...>() && Call::template check_options<Options...>() &&
                       Call::template check_outputs<std::tuple<X...>, Y...>())
        [&]<std::size_t... O, std::size_t... I>(std::index_sequence<O...> outs,
                                                std::index_sequence<I...> ins) {
            const std::tuple<read_view<X>...> from(as_view(std::get<I>(inputs))...);
            const std::tuple<view<written_element<Y>>...> to(as_view(std::get<O>(outputs))...);
            const auto needed = shapes_of(call, Call::name_into, std::get<I>(from)...);
            const std::array<call_extents, sizeof...(X)> read{std::get<I>(from).extents...};
            (check_output(Call::name_into, Call::outputs, O, std::get<O>(to).extents,
                          bytes_of(std::get<O>(to)), needed[O], Call::inputs, read),
             ...);
            run_call(call, Call::name_into, to, from, outs, ins, options...);
        }(std::index_sequence_for<Y...>(), std::index_sequence_for<X...>());
}

}  // namespace heed::inline HEED_ABI::detail

// What a call is named, what it writes, what it reads (tensors of one element type, then others that may hold
// the type its sums are kept in) and, for an error, what options it takes: literals all, since what a
// compiler prints has to name them. The checks answer rather than only assert: a call asks them in `if
// constexpr`, so that their sentence comes before the errors of code that the mistake would break.
#define HEED_CALL(function, outs, same, others, taken)                                                     \
    static constexpr const char* name = function;                                                          \
    static constexpr const char* name_into = function "_into";                                             \
    static constexpr ::heed::detail::name_list outputs{outs};                                              \
    static constexpr ::heed::detail::name_list inputs{same ", " others};                                   \
    static constexpr std::size_t inputs_alike = ::heed::detail::name_list{same}.count;                     \
    template <class... X>                                                                                  \
    static constexpr bool check_inputs() {                                                                 \
        using elements = ::heed::detail::call_elements<inputs_alike, X...>;                                \
        static_assert(elements::alike,                                                                     \
                      "heed::" function ": " same " hold different element types; convert them to one");   \
        static_assert(elements::beside,                                                                    \
                      "heed::" function ": " others " holds another element type than " same               \
                      "; needs theirs, or float for those of half or bfloat16");                           \
        return elements::alike && elements::beside;                                                        \
    }                                                                                                      \
    template <class... Options>                                                                            \
    static constexpr bool check_options() {                                                                \
        constexpr bool are_options = (::heed::detail::is_option<Options> && ...);                          \
        static_assert(are_options, "heed::" function                                                       \
                                   ": an argument after the tensors is not an option; options are "        \
                                   "values such as heed::on(pool)");                                       \
        if constexpr (are_options) {                                                                       \
            constexpr bool are_taken = (takes(Options::kind) && ...);                                      \
            static_assert(are_taken, "heed::" function ": does not take one of these options; " taken);    \
            HEED_OPTIONS_ONCE("heed::" function);                                                          \
            if constexpr (are_taken) beside<Options...>();                                                 \
            return are_taken;                                                                              \
        } else {                                                                                           \
            return false;                                                                                  \
        }                                                                                                  \
    }                                                                                                      \
    template <class Inputs, class... Y>                                                                    \
    static constexpr bool check_outputs() {                                                                \
        constexpr bool kept = (::heed::detail::table_may_be_kept<Y> && ...);                               \
        static_assert(kept, "heed::" function "_into: " outs                                               \
                            " is a temporary, and the result would be gone; give it a name");              \
        constexpr bool writable = !(::heed::detail::is_read_only<Y> || ...);                               \
        static_assert(writable, "heed::" function "_into: " outs " is written, and this tensor is const"); \
        constexpr bool fit = []<class... X>(std::tuple<X...>*) {                                           \
            return ::heed::detail::call_elements<inputs_alike, X...>::template fit_outputs<writes_sums,    \
                                                                                           Y...>();        \
        }(static_cast<Inputs*>(nullptr));                                                                  \
        static_assert(fit || writes_sums, "heed::" function "_into: " outs                                 \
                                          " holds another element type than " same "; needs theirs");      \
        static_assert(fit || !writes_sums,                                                                 \
                      "heed::" function "_into: " outs " holds another element type than " same            \
                      "; needs theirs, or float, all of them, for those of half or bfloat16");             \
        return kept && writable && fit;                                                                    \
    }
