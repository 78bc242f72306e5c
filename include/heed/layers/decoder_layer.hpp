// SPDX-License-Identifier: MIT
// heed/layers/decoder_layer.hpp: causal attention, attention over a memory, and a feed-forward
//
//     norm_place::after      h = norm1(x + drop(attention(x)))
//                            u = norm2(h + drop(cross_attention(h, memory)))
//                            y = norm3(u + drop(feed_forward(u)))
//     norm_place::before     the same sums, the norms in front of the branches
//
//     heed::decoder_layer<float> layer({.attention = {.width = 512, .heads = 8}});
//     auto y = layer(x, memory, heed::for_memory(heed::key_lengths(lengths)));
//
//     heed::decoder_layer<float>::tape tape;                                      reuse it
//     auto y = layer.forward(x, memory, tape);
//     layer.backward_into(dx, d_memory, dy, x, memory, tape, gradients);          gradients are added to
//
//     heed::decoder_layer<float>::stream stream;                                  position after position
//     layer.remember(memory, stream);
//     auto y = layer.extend(x_next, stream);
//
// All calls: heed/layers/calls.hpp. x and y (…, position, width), memory (…, its positions, memory_width).
// The second template argument says which attention stands inside (heed/layers/heads/); one without a cross
// form leaves the memory to the exact one. Options go to the attention over x, which is always
// causal; those within for_memory(…) to the attention over the memory; those of a backward are the forward's
// and its gradients. Beside them on(device), use(workspace) and dropout(p, seed), which drops numbers of all
// branches and weights of an attention that takes the option. Layers that follow each other
// need a seed each, which heed::stack gives them (heed/layers/stack.hpp).
//
// Cost: 2 positions (6 width^2 + 2 width hidden) + 4 memory positions memory_width width flops for equal
// widths of all heads, and both attentions; three times that with the backward. In a stream the memory is
// projected once. The same bits for any number of threads. Throws heed::error before y is written, and before
// a backward writes anything; a stream whose attention over the memory refuses an option has taken the
// positions in all the same.
//
// Source: Vaswani et al., 2017 (arXiv:1706.03762).
#pragma once

#include <heed/layers/block_parts.hpp>
#include <heed/layers/calls.hpp>

namespace heed::inline HEED_ABI {

// cross_attention.width is 0 for the attention's sizes, without rotary positions; its memory_width then is
// the width, unless it is given. feed_forward.width is 0 for the attention's.
struct decoder_config {
    attention_config attention{};
    attention_config cross_attention{};
    feed_forward_config feed_forward{};
    norm_place norm = norm_place::after;
};

// An attention that has no cross form leaves the memory to the exact one.
template <class Heads>
using cross_heads_of = std::conditional_t<Heads::crosses, Heads, exact_heads>;

template <class T, class Heads>
struct decoder_parameters {
    multi_head_parameters<T, Heads> attention;
    multi_head_parameters<T, cross_heads_of<Heads>> cross_attention;
    feed_forward_parameters<T> feed_forward;
    layer_norm_parameters<T> norm1;
    layer_norm_parameters<T> norm2;
    layer_norm_parameters<T> norm3;

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("attention", f, p.attention...);
        visit("cross_attention", f, p.cross_attention...);
        visit("feed_forward", f, p.feed_forward...);
        visit("norm1", f, p.norm1...);
        visit("norm2", f, p.norm2...);
        visit("norm3", f, p.norm3...);
    }
    std::array<layer_norm_parameters<T>*, 3> norms() { return {&norm1, &norm2, &norm3}; }
    std::array<const layer_norm_parameters<T>*, 3> norms() const { return {&norm1, &norm2, &norm3}; }
};

template <class T, class Heads>
using decoder_tape = detail::block_tape<T, Heads, cross_heads_of<Heads>>;
template <class T, class Heads>
using decoder_stream = detail::block_stream<T, Heads, cross_heads_of<Heads>>;

namespace detail {

template <class T, class Heads>
struct decoder_facts : layer_facts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::decoder_layer<T>: T is float or double");
    static constexpr literal name{"decoder_layer"};
    static constexpr bool reads_second = true, needs_second = true;
    using value = T;
    using heads = Heads;
    using cross_heads = cross_heads_of<Heads>;
    using config_type = decoder_config;
    using parameters = decoder_parameters<T, Heads>;

    static void check_attention(const char* f, const attention_config& c) {
        if (c.memory_width != 0)
            fail(f, {"attention.memory_width is ", c.memory_width,
                     ", needs 0; that of the memory is cross_attention.memory_width"});
    }
    static attention_config cross_config(const char* f, const decoder_config& c) {
        attention_config of = c.cross_attention;
        if (of.width == 0) {
            of = c.attention;
            of.rotary_positions = 0;
            of.memory_width = c.cross_attention.memory_width;
        }
        if (of.memory_width == 0) of.memory_width = c.attention.width;
        if (of.width != c.attention.width)
            fail(f, {"cross_attention.width is ", of.width, ", needs the attention's, ", c.attention.width,
                     ", or 0"});
        return of;
    }
    template <class... Options>
    static constexpr bool options() {
        static_assert((is_option<Options> && ...),
                      "heed::decoder_layer: an argument behind x, memory and tape is not an option");
        static_assert(((Heads::takes(Options::kind) || resource_kind(Options::kind) ||
                        Options::kind == option_kind::dropout || Options::kind == option_kind::memory) &&
                       ...),
                      "heed::decoder_layer: neither the layer nor the attention inside takes one of these "
                      "options; heed/layers/heads/ lists what each takes");
        HEED_OPTIONS_ONCE("heed::decoder_layer");
        static_assert(
            (takes_for_memory<cross_heads, Options> && ...),
            "heed::decoder_layer: the attention over the memory does not take one of the options in "
            "for_memory(…); heed/layers/heads/ lists what each takes");
        return true;
    }
};
template <class T, class Heads>
using decoder_parts = block_parts<decoder_facts<T, Heads>>;

}  // namespace detail

template <class T, class Heads = exact_heads>
class decoder_layer : public detail::layer_calls<decoder_layer<T, Heads>, detail::decoder_parts<T, Heads>> {
    using calls = detail::layer_calls<decoder_layer<T, Heads>, detail::decoder_parts<T, Heads>>;

public:
    using stream = decoder_stream<T, Heads>;
    using calls::calls;
};

}  // namespace heed::inline HEED_ABI
