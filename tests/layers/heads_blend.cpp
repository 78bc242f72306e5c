// SPDX-License-Identifier: MIT
// tests/layers/heads_blend.cpp: two variants in one multi-head layer, joined by a learned weight
#include <heed/multi_head.hpp>

#include "support/heads_check.hpp"
#include "support/maxstate_reference.hpp"

namespace {

using heads_reference::list;
using heads_reference::shape;
using heed_test::contains;
using streams = std::vector<list>;

using exact_and_cummax = heed::blend_heads<heed::exact_heads, heed::cummax_heads>;
using cummax_and_super = heed::blend_heads<heed::cummax_heads, heed::maxstate_super_mixed_heads>;
using nested = heed::blend_heads<cummax_and_super, exact_and_cummax>;

list exact_of(const shape& s, const streams& u, bool causal, double softcap = 0) {
    reference::problem p;
    p.batch = s.batch, p.heads = p.kv_heads = s.heads, p.queries = p.keys = s.positions;
    p.d_k = p.d_v = s.features;
    p.q = u[0], p.k = u[1], p.v = u[2], p.softcap = softcap;
    if (causal) p.visible = [](reference::place i) { return i.key <= i.query; };
    return reference::solve<double>(p).y;
}
list cummax_of(const shape& s, const streams& u, bool across = true) {
    return cummax_reference::forward<double>({s, u[0], u[1], u[2], {}, across, false, {}});
}
list super_of(const shape& s, const streams& u, const list& k, const list& mix) {
    return maxstate_reference::super(s, {u[0], u[1], u[2], u[3]}, k, mix, {});
}
streams from(const streams& u, long first, long count) {
    return {u.begin() + first, u.begin() + first + count};
}
list mixed(const shape& s, const list& a, const list& y1, const list& y2) {
    list y(s.size());
    for (long b = 0; b < s.batch; ++b)
        for (long h = 0; h < s.heads; ++h)
            for (long t = 0; t < s.positions; ++t)
                for (long f = 0; f < s.features; ++f) {
                    const std::size_t i = s.at(b, h, t, f);
                    const double share = 1 / (1 + std::exp(-a[static_cast<std::size_t>(h)]));
                    y[i] = share * y1[i] + (1 - share) * y2[i];
                }
    return y;
}

}  // namespace

TEST_CASE("a blend is the weighted sum of its variants, each on streams of its own") {
    support::random r(11);
    for (const heed::attention_config& c :
         {heed::attention_config{.width = 24, .heads = 3, .in_bias = true, .out_bias = true},
          heed::attention_config{.width = 20, .heads = 2, .out_projection = false},
          heed::attention_config{.width = 10, .heads = 4, .head_dim = 7}}) {
        INFO("width " << c.width << ", heads " << c.heads);
        const auto first = support::random_layer<double, exact_and_cummax>(c, r);
        const list a = support::values(first.weights.heads.weight);
        CHECK(a.size() == static_cast<std::size_t>(c.heads));
        for (const long positions : {1L, 17L, 150L}) {
            support::check_forward<exact_and_cummax>(
                first, r, 2, positions,
                [&](const shape& s, const streams& u) {
                    return mixed(s, a, exact_of(s, from(u, 0, 3), true), cummax_of(s, from(u, 3, 3)));
                },
                heed::causal);
            // What one of them takes alone reaches that one.
            support::check_forward<exact_and_cummax>(
                first, r, 1, positions,
                [&](const shape& s, const streams& u) {
                    return mixed(s, a, exact_of(s, from(u, 0, 3), false, 1.5),
                                 cummax_of(s, from(u, 3, 3), false));
                },
                heed::softcap(1.5), heed::heads_apart);
        }
        const auto second = support::random_layer<double, nested>(c, r);
        const auto& w = second.weights.heads;
        const auto v = [](const auto& t) { return support::values(t); };
        support::check_forward<nested>(
            second, r, 2, 33,
            [&](const shape& s, const streams& u) {
                const list running =
                    mixed(s, v(w.first.weight), cummax_of(s, from(u, 0, 3)),
                          super_of(s, from(u, 3, 4), v(w.first.second.alphas), v(w.first.second.head_mix)));
                const list both = mixed(s, v(w.second.weight), exact_of(s, from(u, 7, 3), true),
                                        cummax_of(s, from(u, 10, 3)));
                return mixed(s, v(w.weight), running, both);
            },
            heed::causal);
    }
}

TEST_CASE("gradients of a blend, of its weight and of what its variants learn are those of differences") {
    support::random r(12);
    for (const heed::attention_config& c :
         {heed::attention_config{.width = 12, .heads = 3, .in_bias = true},
          heed::attention_config{.width = 10, .heads = 2, .out_projection = false},
          heed::attention_config{.width = 6, .heads = 1, .head_dim = 5}}) {
        const auto x = support::random_rows<double>(r, 2, 7, c.width);
        support::check_gradients_of(support::random_layer<double, exact_and_cummax>(c, r), x, heed::causal);
        support::check_gradients_of(support::random_layer<double, cummax_and_super>(c, r), x);
        support::check_gradients_of(support::random_layer<double, nested>(c, r), x, heed::causal);
    }
}

TEST_CASE("queries and keys of a blended variant keep rotary positions and shared keys") {
    support::random r(13);
    const heed::attention_config c{.width = 16, .heads = 4, .kv_heads = 2, .rotary_positions = 20};
    const auto layer = support::random_layer<double, exact_and_cummax>(c, r);
    CHECK(layer.weights.in.weight.dimension(1) == 16 + 8 + 8 + 3 * 16);
    const auto x = support::random_rows<double>(r, 1, 9, c.width);
    support::check_gradients_of(layer, x, heed::causal);
    support::check_stream(1e-14, layer, x, heed::causal);
}

TEST_CASE("a blend's streams, threads and training steps") {
    support::random r(14);
    const heed::attention_config c{.width = 40, .heads = 4, .in_bias = true};
    const auto x = support::random_rows<float>(r, 2, 330, c.width);
    const auto check = [&](double rounding, const auto& layer) {
        support::check_stream(rounding, layer, x, heed::causal);
        support::check_training(layer, x, heed::causal);
    };
    check(0, support::random_layer<float, cummax_and_super>(c, r));
    // One more position over the keys so far is another kernel than that of whole sequences.
    check(1e-5, support::random_layer<float, exact_and_cummax>(c, r));
    check(1e-5, support::random_layer<float, nested>(c, r));
}

TEST_CASE("a new blend takes half of each, and its variants start apart") {
    const heed::multi_head_attention<float, nested> layer({.width = 16, .heads = 4}, 3);
    const auto& w = layer.weights.heads;
    for (int h = 0; h < 4; ++h) CHECK(w.weight(h) == 0);
    CHECK(w.share(0) == 0.5);
    std::vector<std::string> names;
    heed::for_each_parameter([&](const std::string& name, const auto&) { names.push_back(name); }, w);
    CHECK(names == std::vector<std::string>{"weight", "first.weight", "first.second.alphas",
                                            "first.second.head_mix", "second.weight"});
}

TEST_CASE("what a caller of a blend can get wrong") {
    support::random r(15);
    using layer_type = heed::multi_head_attention<float, exact_and_cummax>;
    CHECK_THROWS_WITH(layer_type({.width = 8, .heads = 2, .memory_width = 8}), contains("no cross form"));
    const layer_type layer({.width = 8, .heads = 2});
    const auto x = support::random_rows<float>(r, 1, 4, 8);
    layer_type::stream stream;
    CHECK_THROWS_WITH(layer.extend(x, stream, heed::window(2, 0)),
                      contains("this attention takes no mask but heed::causal"));
    layer_type::stream fresh;
    CHECK(support::same_rows(layer.extend(x, stream, heed::causal), layer(x, heed::causal)));
    (void)layer.extend(x, fresh, heed::causal);
    // A mask is refused before the first variant has taken the positions in.
    CHECK_THROWS_WITH(layer.extend(x, stream, heed::window(2, 0)),
                      contains("this attention takes no mask but heed::causal"));
    CHECK(support::same_rows(layer.extend(x, stream, heed::causal), layer.extend(x, fresh, heed::causal)));
    // So are blocks that cannot be.
    using sparse =
        heed::multi_head_attention<float, heed::blend_heads<heed::cummax_heads, heed::native_heads>>;
    const sparse blocks({.width = 8, .heads = 2});
    sparse::stream went, beside;
    (void)blocks.extend(x, went);
    (void)blocks.extend(x, beside);
    CHECK_THROWS_AS(blocks.extend(x, went, heed::native_blocks{.compress_block = -1}), heed::error);
    CHECK(support::same_rows(blocks.extend(x, went), blocks.extend(x, beside)));
    // What only the second variant's call can tell stops the stream.
    using turned =
        heed::multi_head_attention<float, heed::blend_heads<heed::cummax_heads, heed::exact_heads>>;
    const turned other({.width = 8, .heads = 2});
    turned::stream torn;
    (void)other.extend(x, torn, heed::causal);
    CHECK_THROWS_AS(other.extend(x, torn, heed::causal, heed::softcap(-1)), heed::error);
    CHECK_THROWS_WITH(other.extend(x, torn, heed::causal),
                      contains("the stream stopped at an error between the two variants of a blend"));
}
