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
//     make_result(linear_call{}, tensors(q, k, v), options…)                   f
//     write_result(linear_call{}, tensors(y), tensors(q, k, v), options…)      f_into
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
    // The sentences about options that do not belong together.
    template <class... Options>
    static constexpr void beside() {}
};

// Calls of queries, keys and values, and their backwards.
struct query_call : call_base {
    static constexpr bool writes_sums = true;
    static constexpr const char* replaces = "q";
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

// The tensors of a call, kept for one moment: f(x...) gets them as they were given.
template <class... X>
auto tensors(X&&... x) {
    return [&](const auto& f) -> decltype(auto) { return f(std::forward<X>(x)...); };
}

template <class Y>
using written_element = stored_t<decltype(as_view(std::declval<Y&>()))>;
template <class Y>
inline constexpr bool is_read_only = std::is_const_v<written_element<Y>>;

// Element types as numbers, so that one function compares those of every call.
enum class element_code { of_float, of_double, of_half, of_bfloat16, of_another };
template <class T>
inline constexpr element_code element_code_of =
    std::is_same_v<T, float>             ? element_code::of_float
    : std::is_same_v<T, double>          ? element_code::of_double
    : std::is_same_v<T, Eigen::half>     ? element_code::of_half
    : std::is_same_v<T, Eigen::bfloat16> ? element_code::of_bfloat16
                                         : element_code::of_another;
constexpr element_code sum_of(element_code stored) {
    return stored == element_code::of_double ? stored : element_code::of_float;
}
// Do inputs [first, last) hold the first one's type, or (sums) what its sums are kept in?
template <std::size_t N>
constexpr bool are_alike(const element_code (&in)[N], std::size_t first, std::size_t last, bool sums) {
    for (std::size_t i = first; i < last; ++i)
        if (!(in[i] == in[0] || (sums && in[i] == sum_of(in[0])))) return false;
    return true;
}
// Is each output of its input's type, or (sums) what sums are kept in; those of the inputs alike all one?
template <std::size_t N, std::size_t M>
constexpr bool are_outputs(const element_code (&out)[N], const element_code (&in)[M], std::size_t alike,
                           bool sums) {
    for (std::size_t i = 0; i < N; ++i)
        if (!(out[i] == in[i] || (sums && out[i] == sum_of(in[0]))) || (i < alike && out[i] != out[0]))
            return false;
    return true;
}

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
                  const call_extents (&from)[Inputs]) {
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

// What a call of these views reads and writes, but for its options.
template <class Call>
void list_tensors(call_memory& used, std::initializer_list<byte_span> outputs,
                  std::initializer_list<byte_span> inputs) {
    std::size_t i = 0;
    for (const byte_span& x : inputs) used.reads(Call::inputs[i++], x);
    i = 0;
    for (const byte_span& y : outputs)
        Call::replaces != nullptr ? used.replaces(Call::outputs[i++], y, Call::replaces)
                                  : used.writes(Call::outputs[i++], y);
}

// New tensors for what a call writes: one, or Call::results of several.
template <class Call, class Inputs, class... Options>
auto make_result(const Call& call, const Inputs& inputs, const Options&... options) {
    return inputs([&]<class... X>(const X&... x) {
        if constexpr ((is_bundle<Options> || ...))
            return std::apply([&](const auto&... all) { return make_result(call, inputs, all...); },
                              all_options(options...));
        else if constexpr (Call::template check_inputs<const X...>() &&
                           Call::template check_options<Options...>())
            return [&](const auto&... from) {
                const auto needed = shapes_of(call, Call::name, from...);
                const auto run = [&](const auto&... to) {
                    call_memory used(Call::name);
                    list_tensors<Call>(used, {bytes_of(to)...}, {bytes_of(from)...});
                    call.run(Call::name, used, to..., from..., options...);
                };
                return [&]<std::size_t... O>(std::index_sequence<O...>) {
                    if constexpr (sizeof...(O) == 1) {
                        auto y = result_of<std::tuple_element_t<0, std::tuple<X...>>>::make(needed[0]);
                        run(result_view(y));
                        return y;
                    } else {
                        return [&](auto... made) {
                            run(result_view(made)...);
                            return typename Call::template results<decltype(made)...>{std::move(made)...};
                        }(result_of<std::tuple_element_t<O, std::tuple<X...>>>::make(needed[O])...);
                    }
                }(std::make_index_sequence<Call::outputs.count>());
            }(view<const element_of_argument<const X>>(as_view(x))...);
    });
}

// Into the caller's tensors.
template <class Call, class Outputs, class Inputs, class... Options>
void write_result(const Call& call, const Outputs& outputs, const Inputs& inputs, const Options&... options) {
    inputs([&]<class... X>(const X&... x) {
        if constexpr ((is_bundle<Options> || ...))
            std::apply([&](const auto&... all) { write_result(call, outputs, inputs, all...); },
                       all_options(options...));
        else if constexpr (Call::template check_inputs<const X...>() &&
                           Call::template check_options<Options...>())
            outputs([&]<class... Y>(Y&&... y) {
                constexpr bool fit =
                    are_outputs({element_code_of<std::remove_const_t<written_element<Y>>>...},
                                {element_code_of<element_of_argument<const X>>...}, Call::inputs_alike,
                                Call::writes_sums);
                if constexpr (Call::template check_outputs<fit, Y&&...>())
                    [&](const auto&... from) {
                        const auto needed = shapes_of(call, Call::name_into, from...);
                        [&](const auto&... to) {
                            std::size_t i = 0;
                            ((check_output(Call::name_into, Call::outputs, i, to.extents, bytes_of(to),
                                           needed[i], Call::inputs, {from.extents...}),
                              ++i),
                             ...);
                            call_memory used(Call::name_into);
                            list_tensors<Call>(used, {bytes_of(to)...}, {bytes_of(from)...});
                            call.run(Call::name_into, used, to..., from..., options...);
                        }(view<written_element<Y>>(as_view(y))...);
                    }(view<const element_of_argument<const X>>(as_view(x))...);
            });
    });
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
        constexpr ::heed::detail::element_code codes[] = {                                                 \
            ::heed::detail::element_code_of<::heed::detail::element_of_argument<X>>...};                   \
        constexpr bool alike = ::heed::detail::are_alike(codes, 0, inputs_alike, false);                   \
        constexpr bool beside_them = ::heed::detail::are_alike(codes, inputs_alike, sizeof...(X), true);   \
        static_assert(alike,                                                                               \
                      "heed::" function ": " same " hold different element types; convert them to one");   \
        static_assert(beside_them, "heed::" function ": " others " holds another element type than " same  \
                                   "; needs theirs, or float for those of half or bfloat16");              \
        return alike && beside_them;                                                                       \
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
    template <bool Fit, class... Y>                                                                        \
    static constexpr bool check_outputs() {                                                                \
        constexpr bool kept = (::heed::detail::table_may_be_kept<Y> && ...);                               \
        static_assert(kept, "heed::" function "_into: " outs                                               \
                            " is a temporary, and the result would be gone; give it a name");              \
        constexpr bool writable = !(::heed::detail::is_read_only<Y> || ...);                               \
        static_assert(writable, "heed::" function "_into: " outs " is written, and this tensor is const"); \
        static_assert(Fit || writes_sums, "heed::" function "_into: " outs                                 \
                                          " holds another element type than " same "; needs theirs");      \
        static_assert(Fit || !writes_sums,                                                                 \
                      "heed::" function "_into: " outs " holds another element type than " same            \
                      "; needs theirs, or float, all of them, for those of half or bfloat16");             \
        return kept && writable && Fit;                                                                    \
    }
