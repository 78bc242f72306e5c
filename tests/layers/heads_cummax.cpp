// SPDX-License-Identifier: MIT
// tests/layers/heads_cummax.cpp: cummax, maxstate and maxstate_super inside a multi-head layer
#include <heed/multi_head.hpp>

#include "support/heads_check.hpp"
#include "support/maxstate_reference.hpp"

namespace {

using heads_reference::list;
using heads_reference::shape;
using heed_test::contains;

list cummax_of(const shape& s, const std::vector<list>& u, bool across, const std::vector<double>& alpha) {
    return cummax_reference::forward<double>({s, u[0], u[1], u[2], {}, across, !alpha.empty(), alpha});
}
list maxstate_of(const shape& s, const std::vector<list>& u) {
    return maxstate_reference::maxstate(s, u[0], u[1], u[2], {});
}
template <class Parameters>
auto super_of(const Parameters& p) {
    return [k = support::values(p.alphas), mix = support::values(p.head_mix)](const shape& s,
                                                                              const std::vector<list>& u) {
        return maxstate_reference::super(s, {u[0], u[1], u[2], u[3]}, k, mix, {});
    };
}

// Biases, no output projection (the published form), and heads that are wider than their share.
std::vector<heed::attention_config> configs() {
    return {{.width = 24, .heads = 3, .in_bias = true, .out_bias = true},
            {.width = 20, .heads = 2, .out_projection = false},
            {.width = 10, .heads = 4, .head_dim = 7},
            {.width = 5, .heads = 1}};
}

}  // namespace

TEST_CASE("cummax heads compute what the formula says") {
    support::random r(1);
    for (const auto& c : configs()) {
        const auto layer = support::random_layer<double, heed::cummax_heads>(c, r);
        const std::vector<double> alpha = support::normals<float>(r, static_cast<std::size_t>(c.heads), 0.4);
        const auto of = [&](bool across, const std::vector<double>& a) {
            return [=](const shape& s, const std::vector<list>& u) { return cummax_of(s, u, across, a); };
        };
        INFO("width " << c.width << ", heads " << c.heads);
        for (const long positions : {1L, 19L, 300L}) {
            support::check_forward<heed::cummax_heads>(layer, r, 2, positions, of(true, {}));
            support::check_forward<heed::cummax_heads>(layer, r, 1, positions, of(true, {}), heed::causal);
            support::check_forward<heed::cummax_heads>(layer, r, 1, positions, of(false, {}),
                                                       heed::heads_apart, heed::causal);
            support::check_forward<heed::cummax_heads>(layer, r, 1, positions, of(true, alpha),
                                                       heed::hybrid(alpha));
        }
    }
}

TEST_CASE("maxstate heads compute what the formulas say") {
    support::random r(2);
    for (const auto& c : configs()) {
        INFO("width " << c.width << ", heads " << c.heads);
        const auto first = support::random_layer<double, heed::maxstate_heads>(c, r);
        const auto plain = support::random_layer<double, heed::maxstate_super_heads>(c, r);
        const auto mixed = support::random_layer<double, heed::maxstate_super_mixed_heads>(c, r);
        CHECK(plain.weights.heads.head_mix.size() == 0);
        CHECK(mixed.weights.heads.head_mix.dimension(1) == 5 * c.heads);
        for (const long positions : {1L, 19L, 300L}) {
            support::check_forward<heed::maxstate_heads>(first, r, 2, positions, maxstate_of, heed::causal);
            support::check_forward<heed::maxstate_super_heads>(plain, r, 2, positions,
                                                               super_of(plain.weights.heads), heed::causal);
            support::check_forward<heed::maxstate_super_mixed_heads>(mixed, r, 2, positions,
                                                                     super_of(mixed.weights.heads));
        }
    }
}

TEST_CASE("gradients of cummax heads are those of differences") {
    support::random r(3);
    for (const auto& c : configs()) {
        const auto x = support::random_rows<double>(r, 2, 7, c.width);
        const std::vector<double> alpha = support::normals<float>(r, static_cast<std::size_t>(c.heads), 0.4);
        const auto layer = support::random_layer<double, heed::cummax_heads>(c, r);
        support::check_gradients_of(layer, x, heed::causal);
        support::check_gradients_of(layer, x, heed::heads_apart);
        support::check_gradients_of(layer, x, heed::hybrid(alpha));
        support::check_gradients_of(support::random_layer<double, heed::maxstate_heads>(c, r), x);
        support::check_gradients_of(support::random_layer<double, heed::maxstate_super_heads>(c, r), x);
        support::check_gradients_of(support::random_layer<double, heed::maxstate_super_mixed_heads>(c, r), x);
    }
}

TEST_CASE("the gradient of hybrid's alpha goes to the caller's tensor") {
    support::random r(4);
    const auto layer = support::random_layer<double, heed::cummax_heads>({.width = 12, .heads = 3}, r);
    const auto x = support::random_rows<double>(r, 2, 9, 12), dy = support::random_rows<double>(r, 2, 9, 12);
    support::tensor<double, 1> alpha(3), d_alpha(3);
    support::fill_normal(alpha, r, 0.4);
    heed::multi_head_attention<double, heed::cummax_heads>::tape tape;
    auto gradients = heed::zeros_like(layer.weights);
    (void)layer.forward(x, tape, heed::hybrid(alpha));
    (void)layer.backward(dy, x, tape, gradients, heed::hybrid(alpha), heed::hybrid_gradient(d_alpha));
    const auto slopes = support::central_differences(
        alpha, [&] { return support::inner_product(layer(x, heed::hybrid(alpha)), dy); });
    CHECK(support::relative_error(support::values(d_alpha), slopes) <= 1e-6);
}

TEST_CASE("heads with a running maximum: streams, threads, training steps") {
    support::random r(5);
    const heed::attention_config c{.width = 40, .heads = 4, .in_bias = true};
    const auto x = support::random_rows<float>(r, 2, 530, c.width);
    const auto check = [&](const auto& layer, const auto&... options) {
        support::check_stream(0, layer, x, options...);
        support::check_training(layer, x, options...);
    };
    check(support::random_layer<float, heed::cummax_heads>(c, r), heed::causal);
    check(support::random_layer<float, heed::cummax_heads>(c, r), heed::heads_apart);
    check(support::random_layer<float, heed::cummax_heads>(c, r), heed::hybrid(0.3));
    check(support::random_layer<float, heed::maxstate_heads>(c, r));
    check(support::random_layer<float, heed::maxstate_super_heads>(c, r), heed::causal);
    check(support::random_layer<float, heed::maxstate_super_mixed_heads>(c, r));
}

TEST_CASE("a new layer starts with alphas of a half and a mix as large as a projection of its inputs") {
    const heed::multi_head_attention<float, heed::maxstate_super_mixed_heads> layer({.width = 64, .heads = 8},
                                                                                    3);
    const auto& learned = layer.weights.heads;
    for (int i = 0; i < 3; ++i) CHECK(learned.alphas(i) == 0.5f);
    double squares = 0;
    for (const double m : support::values(learned.head_mix)) squares += m * m;
    const double variance = squares / static_cast<double>(learned.head_mix.size());
    CHECK(variance > 0.8 / 40);
    CHECK(variance < 1.2 / 40);
}

TEST_CASE("what a caller of heads with a running maximum can get wrong") {
    support::random r(6);
    using layer_type = heed::multi_head_attention<float, heed::cummax_heads>;
    const layer_type layer({.width = 8, .heads = 2});
    const auto x = support::random_rows<float>(r, 1, 4, 8);
    CHECK_THROWS_WITH(layer(x, heed::window(2, 0)),
                      contains("got window(2, 0); this attention takes no mask but heed::causal"));
    CHECK_THROWS_WITH(layer(x, heed::causal, heed::window(heed::unbounded, 3)), contains("got window("));
    layer_type::stream stream;
    (void)layer.extend(x, stream);
    CHECK_THROWS_WITH(layer.extend(support::random_rows<float>(r, 2, 1, 8), stream),
                      contains("x has 2 batch entries, the stream runs with 1"));
    CHECK_THROWS_WITH(layer.extend(x, stream, heed::along::head), contains("a state goes along positions"));
    CHECK_THROWS_WITH(layer_type({.width = 8, .heads = 2, .memory_width = 3}), contains("no cross form"));
    CHECK_THROWS_WITH(layer_type({.width = 8, .heads = 2, .rotary_positions = 9}),
                      contains("rotary_positions is 9, but this attention has no queries and keys to turn"));
    CHECK_THROWS_WITH(layer_type({.width = 8, .heads = 2, .kv_heads = 1}),
                      contains("kv_heads is 1, but this attention has no keys to share; needs heads, 2"));
}
