// SPDX-License-Identifier: MIT
// tests/layers/stack.cpp: a stack of layers against its layers called one by one
#include <heed/layers/decoder_layer.hpp>
#include <heed/layers/encoder_layer.hpp>
#include <heed/layers/feed_forward.hpp>
#include <heed/layers/stack.hpp>

#include "support/allocation.hpp"
#include "support/multi_head_problem.hpp"
#include "support/refused.hpp"

namespace {

using support::elements, support::numbers_in, support::same_bits;
using rows = support::tensor<float, 3>;
using encoder = heed::encoder_layer<float>;
using decoder = heed::decoder_layer<float>;
constexpr long width = 8, count = 3;
const heed::encoder_config config{.attention = {.width = width, .heads = 2}};

rows random_rows(long positions, std::uint64_t seed) {
    support::random r(seed);
    return support::random_rows<float>(r, 2, positions, width);
}
const rows x = random_rows(6, 1), dy = random_rows(6, 2), memory = random_rows(4, 3);
auto drop_of(long layer) {
    return heed::dropout(0.3, heed::detail::seed_for(7, static_cast<std::uint64_t>(layer)));
}

// The layers of a stack, each by itself.
template <class Layer, class Stack>
std::vector<Layer> layers_of(const Stack& stack) {
    std::vector<Layer> layers(count, Layer(stack.config().layer));
    for (std::size_t i = 0; i < count; ++i) layers[i].weights = stack.weights.layers[i];
    return layers;
}

}  // namespace

TEST_CASE("layers of a stack differ, and have names") {
    const heed::stack<encoder> stack(count, config, 5);
    CHECK(stack.config().count == count);
    CHECK(stack.config().layer.feed_forward.hidden == 4 * width);
    const auto first = numbers_in(stack.weights.layers[0]), second = numbers_in(stack.weights.layers[1]);
    CHECK(first.size() == second.size());
    CHECK(!same_bits(first, second));
    CHECK(same_bits(second, numbers_in(encoder(config, heed::detail::seed_for(5, 1)).weights)));
    std::vector<std::string> names;
    heed::for_each_parameter([&](const std::string& name, const auto&) { names.push_back(name); },
                             stack.weights);
    CHECK(names.front() == "0.attention.in.weight");
    CHECK(names.back() == "2.norm2.bias");
}

TEST_CASE("a stack is its layers, one behind the other, and back") {
    const heed::stack<encoder> stack(count, config, 5);
    const auto layers = layers_of<encoder>(stack);
    heed::stack<encoder>::tape tape;
    std::vector<encoder::tape> tapes(count);
    std::vector<rows> at{x};
    for (std::size_t i = 0; i < count; ++i)
        at.push_back(layers[i].forward(at[i], tapes[i], heed::causal, drop_of(long(i))));
    const auto call = stack.with(heed::causal, heed::dropout(0.3, 7));
    CHECK(same_bits(elements(call.forward(x, tape)), elements(at[count])));
    CHECK(same_bits(elements(call(x)), elements(at[count])));

    auto g = heed::zeros_like(stack.weights), want = g;
    rows d = dy;
    for (std::size_t i = count; i-- > 0;)
        d = layers[i].backward(d, at[i], tapes[i], want.layers[i], heed::causal, drop_of(long(i)));
    CHECK(same_bits(elements(call.backward(dy, x, tape, g)), elements(d)));
    CHECK(same_bits(numbers_in(g), numbers_in(want)));

    heed::stack<encoder>::stream stream;
    std::vector<encoder::stream> streams(count);
    for (const long first : {0, 2}) {
        rows part = support::positions_of(x, first, 2);
        const rows y = stack.extend(part, stream, heed::causal);
        for (std::size_t i = 0; i < count; ++i) part = layers[i].extend(part, streams[i], heed::causal);
        CHECK(same_bits(elements(y), elements(part)));
    }
}

TEST_CASE("the gradient of a memory is the sum over the layers that read it") {
    const heed::stack<decoder> stack(count, {.attention = {.width = width, .heads = 2}}, 5);
    const auto layers = layers_of<decoder>(stack);
    heed::stack<decoder>::tape tape;
    std::vector<decoder::tape> tapes(count);
    std::vector<rows> at{x};
    for (std::size_t i = 0; i < count; ++i) at.push_back(layers[i].forward(at[i], memory, tapes[i]));
    CHECK(same_bits(elements(stack.forward(x, memory, tape)), elements(at[count])));
    CHECK(same_bits(elements(stack(x, memory)), elements(at[count])));
    auto g = heed::zeros_like(stack.weights), want = g;
    rows d = dy, dm(2, 4, width), sum(2, 4, width), got(2, 4, width);
    sum.setZero();
    for (std::size_t i = count; i-- > 0;) {
        rows dx(2, 6, width);
        layers[i].backward_into(dx, dm, d, at[i], memory, tapes[i], want.layers[i]);
        d = dx;
        sum = sum + dm;
    }
    CHECK(same_bits(elements(stack.backward(dy, x, memory, tape, g, got)), elements(d)));
    CHECK(support::max_error(support::values(got), support::values(sum)) < 1e-6);
    CHECK(same_bits(numbers_in(g), numbers_in(want)));
    heed::stack<decoder>::stream stream;
    stack.remember(memory, stream);
    CHECK(support::max_error(support::values(stack.extend(x, stream)), support::values(at[count])) < 1e-5);
}

TEST_CASE("a stack works in a workspace or its tape, and then allocates nothing") {
    const heed::stack<encoder> stack(count, config, 5);
    heed::workspace work;
    heed::stack<encoder>::tape tape;
    auto g = heed::zeros_like(stack.weights);
    rows y(2, 6, width), dx(2, 6, width);
    const auto call = stack.with(heed::causal, heed::use(work));
    const auto step = [&] {
        call.forward_into(y, x);
        call.forward_into(y, x, tape);
        call.backward_into(dx, dy, x, tape, g);
    };
    step();
    const support::allocation_watch watch;
    step();
    CHECK(watch.count() == 0);
}

TEST_CASE("an error of a stack names the layer, and nothing is written") {
    heed::stack<encoder> stack(count, config, 5);
    heed::stack<encoder>::tape tape, empty;
    rows y = x;
    auto g = heed::zeros_like(stack.weights);
    (void)stack.forward(x, tape, heed::causal);
    support::check_refused([&] { stack.backward_into(y, dy, x, tape, g); },
                           "heed::stack::backward_into: the tape's forward was given mask", y, g);
    support::check_refused([&] { stack.backward_into(y, dy, x, empty, g, heed::causal); },
                           "forwards on the tape are of 0 layers, needs 3", y, g);
    stack.weights.layers[2].norm1.bias.resize(3);
    support::check_refused([&] { stack.forward_into(y, dy); },
                           "heed::stack::forward_into: layer 2: weights.norm1.bias has 3 entries, needs 8",
                           y);
    stack.weights.layers.pop_back();
    support::check_refused([&] { stack.forward_into(y, dy); }, "weights are of 2 layers, needs 3", y);
    CHECK_THROWS_WITH(heed::stack<encoder>(0, config),
                      heed_test::contains("heed::stack: count is 0, needs at least 1"));
    CHECK_THROWS_WITH(heed::stack<heed::feed_forward<float>>(2, {.width = 0}),
                      heed_test::contains("feed_forward: width is 0"));
}
