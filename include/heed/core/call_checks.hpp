// SPDX-License-Identifier: MIT
// heed/core/call_checks.hpp: what a call (core/call.hpp) states of itself in one line, and the checks of it
//
// Element types and options when a program is compiled, the extents of what is written when it runs. A text
// names the function and its arguments.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/option.hpp>

namespace heed::inline HEED_ABI::detail {

using call_extents = std::array<index, 4>;

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
// True where inputs [first, last) hold the first one's type, or (sums) the type of its sums.
template <std::size_t N>
constexpr bool are_alike(const element_code (&in)[N], std::size_t first, std::size_t last, bool sums) {
    for (std::size_t i = first; i < last; ++i)
        if (!(in[i] == in[0] || (sums && in[i] == sum_of(in[0])))) return false;
    return true;
}
// True where each output has its input's type, or (sums) that of its sums, all of them alike.
template <std::size_t N, std::size_t M>
constexpr bool are_outputs(const element_code (&out)[N], const element_code (&in)[M], std::size_t alike,
                           bool sums) {
    for (std::size_t i = 0; i < N; ++i)
        if (!(out[i] == in[i] || (sums && out[i] == sum_of(in[0]))) || (i < alike && out[i] != out[0]))
            return false;
    return true;
}

// Output number i has the extents needed; a text compares it with an input that has them too, first of all
// with the one it is made after.
template <std::size_t Inputs>
void check_output(std::string_view function, const name_list& outputs, std::size_t i,
                  const call_extents& extents, const byte_span& memory, const call_extents& needed,
                  const name_list& inputs, const call_extents (&from)[Inputs]) {
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
