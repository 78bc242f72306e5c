// SPDX-License-Identifier: MIT
// tests/layers/any_heads.cpp: encoder and decoder layers around every attention there is
//
// What the attention computes is the business of its own test. Here it is called with the layer's options:
// gradients by central differences, and streams against whole sequences.
#include "support/block_reference.hpp"

namespace {

using heed::norm_place;
using support::positions_of, support::values;

template <class Heads>
heed::encoder_layer<double, Heads> encoder(norm_place place, support::random& r) {
    return support::with_random_weights(
        heed::encoder_layer<double, Heads>({.attention = {.width = 8, .heads = 2, .in_bias = true},
                                            .feed_forward = {.hidden = 6},
                                            .norm = place}),
        r);
}

template <class Heads, class... Options>
void check_encoder(const char* name, std::uint64_t seed, const Options&... options) {
    support::random r(seed);
    const auto layer = encoder<Heads>(seed % 2 == 0 ? norm_place::before : norm_place::after, r);
    INFO(name);
    const auto short_x = support::random_rows<double>(r, 2, 4, 8);
    const auto errors = support::layer_gradient(layer, short_x, options..., heed::dropout(0.2, 3));
    INFO(errors.text());
    CHECK(errors.worst() <= 1e-6);

    const auto x = support::random_rows<double>(r, 2, 9, 8);
    const auto whole = layer(x, options...);
    typename heed::encoder_layer<double, Heads>::stream stream;
    for (const auto& [at, count] : {std::pair{0L, 1L}, {1L, 4L}, {5L, 1L}, {6L, 3L}}) {
        const auto y = layer.extend(positions_of(x, at, count), stream, options...);
        CHECK(support::layer_error<double>(values(y), values(positions_of(whole, at, count))) < 1000);
    }
}

template <class Heads, class Self, class Cross>
void check_decoder(const char* name, std::uint64_t seed, const Self& self, const Cross& cross) {
    support::random r(seed);
    const auto layer = support::with_random_weights(
        heed::decoder_layer<double, Heads>({.attention = {.width = 8, .heads = 2},
                                            .cross_attention = {.memory_width = 5},
                                            .feed_forward = {.hidden = 6}}),
        r);
    INFO(name);
    const auto memory = support::random_rows<double>(r, 2, 5, 5);
    const auto x = support::random_rows<double>(r, 2, 4, 8);
    const auto errors = support::layer_gradient(layer, x, memory, self, cross, heed::dropout(0.2, 3));
    INFO(errors.text());
    CHECK(errors.worst() <= 1e-6);
    const auto whole = layer(x, memory, self, cross);
    // It is causal, whether or not it is told so.
    CHECK(values(layer(x, memory, heed::causal, self, cross)) == values(whole));
    const auto told = support::layer_gradient(layer, x, memory, heed::causal, self, cross);
    INFO(told.text());
    CHECK(told.worst() <= 1e-6);
    typename heed::decoder_layer<double, Heads>::stream stream;
    layer.remember(memory, stream);
    for (const auto& [at, count] : {std::pair{0L, 1L}, {1L, 2L}, {3L, 1L}}) {
        const auto y = at == 1 ? layer.extend(positions_of(x, at, count), stream, self, cross, heed::causal)
                               : layer.extend(positions_of(x, at, count), stream, self, cross);
        CHECK(support::layer_error<double>(values(y), values(positions_of(whole, at, count))) < 1000);
    }
}

}  // namespace

TEST_CASE("an encoder layer takes every attention") {
    using heed::causal;
    check_encoder<heed::linear_heads>("linear", 81, causal, heed::elu1);
    check_encoder<heed::gated_delta_heads>("gated_delta", 82);
    check_encoder<heed::native_heads>("native", 83, heed::native_blocks{.window = 3});
    check_encoder<heed::psa_heads>("psa", 84, causal, heed::psa(0.5));
    check_encoder<heed::cummax_heads>("cummax", 85, heed::heads_apart);
    check_encoder<heed::maxstate_heads>("maxstate", 86);
    check_encoder<heed::maxstate_super_heads>("maxstate_super", 87);
    check_encoder<heed::blend_heads<heed::exact_heads, heed::cummax_heads>>("blend", 88, causal);
}

TEST_CASE(
    "a decoder layer takes every attention; one without a cross form leaves the memory to the exact one") {
    const auto nothing = heed::for_memory();
    check_decoder<heed::linear_heads>("linear", 91, heed::elu1, nothing);
    check_decoder<heed::psa_heads>("psa", 92, heed::psa(0.5), heed::for_memory(heed::psa(0.75)));
    const std::vector<int> lengths{2, 5};
    check_decoder<heed::cummax_heads>("cummax", 93, heed::heads_apart,
                                      heed::for_memory(heed::key_lengths(lengths)));
    check_decoder<heed::gated_delta_heads>("gated_delta", 94, heed::scale(0.5), nothing);
    check_decoder<heed::native_heads>("native", 95, heed::native_blocks{.window = 3}, nothing);
    check_decoder<heed::maxstate_heads>("maxstate", 96, heed::causal, nothing);
    check_decoder<heed::linear_heads>("retention", 97, heed::retention, nothing);
    check_decoder<heed::blend_heads<heed::linear_heads, heed::cummax_heads>>("blend", 98, heed::elu1,
                                                                             nothing);
}
