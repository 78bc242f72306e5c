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

#include <heed/core/call_checks.hpp>
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

// What a call says of itself unless it says otherwise.
struct call_base {
    // Outputs may hold the type sums are kept in, in the place of the element type.
    static constexpr bool writes_sums = false;
    // The input that outputs may stand on, element on element: its name, "" for any, nullptr for none.
    static constexpr const char* replaces = nullptr;
    // The input whose last axis an output has: the one that it is made after. One past the last input: none.
    static constexpr std::size_t last_axis_of(std::size_t output) { return output; }
    // What holds several outputs; a single one is the result itself.
    template <class... Outputs>
    using results = std::tuple<Outputs...>;
    // The sentences about options that do not belong together.
    template <class... Options>
    static constexpr void beside() {}
};

// Calls of queries, keys and values, and their backwards.
struct query_call : call_base {
    static constexpr bool writes_sums = true;
    static constexpr const char* replaces = "q";
    static constexpr std::size_t last_axis_of(std::size_t) { return 2; }  // v's
    static auto shapes(std::string_view function, const auto& q, const auto& k, const auto& v) {
        return check_shapes(function, q, k, v);
    }
};
struct query_backward_call : call_base {
    static constexpr bool writes_sums = true;
    template <class... Gradients>
    using results = attention_gradients<Gradients...>;
    static auto shapes(std::string_view function, const auto& q, const auto& k, const auto& v,
                       const auto& dy) {
        return check_gradient_shapes(function, q, k, v, dy);
    }
};

// The tensors of a call, kept for one moment: f(x...) gets them as they were given.
template <class... X>
auto tensors(X&&... x) {
    return [&](const auto& f) -> decltype(auto) { return f(std::forward<X>(x)...); };
}

// The extents of what a call writes. Without a rule of its own all its tensors have those of the first.
template <class Call, class First, class... Rest>
auto shapes_of(const Call& call, std::string_view function, const First& first, const Rest&... rest) {
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

template <class Call, std::size_t Output, class... X>
using call_result = result_of<std::tuple_element_t<Output, std::tuple<X...>>,
                              std::tuple_element_t<Call::last_axis_of(Output), std::tuple<X..., void>>>;

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
                if constexpr (Call::outputs.count == 1) {
                    using result = call_result<Call, 0, X...>;
                    auto y = result::make(needed[0]);
                    run(result::view_of(y));
                    return y;
                } else {
                    return [&]<std::size_t... O>(std::index_sequence<O...>) {
                        return [&](auto... made) {
                            run(call_result<Call, O, X...>::view_of(made)...);
                            return typename Call::template results<decltype(made)...>{std::move(made)...};
                        }(call_result<Call, O, X...>::make(needed[O])...);
                    }(std::make_index_sequence<Call::outputs.count>());
                }
            }(view<const element_of_argument<const X>>(as_view(x))...);
    });
}

// Into the caller's tensors, under the name of the function that its user wrote: a layer's method, say.
template <class Call, class Outputs, class Inputs, class... Options>
void write_result_as(std::string_view function, const Call& call, const Outputs& outputs,
                     const Inputs& inputs, const Options&... options) {
    inputs([&]<class... X>(const X&... x) {
        if constexpr ((is_bundle<Options> || ...))
            std::apply([&](const auto&... all) { write_result_as(function, call, outputs, inputs, all...); },
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
                        const auto needed = shapes_of(call, function, from...);
                        [&](const auto&... to) {
                            std::size_t i = 0;
                            ((check_output(function, Call::outputs, i, to.extents, bytes_of(to), needed[i],
                                           Call::inputs, {from.extents...}),
                              ++i),
                             ...);
                            call_memory used(function);
                            list_tensors<Call>(used, {bytes_of(to)...}, {bytes_of(from)...});
                            call.run(function, used, to..., from..., options...);
                        }(view<written_element<Y>>(as_view(y))...);
                    }(view<const element_of_argument<const X>>(as_view(x))...);
            });
    });
}

template <class Call, class Outputs, class Inputs, class... Options>
void write_result(const Call& call, const Outputs& outputs, const Inputs& inputs, const Options&... options) {
    write_result_as(Call::name_into, call, outputs, inputs, options...);
}

}  // namespace heed::inline HEED_ABI::detail
