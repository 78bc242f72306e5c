// SPDX-License-Identifier: MIT
// tests/layers/layer_sizes.cpp: sizes whose product no index can count, and values that are no enumerator,
// are refused
#include <limits>

#include <heed/layers.hpp>
#include <heed/recommend.hpp>
#include <heed/sparse.hpp>
#include <heed/state.hpp>

#include "support/catch.hpp"

namespace {

using heed_test::contains;
constexpr heed::index half = 1ll << 32, big = 1ll << 40, most = std::numeric_limits<heed::index>::max();

// The longest axis, where a compiler does not see it and warns of what is refused.
heed::index longest() {
    static volatile heed::index n = heed::longest_axis;
    return n;
}

template <class Heads>
void check_heads() {
    using layer = heed::multi_head_attention<float, Heads>;
    const auto refused = contains("does not fit in memory");
    CHECK_THROWS_WITH(layer({.width = 8, .heads = big, .head_dim = big}), refused);
    CHECK_THROWS_WITH(layer({.width = big}), refused);
    CHECK_THROWS_WITH(layer({.width = most}), refused);
    CHECK_THROWS_WITH(layer({.width = 8, .heads = half, .head_dim = half}), refused);
    CHECK_THROWS_WITH(layer({.width = 1, .heads = 1, .head_dim = most / 2}), refused);
    CHECK_THROWS_WITH((heed::encoder_layer<float, Heads>({.attention = {.width = big}})), refused);
    CHECK_THROWS_WITH((heed::decoder_layer<float, Heads>({.attention = {.width = big}})), refused);
}

}  // namespace

TEST_CASE("sizes of a multi-head layer whose product does not fit are refused") {
    check_heads<heed::exact_heads>();
    check_heads<heed::psa_heads>();
    check_heads<heed::native_heads>();
    check_heads<heed::linear_heads>();
    check_heads<heed::gated_delta_heads>();
    check_heads<heed::cummax_heads>();
    check_heads<heed::maxstate_super_mixed_heads>();
    check_heads<heed::blend_heads<heed::exact_heads, heed::cummax_heads>>();
    using exact = heed::multi_head_attention<float>;
    const auto refused = contains("does not fit in memory");
    CHECK_THROWS_WITH(exact({.width = 8, .memory_width = most / 8}), refused);
    CHECK_THROWS_WITH(exact({.width = 1, .head_dim = 1ll << 30, .rotary_positions = big}), refused);
    CHECK_THROWS_WITH((heed::multi_head_attention<float, heed::maxstate_super_mixed_heads>(
                          {.width = 1, .heads = half, .head_dim = 1})),
                      refused);
    CHECK_THROWS_WITH(heed::make_attention<float>({.sizes = {.width = big}}), refused);
}

TEST_CASE("sizes of other layers whose product does not fit are refused") {
    const auto refused = contains("does not fit in memory");
    CHECK_THROWS_WITH(heed::projection<float>({.inputs = half, .outputs = half}), refused);
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = half}), refused);
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = most}), refused);
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = 8, .hidden = most / 4}), refused);
    CHECK_THROWS_WITH(
        heed::encoder_layer<float>({.attention = {.width = 8}, .feed_forward = {.hidden = most}}), refused);
    CHECK_THROWS_WITH(heed::sam_out_layer<float>({.width = most}), refused);
    CHECK_THROWS_WITH(heed::sam_out_layer<float>({.width = big, .hidden = 1}), refused);
    CHECK_THROWS_WITH(heed::rotary_table<float>(big, big), refused);
}

TEST_CASE("widths that no axis may have are refused") {
    CHECK_THROWS_WITH(heed::layer_norm<float>({.width = most}),
                      contains("width is 9223372036854775807, needs at most"));
    CHECK_THROWS_WITH(heed::rep_batch_norm<float>({.width = big}), contains("width is 1099511627776, needs"));
    CHECK_THROWS_WITH(heed::sinusoidal_positions<float>(big, big), contains("does not fit in memory"));
}

TEST_CASE("states and carried keys of impossible sizes are refused") {
    const auto refused = contains("does not fit in memory");
    const heed::index axis = longest();
    CHECK_THROWS_WITH(heed::softmax_state<float>(half, half, 1, 1), contains("softmax_state: batch is"));
    CHECK_THROWS_WITH(heed::softmax_state<float>(axis, axis, 1, 1), refused);
    CHECK_THROWS_WITH(heed::softmax_state<float>(axis, axis, axis, 0), refused);  // its log-sum-exp
    CHECK_THROWS_WITH(heed::softmax_state<float>(1, 1, 1, most), contains("value_features is"));
    CHECK_THROWS_WITH(heed::cummax_state<double>(half, half, 1), contains("cummax_state: batch is"));
    CHECK_THROWS_WITH(heed::cummax_state<float>(axis, axis, axis), refused);
    CHECK_THROWS_WITH(heed::token_pruner<float>(axis, 1, axis), refused);
    CHECK_THROWS_WITH(heed::token_pruner<float>(axis, axis, 1), refused);
    heed::token_pruner<float> pruner(1 << 10, 1, 1);
    CHECK_THROWS_WITH(pruner.append(axis), contains("there would be 2147483648 tokens"));
    CHECK_THROWS_WITH(heed::compressed_keys<float>(axis, 1, axis, 1), refused);
    CHECK_THROWS_WITH(heed::page_bounds<float>(axis, axis, 1, 16), refused);
    // Without any element they are as good as others.
    CHECK_NOTHROW(heed::softmax_state<float>(axis, 0, axis, axis));
    CHECK_NOTHROW(heed::cummax_state<float>(axis, axis, 0));
    CHECK_NOTHROW(heed::token_pruner<float>(0, axis, axis));
    CHECK_NOTHROW(heed::page_bounds<float>(axis, 0, 8, 16));
}

TEST_CASE("a view of impossible extents is made, and refused where it is used") {
    float memory[8] = {};
    const heed::index axis = longest();
    const heed::view<float> x(memory, {axis, axis, axis, axis});
    CHECK_THROWS_WITH(heed::polynomial_softmax_into(x, x), contains("does not fit in memory"));
    const heed::view<float> longer(memory, {1, 1, 1, most});
    CHECK_THROWS_WITH(heed::polynomial_softmax_into(longer, longer), contains("needs at most 2^31 - 1"));
    const heed::view<float> steps(memory, {2, 1, 1, 4}, {most, 0, 0, 1});
    CHECK_THROWS_WITH(heed::polynomial_softmax_into(steps, steps),
                      contains("reach past the end of all memory"));
}

TEST_CASE("what is no enumerator is refused") {
    const auto refused = contains(" is 99, needs one of its ");
    Eigen::Tensor<float, 4, Eigen::RowMajor> q(1, 1, 3, 4), s(1, 1, 3, 3);
    q.setZero(), s.setConstant(77);
    CHECK_THROWS_WITH(heed::attention(q, q, q, heed::scores(s, static_cast<heed::stage>(99))), refused);
    CHECK_THROWS_WITH(heed::attention(q, q, q, heed::psa({.reading = static_cast<heed::psa_reading>(99)})),
                      refused);
    CHECK_THROWS_WITH(heed::cummax(q, heed::along(static_cast<heed::along::axis>(99))), refused);
    CHECK_THROWS_WITH(heed::quantise_progressively(q, 3, {.toward = static_cast<heed::grid>(99)}), refused);
    CHECK_THROWS_WITH(heed::sparsity_schedule{.ramp = static_cast<heed::ramp>(99)}(3), refused);
    CHECK_THROWS_WITH(
        heed::feed_forward<float>({.width = 8, .activation = static_cast<heed::activation>(99)}), refused);
    CHECK_THROWS_WITH(heed::encoder_layer<float>(
                          {.attention = {.width = 8, .heads = 2}, .norm = static_cast<heed::norm_place>(99)}),
                      refused);
    CHECK_THROWS_WITH(heed::decoder_layer<float>(
                          {.attention = {.width = 8, .heads = 2}, .norm = static_cast<heed::norm_place>(99)}),
                      refused);
    CHECK_THROWS_WITH(heed::config_for(static_cast<heed::task>(99)), refused);
    CHECK_THROWS_WITH(heed::estimated_seconds(static_cast<heed::variant>(99), {.length = 8}), refused);
    CHECK_THROWS_WITH(heed::carried_bytes(static_cast<heed::variant>(99), {.length = 8}), refused);
    CHECK_THROWS_WITH(
        heed::make_attention<float>({.sizes = {.width = 8}, .use = static_cast<heed::variant>(99)}), refused);
    for (long i = 0; i < s.size(); ++i) CHECK(s.data()[i] == 77);
}
