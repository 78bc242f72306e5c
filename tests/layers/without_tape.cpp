// SPDX-License-Identifier: MIT
// tests/layers/without_tape.cpp: calls that keep no tape give the bits of those that do, and allocate nothing
#include <heed/layers.hpp>
#include <heed/recommend.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/multi_head_problem.hpp"

namespace {

using support::elements, support::same_bits;
using rows = support::tensor<float, 3>;
constexpr long width = 8, batch = 2, positions = 7;

template <class Run>
long allocations(const Run& run) {
    const support::allocation_watch watch;
    run();
    return watch.count();
}
rows random_rows(long count, std::uint64_t seed, long features = width) {
    support::random r(seed);
    return support::random_rows<float>(r, batch, count, features);
}

// a: the arguments behind x, a second input first; any_size: may the size change from call to call?
template <class Layer, class... A>
void check(const char* name, const Layer& layer, const rows& want, bool any_size, const A&... a) {
    INFO(name);
    const rows x = random_rows(positions, 1), less = random_rows(positions - 3, 2);
    heed::workspace memory;
    rows y(batch, positions, want.dimension(2)), y_less(batch, positions - 3, want.dimension(2));
    const auto whole = [&] { layer.forward_into(y, x, a..., heed::use(memory)); };
    const auto part = [&] { layer.forward_into(y_less, less, a..., heed::use(memory)); };
    whole();
    CHECK(same_bits(elements(y), elements(want)));
    CHECK(same_bits(elements(layer(x, a...)), elements(want)));
    CHECK(allocations(whole) == 0);
    CHECK(allocations([&] { (void)layer(x, a..., heed::use(memory)); }) == 1);  // its result
    if (any_size) {
        part();  // fewer rows may go through another kernel, which has its own scratch
        CHECK(allocations(part) == 0);
        CHECK(allocations(whole) == 0);
        heed::workspace grown;
        layer.forward_into(y_less, less, a..., heed::use(grown));
        layer.forward_into(y, x, a..., heed::use(grown));
        CHECK(allocations([&] {
                  layer.forward_into(y, x, a..., heed::use(grown));
                  layer.forward_into(y_less, less, a..., heed::use(grown));
              }) == 0);
    }
    const heed::thread_pool pool(3);
    y.setZero();
    layer.forward_into(y, x, a..., heed::use(memory), heed::on(pool));
    CHECK(same_bits(elements(y), elements(want)));
}
template <class Layer, class... Options>
void check_taped(const char* name, const Layer& layer, bool any_size, const Options&... options) {
    typename Layer::tape tape;
    check(name, layer, layer.forward(random_rows(positions, 1), tape, options...), any_size, options...);
}
template <class Heads, class... Options>
void check_heads(const char* name, bool any_size, const Options&... options) {
    check_taped(name, heed::multi_head_attention<float, Heads>({.width = width, .heads = 2}, 3), any_size,
                options...);
}

}  // namespace

TEST_CASE("norms, products and feed-forwards work in the workspace") {
    const rows x = random_rows(positions, 1);
    check_taped("layer_norm", heed::layer_norm<float>({.width = width}), true);
    check_taped("feed_forward", heed::feed_forward<float>({.width = width}, 3), true);
    check_taped("gated",
                heed::feed_forward<float>({.width = width, .activation = heed::activation::gated_relu}, 3),
                true);
    const heed::projection<float> product({.inputs = width, .outputs = 5}, 3);
    check("projection", product, product(x), true);
    heed::rep_batch_norm<float> norm({.width = width, .warm_up = 1});
    norm.inference_lambda = 0.5;
    check("rep_batch_norm", norm, norm(x), true);
}

TEST_CASE("attention works in the workspace, whatever stands inside") {
    check_heads<heed::exact_heads>("exact", true, heed::causal, heed::softcap(2));
    check_heads<heed::linear_heads>("linear", true, heed::causal);
    check_heads<heed::psa_heads>("psa", true, heed::causal, heed::psa(0.5));
    check_heads<heed::cummax_heads>("cummax", true);
    check_heads<heed::maxstate_super_heads>("maxstate_super", true);
    // These work in tensors of the call's size.
    check_heads<heed::gated_delta_heads>("gated_delta", false);
    check_heads<heed::native_heads>("native", false);
    check_heads<heed::blend_heads<heed::exact_heads, heed::cummax_heads>>("blend", false, heed::causal);
    const heed::multi_head_attention<float> cross({.width = width, .heads = 2, .memory_width = 5}, 3);
    const rows memory = random_rows(4, 3, 5), x = random_rows(positions, 1);
    heed::multi_head_attention<float>::tape tape;
    check("cross", cross, cross.forward(x, memory, tape), true, memory);
    check_taped("chosen",
                heed::make_attention<float>({.sizes = {.width = width, .heads = 2}, .causal = true}), true);
}

TEST_CASE("layers of several parts work in the workspace") {
    const rows x = random_rows(positions, 1), memory = random_rows(4, 3);
    for (const auto place : {heed::norm_place::before, heed::norm_place::after}) {
        const heed::attention_config attention{.width = width, .heads = 2, .rotary_positions = 9};
        check_taped("encoder", heed::encoder_layer<float>({.attention = attention, .norm = place}, 3), true,
                    heed::causal, heed::dropout(0.3, 4));
        const heed::decoder_layer<float> decoder({.attention = attention, .norm = place}, 3);
        heed::decoder_layer<float>::tape tape;
        const auto drop = heed::dropout(0.3, 4);
        check("decoder", decoder, decoder.forward(x, memory, tape, drop), true, memory, drop);
    }
    check_taped("sam_out", heed::sam_out_layer<float>({.width = width, .heads = 2}, 3), true);
    const heed::sam_out_layer<float> placed({.width = width, .heads = 2, .positions = true}, 3);
    const support::tensor<float, 2> table = random_rows(4, 6).chip<0>(0);
    heed::sam_out_layer<float>::tape tape;
    check("sam_out with positions", placed, placed.forward(x, table, tape), true, table);
}

TEST_CASE("a workspace gives back what layers worked in, and says how much it holds") {
    const heed::encoder_layer<float> layer({.attention = {.width = width, .heads = 2}}, 3);
    const rows x = random_rows(positions, 1);
    heed::workspace memory;
    const rows y = layer(x, heed::use(memory));
    const std::size_t held = memory.bytes();
    CHECK(held >= sizeof(float) * batch * positions * (3 * width + width + 4 * width));
    (void)layer(x, heed::use(memory));
    CHECK(memory.bytes() == held);
    memory.release();
    CHECK(memory.bytes() == 0);
    CHECK(same_bits(elements(layer(x, heed::use(memory))), elements(y)));
}
