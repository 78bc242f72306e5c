// SPDX-License-Identifier: MIT
// tests/arguments/layers.cpp: layers called with empty axes, and with results that stand on their weights
#include <heed/layers.hpp>
#include <heed/multi_head.hpp>

#include "support/arguments.hpp"

namespace {

using support::sizes;
using support::views;

constexpr long width = 8;  // that of usual_sizes()

// Forward and backward of a layer without memory.
template <class Layer>
void add(std::vector<support::function_call>& all, const char* name, const Layer& layer_) {
    all.push_back({name,
                   {{"x", "1bqd"}},
                   {{"y", "1bqd"}},
                   [layer = Layer(layer_)](const views& in, const views& out, const sizes&) mutable {
                       typename Layer::tape tape;
                       layer.forward_into(out[0], in[0], tape);
                   }});
    all.push_back({name,
                   {{"dy", "1bqd"}, {"x", "1bqd"}},
                   {{"dx", "1bqd"}},
                   [layer = Layer(layer_)](const views& in, const views& out, const sizes&) mutable {
                       typename Layer::tape tape;
                       auto gradients = heed::zeros_like(layer.weights);
                       (void)layer.forward(in[1], tape);
                       layer.backward_into(out[0], in[0], in[1], tape, gradients);
                   }});
}
template <class Heads>
void add_heads(std::vector<support::function_call>& all, const char* name) {
    const heed::multi_head_attention<float, Heads> layer({.width = width, .heads = 2});
    add(all, name, layer);
    all.push_back(
        {name, {{"x", "1bqd"}}, {{"y", "1bqd"}}, [layer](const views& in, const views& out, const sizes&) {
             typename heed::multi_head_attention<float, Heads>::stream stream;
             layer.extend_into(out[0], in[0], stream, heed::causal);
         }});
}

std::vector<support::function_call> calls() {
    std::vector<support::function_call> all;
    add(all, "layer_norm", heed::layer_norm<float>({.width = width}));
    add(all, "rep_batch_norm", heed::rep_batch_norm<float>({.width = width}));
    add(all, "feed_forward", heed::feed_forward<float>({.width = width}));
    add(all, "gated feed_forward",
        heed::feed_forward<float>({.width = width, .activation = heed::activation::gated_relu}));
    add_heads<heed::exact_heads>(all, "exact_heads");
    add_heads<heed::linear_heads>(all, "linear_heads");
    add_heads<heed::cummax_heads>(all, "cummax_heads");
    add_heads<heed::native_heads>(all, "native_heads");
    add(all, "encoder_layer", heed::encoder_layer<float>({.attention = {.width = width, .heads = 2}}));
    add(all, "sam_out_layer", heed::sam_out_layer<float>({.width = width}));
    const heed::decoder_layer<float> decoder({.attention = {.width = width, .heads = 2}});
    all.push_back({"decoder_layer",
                   {{"x", "1bqd"}, {"memory", "1bkd"}},
                   {{"y", "1bqd"}},
                   [decoder](const views& in, const views& out, const sizes&) {
                       heed::decoder_layer<float>::tape tape;
                       decoder.forward_into(out[0], in[0], in[1], tape);
                   }});
    all.push_back({"decoder_layer, backward",
                   {{"dy", "1bqd"}, {"x", "1bqd"}, {"memory", "1bkd"}},
                   {{"dx", "1bqd"}, {"d_memory", "1bkd"}},
                   [decoder](const views& in, const views& out, const sizes&) {
                       heed::decoder_layer<float>::tape tape;
                       auto gradients = heed::zeros_like(decoder.weights);
                       (void)decoder.forward(in[1], in[2], tape);
                       decoder.backward_into(out[0], out[1], in[0], in[1], in[2], tape, gradients);
                   }});
    const heed::projection<float> projection({.inputs = width, .outputs = width});
    all.push_back({"projection",
                   {{"x", "1bqd"}},
                   {{"y", "1bqd"}},
                   [projection](const views& in, const views& out, const sizes&) {
                       projection.forward_into(out[0], in[0]);
                   }});
    all.push_back({"projection, backward",
                   {{"dy", "1bqd"}, {"x", "1bqd"}},
                   {{"dx", "1bqd"}},
                   [projection](const views& in, const views& out, const sizes&) {
                       auto gradients = heed::zeros_like(projection.weights);
                       projection.backward_into(out[0], in[0], in[1], gradients);
                   }});
    all.push_back({"cross_entropy",
                   {{"logits", "1bqd"}},
                   {{"d_logits", "1bqd", "logits"}},
                   [](const views& in, const views& out, const sizes& n) {
                       const std::vector<int> targets(static_cast<std::size_t>(n.at('b') * n.at('q')), 1);
                       (void)heed::cross_entropy(in[0], targets, out[0]);
                       (void)heed::cross_entropy(in[0], targets);
                   }});
    return all;
}

template <class Tensor>
heed::view<float> rows_on(Tensor& w) {
    return {w.data() + w.size() / 2, {1, 1, 1, width}};  // it may run past the end
}
// A forward whose y, and a backward whose dx, dy or x, stand within the weights or their gradients.
template <class Layer, class Weight>
void check_weights(const char* name, Layer layer, const Weight& weight_of) {
    INFO(name);
    typename Layer::tape tape;
    auto gradients = heed::zeros_like(layer.weights);
    Eigen::Tensor<float, 2, Eigen::RowMajor> x(1, width), dx(1, width);
    x.setConstant(0.5f);
    const auto before = layer.weights;
    using heed_test::contains;
    CHECK_THROWS_WITH(layer.forward_into(rows_on(weight_of(layer.weights)), x, tape),
                      contains("y overlaps weights."));
    (void)layer.forward(x, tape);
    const auto back = [&](const auto& to, const auto& dy, const auto& from) {
        layer.backward_into(to, dy, from, tape, gradients);
    };
    CHECK_THROWS_WITH(back(rows_on(weight_of(layer.weights)), x, x), contains("dx overlaps weights."));
    CHECK_THROWS_WITH(back(rows_on(weight_of(gradients)), x, x), contains(" overlaps dx"));
    CHECK_THROWS_WITH(back(heed::as_view(dx), rows_on(weight_of(gradients)), x), contains(" overlaps dy"));
    CHECK_THROWS_WITH(back(heed::as_view(dx), x, rows_on(weight_of(gradients))), contains(" overlaps x"));
    for (long i = 0; i < weight_of(gradients).size(); ++i) REQUIRE(weight_of(gradients).data()[i] == 0);
    auto kept = before;
    for (long i = 0; i < weight_of(kept).size(); ++i)
        REQUIRE(weight_of(kept).data()[i] == weight_of(layer.weights).data()[i]);
}

}  // namespace

TEST_CASE("layers with empty axes give empty answers") {
    for (const auto& f : calls()) support::check_empty(f);
}

TEST_CASE("what layers write has memory of its own") {
    for (const auto& f : calls()) support::check_memory(f);
}

TEST_CASE("no result stands on the weights, no gradient on what a backward reads") {
    check_weights("feed_forward", heed::feed_forward<float>({.width = width}),
                  [](auto& w) -> auto& { return w.down.weight; });
    check_weights("rep_batch_norm", heed::rep_batch_norm<float>({.width = width}),
                  [](auto& w) -> auto& { return w.batch.weight; });
    check_weights("multi_head_attention", heed::multi_head_attention<float>({.width = width, .heads = 2}),
                  [](auto& w) -> auto& { return w.out.weight; });
    check_weights("encoder_layer", heed::encoder_layer<float>({.attention = {.width = width, .heads = 2}}),
                  [](auto& w) -> auto& { return w.feed_forward.up.weight; });
    check_weights("sam_out_layer", heed::sam_out_layer<float>({.width = width}),
                  [](auto& w) -> auto& { return w.feed_forward.up.weight; });
}
