// SPDX-License-Identifier: MIT
// heed/layers/layer_facts.hpp: what a layer states of itself, for the methods in heed/layers/calls.hpp
//
// A layer states its steps in a struct of parts:
//
//     name, value, config_type, parameters, tape and maybe stream; options<Options...>(), which refuses
//     config_, input_width(), output_width(), start(seed)
//     check_forward(f, weights, rows, options…), run_forward(f, weights, rows, tape or nullptr, workspace, …)
//     check_backward(f, weights, rows, tape, gradients, options…), run_backward(…, workspace, options…)
//     check_extend(f, weights, rows, stream, options…), run_extend(…, workspace, options…)
//
// Each check comes once, before its run; a part of a layer is checked by that layer.
#pragma once

#include <cstdint>

#include <heed/core/resources.hpp>
#include <heed/layers/rows.hpp>

namespace heed::inline HEED_ABI::detail {

// What is stated of most layers; parts that differ say so.
struct layer_facts {
    static constexpr bool keeps_tape = true;
    static constexpr bool reads_second = false, needs_second = false;
    static constexpr bool stream_reads_second = false;
    static constexpr bool adds_second = false;  // to the gradient of the second input, or writes it
    static constexpr const char* second_name = "memory";
    static constexpr const char* d_second_name = "d_memory";
};

// Layers run on a device and in a workspace; they take no other option but those they name themselves.
template <class... Options>
constexpr bool only_resources() {
    static_assert(((is_option<Options> && (option_of_kind<Options, option_kind::on> ||
                                           option_of_kind<Options, option_kind::use>)) &&
                   ...),
                  "heed: this layer takes the options on(device) and use(workspace), and no other");
    return true;
}

struct tapeless {};
struct no_stream {};

template <class Parts>
struct stream_type_of {
    using type = no_stream;
};
template <class Parts>
requires requires { typename Parts::stream; }
struct stream_type_of<Parts> {
    using type = typename Parts::stream;
};

template <class Tape>
concept remembers_options = requires(Tape& tape) { tape.forward_options; };

template <class...>
inline constexpr bool no_type = false;

template <class Tape, class...>
inline constexpr bool begins_with_tape = false;
template <class Tape, class First, class... Rest>
inline constexpr bool begins_with_tape<Tape, First, Rest...> = std::is_same_v<Tape, First>;

}  // namespace heed::inline HEED_ABI::detail
