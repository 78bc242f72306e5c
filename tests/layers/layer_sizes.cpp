// SPDX-License-Identifier: MIT
// tests/layers/layer_sizes.cpp: sizes whose product no index can count are refused, never wrapped
#include <limits>

#include <heed/layers.hpp>
#include <heed/recommend.hpp>

#include "support/catch.hpp"

namespace {

using heed_test::contains;
constexpr heed::index half = 1ll << 32, big = 1ll << 40, most = std::numeric_limits<heed::index>::max();

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
    CHECK_THROWS_WITH(heed::projection<float>(half, half), refused);
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = half}), refused);
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = most}), refused);
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = 8, .hidden = most / 4}), refused);
    CHECK_THROWS_WITH(
        heed::encoder_layer<float>({.attention = {.width = 8}, .feed_forward = {.hidden = most}}), refused);
    CHECK_THROWS_WITH(heed::sam_out_layer<float>({.width = most}), refused);
    CHECK_THROWS_WITH(heed::sam_out_layer<float>({.width = big, .hidden = 1}), refused);
    CHECK_THROWS_WITH(heed::rotary_table<float>(big, big), refused);
}
