// SPDX-License-Identifier: MIT
// heed/layers/encoder_layer.hpp: attention and a feed-forward, each with the sum around it and a norm
//
//     norm_place::after      h = norm1(x + drop(attention(x)))      y = norm2(h + drop(feed_forward(h)))
//     norm_place::before     h = x + drop(attention(norm1(x)))      y = h + drop(feed_forward(norm2(h)))
//
//     heed::encoder_layer<float> layer({.attention = {.width = 768, .heads = 12}});
//     auto y = layer(x, heed::key_lengths(lengths));
//
//     heed::encoder_layer<float>::tape tape;                                      reuse it
//     auto training = layer.with(heed::causal, heed::dropout(0.1, seed));
//     auto y = training.forward(x, tape);
//     auto dx = training.backward(dy, x, tape, gradients);                        gradients are added to
//
//     heed::encoder_layer<float>::stream stream;                                  with a causal mask
//     auto y = layer.extend(x_next, stream, heed::causal);
//
// All calls: heed/layers/calls.hpp. x and y (…, position, width). The second template argument says which
// attention stands inside (heed/layers/heads/); what it takes are the options of the calls, those of a
// backward being the forward's and its gradients. Beside them on(device), use(workspace) and dropout(p,
// seed), which drops numbers of both branches, and weights of an attention that takes the option. Layers that
// follow each other need a seed each, which heed::stack gives them (heed/layers/stack.hpp).
//
// Cost: 2 positions (4 width^2 + 2 width hidden) flops for equal widths of all heads, and the attention;
// three times that with the backward. A position's tape: 7 rows of width and 2 of hidden, 7 more of width
// with the backward, and what the attention keeps. The same bits for any number of threads. Throws
// heed::error before y is written, and before a backward writes anything.
//
// Sources: Vaswani et al., 2017 (arXiv:1706.03762); norms before: Xiong et al., 2020 (arXiv:2002.04745).
#pragma once

#include <heed/layers/block_parts.hpp>
#include <heed/layers/calls.hpp>

namespace heed::inline HEED_ABI {

// feed_forward.width is 0 for the attention's; no memory_width.
struct encoder_config {
    attention_config attention{};
    feed_forward_config feed_forward{};
    norm_place norm = norm_place::after;
};

template <class T, class Heads>
struct encoder_parameters {
    multi_head_parameters<T, Heads> attention;
    feed_forward_parameters<T> feed_forward;
    layer_norm_parameters<T> norm1;
    layer_norm_parameters<T> norm2;

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("attention", f, p.attention...);
        visit("feed_forward", f, p.feed_forward...);
        visit("norm1", f, p.norm1...);
        visit("norm2", f, p.norm2...);
    }
    std::array<layer_norm_parameters<T>*, 2> norms() { return {&norm1, &norm2}; }
    std::array<const layer_norm_parameters<T>*, 2> norms() const { return {&norm1, &norm2}; }
};

template <class T, class Heads>
using encoder_tape = detail::block_tape<T, Heads, detail::no_cross>;
template <class T, class Heads>
using encoder_stream = detail::block_stream<T, Heads, detail::no_cross>;

namespace detail {

template <class T, class Heads>
struct encoder_facts : layer_facts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::encoder_layer<T>: T is float or double");
    static constexpr literal name{"encoder_layer"};
    using value = T;
    using heads = Heads;
    using cross_heads = no_cross;
    using config_type = encoder_config;
    using parameters = encoder_parameters<T, Heads>;

    static void check_attention(const char* f, const attention_config& c) {
        if (c.memory_width != 0)
            fail(f, {"attention.memory_width is ", c.memory_width,
                     ", needs 0; an encoder layer attends to x itself"});
    }
    template <class... Options>
    static constexpr bool options() {
        static_assert((is_option<Options> && ...),
                      "heed::encoder_layer: an argument behind x and tape is not an option");
        static_assert(((Heads::takes(Options::kind) || resource_kind(Options::kind) ||
                        Options::kind == option_kind::dropout) &&
                       ...),
                      "heed::encoder_layer: neither the layer nor the attention inside takes one of these "
                      "options; heed/layers/heads/ lists what each takes");
        HEED_OPTIONS_ONCE("heed::encoder_layer");
        return true;
    }
};
template <class T, class Heads>
using encoder_parts = block_parts<encoder_facts<T, Heads>>;

}  // namespace detail

template <class T, class Heads = exact_heads>
class encoder_layer : public detail::layer_calls<encoder_layer<T, Heads>, detail::encoder_parts<T, Heads>> {
    using calls = detail::layer_calls<encoder_layer<T, Heads>, detail::encoder_parts<T, Heads>>;

public:
    using stream = encoder_stream<T, Heads>;
    using calls::calls;
};

}  // namespace heed::inline HEED_ABI
