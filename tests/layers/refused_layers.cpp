// SPDX-License-Identifier: MIT
// tests/layers/refused_layers.cpp: tapes and weights of another layer, in layers made of several parts
#include <heed/layers/decoder_layer.hpp>
#include <heed/layers/encoder_layer.hpp>
#include <heed/layers/heads/blend.hpp>
#include <heed/layers/heads/gated_delta.hpp>
#include <heed/layers/heads/maxstate_super.hpp>
#include <heed/layers/multi_head.hpp>
#include <heed/layers/sam_out_layer.hpp>

#include "support/layer_gradient.hpp"
#include "support/refused.hpp"

namespace {

using support::check_refused;
using rows = support::tensor<float, 3>;
using heed::activation;
using heed::norm_place;

rows random_rows(long positions, long width) {
    support::random r(static_cast<std::uint64_t>(positions * 100 + width));
    rows x(2, positions, width);
    support::fill_normal(x, r);
    return x;
}
const rows x = random_rows(5, 8), dy = random_rows(5, 8), memory = random_rows(4, 8);

// A backward of `layer` with a tape of `other`, both of which read x.
template <class Layer, class Config>
void refuses_tape(const Config& made, const Config& other, const std::string& words) {
    const Layer layer(made);
    typename Layer::tape tape;
    auto g = heed::zeros_like(layer.weights);
    rows dx = random_rows(5, 8);
    (void)Layer(other).forward(x, tape);
    check_refused([&] { layer.backward_into(dx, dy, x, tape, g); }, words, dx, g);
    (void)layer.forward(x, tape);
    layer.backward_into(dx, dy, x, tape, g);
}
// Calls of a layer whose weights were changed.
template <class Layer, class Config, class Change>
void refuses_weights(const Config& made, const Change& change, const std::string& words) {
    Layer layer(made);
    typename Layer::tape tape;
    typename Layer::stream stream;
    rows y = random_rows(5, 8);
    (void)layer.forward(x, tape);
    change(layer.weights);
    auto g = heed::zeros_like(layer.weights);
    check_refused([&] { layer.forward_into(y, x, tape); }, words, y);
    check_refused([&] { layer.backward_into(y, dy, x, tape, g); }, words, y, g);
    check_refused([&] { layer.extend_into(y, x, stream); }, words, y);
}

template <class Heads>
using multi_head = heed::multi_head_attention<float, Heads>;
using exact = multi_head<heed::exact_heads>;
using encoder = heed::encoder_layer<float>;
using decoder = heed::decoder_layer<float>;
using sam_out = heed::sam_out_layer<float>;

}  // namespace

TEST_CASE("a multi-head layer refuses a tape of another") {
    using config = heed::attention_config;
    refuses_tape<exact, config>({.width = 8, .heads = 4}, {.width = 8, .heads = 2},
                                "tape holds the forward of another attention (heads 2, kv_heads 2, head_dim "
                                "4, rotary_positions 0); needs one of the same config (heads 4, kv_heads 4");
    refuses_tape<exact, config>({.width = 8, .heads = 4}, {.width = 8, .heads = 4, .kv_heads = 2},
                                "of 16 features; needs the forward of this call, 2 x 5 of 24");
    refuses_tape<exact, config>({.width = 8, .heads = 2}, {.width = 8, .heads = 2, .rotary_positions = 9},
                                "rotary_positions 9); needs one of the same config");
}

TEST_CASE("a multi-head layer refuses weights of another by name") {
    using config = heed::attention_config;
    const exact narrow({.width = 4, .heads = 4});
    refuses_weights<exact, config>(
        {.width = 8, .heads = 4}, [&](auto& w) { w = narrow.weights; },
        "weights.in.weight is 4 x 12, needs 8 x 24");
    refuses_weights<exact, config>(
        {.width = 8, .heads = 4}, [&](auto& w) { w.out = narrow.weights.out; },
        "weights.out.weight is 4 x 4, needs 8 x 8");
    refuses_weights<exact, config>(
        {.width = 8, .heads = 4, .in_bias = true}, [](auto& w) { w.in.bias.resize(3); },
        "weights.in.bias has 3 entries, needs 24");

    exact cross({.width = 8, .heads = 2, .memory_width = 8});
    exact::stream stream;
    exact::tape tape;
    rows y = random_rows(5, 8);
    cross.weights.memory = exact({.width = 8, .heads = 2, .memory_width = 6}).weights.memory;
    const std::string words = "weights.memory.weight is 6 x 16, needs 8 x 16";
    check_refused([&] { cross.remember(memory, stream); }, words);
    check_refused([&] { cross.forward_into(y, x, memory, tape); }, words, y);
}

TEST_CASE("what the attention inside learns has the sizes of its config") {
    using config = heed::attention_config;
    using delta = heed::gated_delta_heads;
    refuses_weights<multi_head<delta>, config>(
        {.width = 8, .heads = 2}, [](auto& w) { w.heads.decay.resize(1); },
        "weights.heads.decay has 1 entries along axis 0, needs 2");
    using mixed = multi_head<heed::maxstate_super_mixed_heads>;
    refuses_weights<mixed, config>(
        {.width = 8, .heads = 2}, [](auto& w) { w.heads.head_mix.resize(2, 5); },
        "weights.heads.head_mix has 5 entries along axis 1, needs 10");
    refuses_weights<mixed, config>(
        {.width = 8, .heads = 2}, [](auto& w) { w.heads.alphas.resize(0); },
        "weights.heads.alphas has 0 entries along axis 0, needs 3");
    refuses_weights<multi_head<heed::blend_heads<delta, heed::exact_heads>>, config>(
        {.width = 8, .heads = 2}, [](auto& w) { w.heads.first.decay.resize(4); },
        "weights.heads.first.decay has 4 entries along axis 0, needs 2");
}

TEST_CASE("an encoder layer refuses a tape of another before it adds to a gradient") {
    const auto refuses = [](const heed::encoder_config& made, const heed::encoder_config& other,
                            const std::string& words) { refuses_tape<encoder>(made, other, words); };
    const heed::attention_config attention{.width = 8, .heads = 2};
    refuses({.attention = attention, .feed_forward = {.activation = activation::gated_relu}},
            {.attention = attention, .feed_forward = {.activation = activation::relu}},
            "tape holds the forward of another feed-forward (8 wide, 32 hidden, relu)");
    refuses({.attention = attention}, {.attention = attention, .feed_forward = {.hidden = 5}},
            "another feed-forward (8 wide, 5 hidden");
    refuses({.attention = attention}, {.attention = {.width = 8, .heads = 2, .kv_heads = 1}},
            "positions of x, of 16 features");
    refuses({.attention = attention}, {.attention = {.width = 8, .heads = 4}}, "another attention (heads 4");
    const heed::encoder_config before{.attention = attention, .norm = norm_place::before};
    refuses(before, {.attention = attention},
            "tape holds a forward with norms after the branches, this layer has them before");
    refuses({.attention = attention}, before,
            "tape holds a forward with norms before the branches, this layer has them after");
}

TEST_CASE("an encoder layer refuses weights of another by name") {
    const heed::encoder_config config{.attention = {.width = 8, .heads = 2}};
    const auto refuses = [&](const auto& change, const std::string& words) {
        refuses_weights<encoder>(config, change, words);
    };
    refuses([](auto& w) { w.norm2.bias.resize(2); }, "weights.norm2.bias has 2 entries, needs 8");
    refuses([](auto& w) { w.norm1.weight.resize(9); }, "weights.norm1.weight has 9 entries, needs 8");
    refuses([](auto& w) { w.feed_forward.down.weight.resize(4, 8); },
            "weights.feed_forward.down.weight is 4 x 8, needs 32 x 8");
    refuses([](auto& w) { w.attention.out.weight.resize(8, 4); },
            "weights.attention.out.weight is 8 x 4, needs 8 x 8");
}

TEST_CASE("a decoder layer refuses a tape of another before it adds to a gradient or writes") {
    const heed::attention_config attention{.width = 8, .heads = 2};
    const decoder layer({.attention = attention});
    const auto refuses = [&](const heed::decoder_config& other, const std::string& words) {
        decoder::tape tape;
        auto g = heed::zeros_like(layer.weights);
        rows dx = random_rows(5, 8), d_memory = random_rows(4, 8);
        (void)decoder(other).forward(x, memory, tape);
        check_refused([&] { layer.backward_into(dx, d_memory, dy, x, memory, tape, g); }, words, dx, d_memory,
                      g);
    };
    const heed::attention_config shared{.width = 8, .heads = 2, .kv_heads = 1};
    refuses({.attention = shared}, "positions of x, of 16 features");
    refuses({.attention = attention, .cross_attention = shared}, "positions of memory, of 8 features");
    refuses({.attention = attention, .cross_attention = {.width = 8, .heads = 4}},
            "another attention (heads 4");
    refuses({.attention = attention, .feed_forward = {.hidden = 5}}, "another feed-forward");
    refuses({.attention = attention, .norm = norm_place::before}, "norms before the branches");
}

TEST_CASE("a decoder layer refuses weights of another by name") {
    const auto refuses = [](const auto& change, const std::string& words) {
        decoder layer({.attention = {.width = 8, .heads = 2}});
        decoder::tape tape;
        decoder::stream stream;
        rows y = random_rows(5, 8), d_memory = random_rows(4, 8);
        layer.remember(memory, stream);
        (void)layer.forward(x, memory, tape);
        change(layer.weights);
        auto g = heed::zeros_like(layer.weights);
        check_refused([&] { layer.forward_into(y, x, memory, tape); }, words, y);
        check_refused([&] { layer.extend_into(y, x, stream); }, words, y);
        check_refused([&] { layer.remember(memory, stream); }, words);
        check_refused([&] { layer.backward_into(y, d_memory, dy, x, memory, tape, g); }, words, y, d_memory,
                      g);
    };
    refuses([](auto& w) { w.norm3.weight.resize(2); }, "weights.norm3.weight has 2 entries, needs 8");
    refuses([](auto& w) { w.cross_attention.memory.weight.resize(8, 8); },
            "weights.cross_attention.memory.weight is 8 x 8, needs 8 x 16");
    refuses([](auto& w) { w.attention.in.weight.resize(8, 8); },
            "weights.attention.in.weight is 8 x 8, needs 8 x 24");
}

TEST_CASE("a SamOut layer refuses tapes and weights of another") {
    using config = heed::sam_out_config;
    const config made{.width = 8, .heads = 2};
    refuses_tape<sam_out, config>(made, {.width = 8, .heads = 2, .hidden = 5},
                                  "another feed-forward (8 wide, 5 hidden");
    refuses_tape<sam_out, config>(made, {.width = 8, .heads = 4}, "another attention (heads 4");
    const auto refuses = [&](const auto& change, const std::string& words) {
        refuses_weights<sam_out>(made, change, words);
    };
    refuses([](auto& w) { w.alpha.resize(0); }, "weights.alpha has 0 entries, needs 1");
    refuses([](auto& w) { w.join.weight.resize(16, 8); }, "weights.join.weight is 16 x 8, needs 0 x 0");
    refuses([](auto& w) { w.norm.bias.resize(3); }, "weights.norm.bias has 3 entries, needs 8");

    sam_out::tape tape;
    const sam_out placed({.width = 8, .heads = 2, .positions = true}), plain(made);
    const support::tensor<float, 2> table = random_rows(4, 8).chip<0>(0);
    auto g = heed::zeros_like(plain.weights);
    rows dx = random_rows(5, 8);
    (void)placed.forward(x, table, tape);
    check_refused([&] { plain.backward_into(dx, dy, x, tape, g); },
                  "tape holds a forward that joined positions", dx, g);
    (void)plain.forward(x, tape);
    CHECK_THROWS(plain.forward(x, tape, heed::window(3, 0)));
    check_refused([&] { plain.backward_into(dx, dy, x, tape, g); }, "its forward was refused", dx, g);
    for (const double epsilon : {0.0, -1.0, 1e39})
        CHECK_THROWS_WITH(sam_out({.width = 8, .epsilon = epsilon}),
                          heed_test::contains("needs a positive finite number"));
}
