// SPDX-License-Identifier: MIT
// tests/recommend/attention_layer.cpp: the layer chosen when the program runs is the one it holds, to the bit
#include <heed/recommend.hpp>

#include "support/heads_check.hpp"

namespace {

using heed::attention_choice;
using heed::variant;
using heed_test::contains;
using rows = support::tensor<double, 3>;

const heed::attention_config sizes{.width = 12, .heads = 4, .in_bias = true, .out_bias = true};

attention_choice choose(variant use, bool causal = true) {
    return {.sizes = sizes, .use = use, .causal = causal, .window = use == variant::window ? 5 : 0};
}
constexpr variant held[] = {variant::exact,       variant::window, variant::native,
                            variant::gated_delta, variant::linear, variant::cummax};

rows random_input(long batch = 2, long positions = 20) {
    support::random r(3);
    return support::random_rows<double>(r, batch, positions, sizes.width);
}

// Forward and backward against the layer that is meant: the options of the choice, and one that both get.
template <class Heads, class Both, class... Options>
void check_trained(const attention_choice& choice, const Both& both, const Options&... options) {
    const auto layer = heed::make_attention<double>(choice, 9);
    const heed::multi_head_attention<double, Heads> meant(sizes, 9);
    const rows x = random_input();
    typename heed::attention_layer<double>::tape tape;
    typename heed::multi_head_attention<double, Heads>::tape meant_tape;
    const rows y = layer.forward(x, tape, both), meant_y = meant.forward(x, meant_tape, options..., both);
    CHECK(support::same_rows(y, meant_y));
    CHECK(support::same_rows<double>(layer(x, both), meant_y));

    auto gradients = heed::zeros_like(layer.weights);
    auto meant_gradients = heed::zeros_like(meant.weights);
    const rows dx = layer.backward(y, x, tape, gradients, both);
    CHECK(
        support::same_rows<double>(dx, meant.backward(y, x, meant_tape, meant_gradients, options..., both)));
    std::vector<std::string> names, meant_names;
    std::vector<double> numbers, meant_numbers;
    const auto into = [](auto& n, auto& v) {
        return [&n, &v](const std::string& name, const auto& t) {
            n.push_back(name);
            v.insert(v.end(), t.data(), t.data() + t.size());
        };
    };
    heed::for_each_parameter(into(names, numbers), gradients);
    heed::for_each_parameter(into(meant_names, meant_numbers), meant_gradients);
    CHECK(names == meant_names);
    CHECK(support::same_bits(numbers, meant_numbers));
    CHECK(heed::parameter_count(layer.weights) == heed::parameter_count(meant.weights));
}

// The stream too.
template <class Heads, class... Options>
void check_same(const attention_choice& choice, const Options&... options) {
    heed::workspace memory;
    check_trained<Heads>(choice, heed::use(memory), options...);
    if (!choice.causal) return;
    const auto layer = heed::make_attention<double>(choice, 9);
    const heed::multi_head_attention<double, Heads> meant(sizes, 9);
    typename heed::attention_layer<double>::stream stream;
    typename heed::multi_head_attention<double, Heads>::stream meant_stream;
    for (const long n : {3L, 1L, 1L, 9L}) {
        const rows part = random_input(2, n);
        CHECK(support::same_rows<double>(layer.extend(part, stream),
                                         meant.extend(part, meant_stream, options...)));
    }
}

}  // namespace

TEST_CASE("every choice is the layer of its name") {
    check_same<heed::exact_heads>(choose(variant::exact, false));
    check_same<heed::exact_heads>(choose(variant::exact), heed::causal);
    check_same<heed::exact_heads>(choose(variant::window), heed::window(4, 0));
    check_same<heed::exact_heads>(choose(variant::window, false), heed::window(4, 4));
    check_same<heed::linear_heads>(choose(variant::linear, false));
    check_same<heed::linear_heads>(choose(variant::linear), heed::causal);
    check_same<heed::gated_delta_heads>(choose(variant::gated_delta));
    check_same<heed::native_heads>(choose(variant::native));
    check_same<heed::cummax_heads>(choose(variant::cummax));
}

TEST_CASE("weights of the softmax are dropped") {
    const auto drop = heed::dropout(0.3, 7);
    const rows x = random_input();
    check_trained<heed::exact_heads>(choose(variant::exact), drop, heed::causal);
    check_trained<heed::exact_heads>(choose(variant::window), drop, heed::window(4, 0));
    const auto exact = heed::make_attention<double>(choose(variant::exact), 2);
    CHECK(!support::same_rows<double>(exact(x, drop), exact(x)));
    CHECK(!support::same_rows<double>(exact(x, drop), exact(x, heed::dropout(0.3, 8))));
    support::check_training(exact, x, drop);
    support::check_gradients_of(exact, random_input(1, 7), drop);

    for (const variant use : held) {
        CAPTURE(heed::name_of(use));
        const auto layer = heed::make_attention<double>(choose(use), 2);
        CHECK(layer.takes_dropout() == (use == variant::exact || use == variant::window));
        // Whoever asks for none gets none, from every choice.
        CHECK(support::same_rows<double>(layer(x, heed::dropout(0, 7)), layer(x)));
        heed::attention_layer<double>::tape tape;
        rows y = layer.forward(x, tape), dx = x;
        auto gradients = heed::zeros_like(layer.weights);
        CHECK_THROWS_WITH(layer(x, heed::dropout(1, 7)), contains("dropout is 1, needs a probability"));
        if (layer.takes_dropout()) continue;
        const std::string text =
            "dropout is 0.3, needs 0: " + std::string(heed::name_of(use)) + " takes no dropout";
        const rows before = y;
        CHECK_THROWS_WITH(layer.forward_into(y, x, tape, drop), contains(text));
        CHECK_THROWS_WITH(layer.backward_into(dx, y, x, tape, gradients, drop), contains(text));
        CHECK(support::same_rows(y, before));
        CHECK(support::same_rows(dx, x));
        CHECK(support::same_parameters(gradients, heed::zeros_like(layer.weights)));
    }
}

TEST_CASE("gradients, threads and allocations of every choice") {
    for (const variant use : held) {
        CAPTURE(heed::name_of(use));
        const auto layer = heed::make_attention<double>(choose(use), 2);
        support::check_training(layer, random_input());
        support::check_gradients_of(layer, random_input(1, 7));
    }
}

TEST_CASE("what of another choice, or of no layer, is refused") {
    const auto exact = heed::make_attention<double>(choose(variant::exact));
    const auto linear = heed::make_attention<double>(choose(variant::linear));
    const rows x = random_input();
    decltype(exact)::tape tape;
    const rows y = exact.forward(x, tape);
    auto gradients = heed::zeros_like(exact.weights);
    auto others = heed::zeros_like(linear.weights);
    CHECK_THROWS_WITH(linear.backward(y, x, tape, others),
                      contains("tape or stream are those of another choice of attention than linear"));
    CHECK_THROWS_WITH(exact.backward(y, x, tape, others),
                      contains("gradients are those of another choice of attention than exact"));
    CHECK_THROWS_WITH(heed::for_each_parameter([](const std::string&, auto&, auto&) {}, gradients, others),
                      contains("the parameters are those of different choices of attention"));
    // A tape that no forward has filled is that of no choice.
    decltype(exact)::tape empty;
    CHECK_THROWS_WITH(linear.backward(y, x, empty, others), contains("tape holds 0 x 0 positions of x"));
    decltype(exact)::stream stream;
    exact.extend(x, stream);
    CHECK_THROWS_WITH(linear.extend(x, stream), contains("those of another choice of attention than linear"));
    auto mixed = exact;
    mixed.weights = linear.weights;
    CHECK_THROWS_WITH(mixed(x), contains("weights are those of another choice of attention than exact"));

    const auto both_ways = heed::make_attention<double>(choose(variant::exact, false));
    decltype(exact)::stream fresh;
    CHECK_THROWS_WITH(both_ways.extend(x, fresh), contains("the choice is not causal"));
    const rows narrow(2, 20, 11);
    CHECK_THROWS_WITH(exact(narrow), contains("x has a width of 11, needs 12"));

    const auto refused = [](const attention_choice& c, const char* text) {
        CHECK_THROWS_WITH(heed::make_attention<double>(c), contains(text));
    };
    refused(choose(variant::quest), "quest is no layer of its own");
    refused(choose(variant::gated_delta, false), "gated_delta is causal by itself");
    refused(choose(variant::native, false), "native is causal by itself");
    refused(choose(variant::cummax, false), "cummax is causal by itself");
    refused({.sizes = sizes, .use = variant::window}, "window is 0, needs at least 1");
    refused({.sizes = sizes, .window = 5}, "window is 5, needs 0 without variant::window");
    refused({.sizes = {.width = 12, .heads = 3, .memory_width = 8}}, "memory_width is 8, needs 0");
    refused({.sizes = {.width = 12, .heads = 5}}, "a width of 12 does not divide into 5 heads");
}

TEST_CASE("sizes for a task") {
    using heed::task;
    const attention_choice text = heed::config_for(task::text), vision = heed::config_for(task::vision),
                           longer = heed::config_for(task::long_sequence);
    for (const attention_choice* c : {&text, &vision, &longer}) {
        CHECK(c->sizes.width == 768);
        CHECK(c->sizes.heads == 12);
        CHECK(c->sizes.head_dim == 64);
        CHECK(heed::shape_of(*c).head_dim == 64);
        CHECK(heed::shape_of(*c).length == c->length);
        // What was chosen for the task is what a budget of 100 us for its length gives, the model being
        // trained.
        heed::attention_shape s = heed::shape_of(*c);
        s.budget = 100e-6;
        s.retrain = true;
        const auto r = heed::recommend(s);
        CHECK((r.use == variant::exact) == (c->use == variant::exact));
    }
    CHECK((text.causal && text.use == variant::exact && text.length == 1024));
    CHECK((!vision.causal && vision.use == variant::exact && vision.length == 197));
    CHECK((longer.causal && longer.use == variant::linear && longer.length == 16384));
    CHECK(heed::shape_of({.sizes = {.width = 512, .heads = 8}}).head_dim == 64);

    // They run: 197 patches of a picture, and a stream of the long model.
    const auto layer = heed::make_attention<float>(vision);
    support::random r(1);
    const auto x = support::random_rows<float>(r, 1, 197, 768);
    CHECK(std::isfinite(layer(x)(0, 196, 767)));
    CHECK(heed::parameter_count(layer.weights) == 768 * 4 * 768 + 768);
    const auto streaming = heed::make_attention<float>(longer);
    decltype(streaming)::stream stream;
    for (int i = 0; i < 3; ++i)
        CHECK(std::isfinite(streaming.extend(support::random_rows<float>(r, 1, 1, 768), stream)(0, 0, 0)));
    CHECK(stream.of.index() == 1);
}
