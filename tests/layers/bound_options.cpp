// SPDX-License-Identifier: MIT
// tests/layers/bound_options.cpp: options bound to a layer once, and a backward that forgets one
#include <heed/layers.hpp>
#include <heed/sparse.hpp>

#include "support/multi_head_problem.hpp"
#include "support/refused.hpp"

namespace {

using support::check_refused, support::elements, support::same_bits;
using rows = support::tensor<double, 3>;
using encoder = heed::encoder_layer<double>;
using decoder = heed::decoder_layer<double>;
constexpr long width = 8, heads = 2, n = 6;

rows random_rows(long count, std::uint64_t seed) {
    support::random r(seed);
    return support::random_rows<double>(r, 2, count, width);
}
const rows x = random_rows(n, 1), dy = random_rows(n, 2), memory = random_rows(4, 3);
template <class P>
bool same_parameters(const P& a, const P& b) {
    return same_bits(support::numbers_in(a), support::numbers_in(b));
}

}  // namespace

TEST_CASE("bound options are those of every call") {
    const encoder layer({.attention = {.width = width, .heads = heads}}, 3);
    const auto drop = heed::dropout(0.3, 7);
    const auto call = layer.with(heed::causal, drop, heed::softcap(3));
    encoder::tape tape, plain_tape;
    auto g = heed::zeros_like(layer.weights), plain_g = g;
    const rows want = layer.forward(x, plain_tape, heed::causal, drop, heed::softcap(3));
    CHECK(same_bits(elements(call(x)), elements(want)));
    CHECK(same_bits(elements(call.forward(x, tape)), elements(want)));
    rows y(2, n, width), dx(2, n, width);
    call.forward_into(y, x);
    CHECK(same_bits(elements(y), elements(want)));
    heed::workspace work;
    call.forward_into(y, x, tape, heed::use(work));
    CHECK(same_bits(elements(y), elements(want)));
    const rows want_dx = layer.backward(dy, x, plain_tape, plain_g, heed::causal, drop, heed::softcap(3));
    CHECK(same_bits(elements(call.backward(dy, x, tape, g)), elements(want_dx)));
    CHECK(same_parameters(g, plain_g));
    call.backward_into(dx, dy, x, tape, g, heed::use(work));
    CHECK(same_bits(elements(dx), elements(want_dx)));

    encoder::stream stream, plain_stream;
    const rows next = layer.extend(x, plain_stream, heed::causal, drop, heed::softcap(3));
    CHECK(same_bits(elements(call.extend(x, stream)), elements(next)));
    encoder::stream other;
    call.extend_into(y, x, other);
    CHECK(same_bits(elements(y), elements(next)));
}

TEST_CASE("what a forward writes is left away in the backward, and gradients in the forward") {
    const encoder layer({.attention = {.width = width, .heads = heads}}, 3);
    support::tensor<double> weights(2, heads, n, n);
    rows bias(heads, n, n), d_bias(heads, n, n), more(heads, n, n);
    support::random r(9);
    support::fill_normal(bias, r);
    const auto call = layer.with(heed::bias(bias), heed::weights(weights), heed::bias_gradient(d_bias));
    encoder::tape tape;
    auto g = heed::zeros_like(layer.weights);
    (void)call.forward(x, tape);
    CHECK(weights(0, 0, 0, 0) > 0);
    (void)call.backward(dy, x, tape, g);
    CHECK(support::max_abs(elements(d_bias)) > 0);
    // The same gradient asked for by the call itself.
    const auto bare = layer.with(heed::bias(bias));
    (void)bare.backward(dy, x, tape, g, heed::bias_gradient(more));
    CHECK(same_bits(elements(more), elements(d_bias)));
}

TEST_CASE("a bound layer takes its memory, and options for the attention over it") {
    const decoder layer({.attention = {.width = width, .heads = heads}}, 3);
    const std::vector<int> lengths{4, 2};
    support::tensor<double> seen(2, heads, n, 4);
    const auto over = heed::for_memory(heed::key_lengths(lengths), heed::weights(seen));
    const auto call = layer.with(over);
    decoder::tape tape, plain_tape;
    const rows want = layer.forward(x, memory, plain_tape, over);
    CHECK(same_bits(elements(call(x, memory)), elements(want)));
    CHECK(same_bits(elements(call.forward(x, memory, tape)), elements(want)));
    auto g = heed::zeros_like(layer.weights), plain_g = g;
    rows dx(2, n, width), dm(2, 4, width), plain_dx = dx, plain_dm = dm;
    layer.backward_into(plain_dx, plain_dm, dy, x, memory, plain_tape, plain_g,
                        heed::for_memory(heed::key_lengths(lengths)));
    call.backward_into(dx, dm, dy, x, memory, tape, g);
    CHECK(same_bits(elements(dx), elements(plain_dx)));
    CHECK(same_bits(elements(dm), elements(plain_dm)));
    CHECK(same_parameters(g, plain_g));
    dm.setZero();
    CHECK(same_bits(elements(call.backward(dy, x, memory, tape, g, dm)), elements(dx)));
    CHECK(same_bits(elements(dm), elements(plain_dm)));
    decoder::stream stream, plain_stream;
    call.remember(memory, stream);
    layer.remember(memory, plain_stream);
    CHECK(same_bits(elements(call.extend(x, stream)), elements(layer.extend(x, plain_stream, over))));
}

TEST_CASE("a layer that learns while it runs is bound as it is") {
    heed::rep_batch_norm<double> norm({.width = width}), other = norm;
    heed::rep_batch_norm<double>::tape tape, other_tape;
    heed::workspace work;
    const auto call = norm.with(heed::use(work));
    CHECK(same_bits(elements(call.forward(x, tape)), elements(other.forward(x, other_tape))));
    CHECK(same_bits(elements(norm.running.mean), elements(other.running.mean)));
    CHECK(same_bits(elements(call(x)), elements(other(x))));
}

TEST_CASE("a backward with other options than its forward's is refused before it adds to a gradient") {
    const encoder layer({.attention = {.width = width, .heads = heads}}, 3);
    auto g = heed::zeros_like(layer.weights);
    rows dx = random_rows(n, 4);
    support::tensor<double> seen(2, heads, n, n);
    const auto forward_with = [&](const auto&... told) {
        return [&, told...](const std::string& words, const auto&... options) {
            encoder::tape tape;
            (void)layer.forward(x, tape, told...);
            check_refused([&] { layer.backward_into(dx, dy, x, tape, g, options...); },
                          "heed::encoder_layer::backward_into: " + words, dx, g);
            layer.backward_into(dx, dy, x, tape, g, told...);
        };
    };
    const auto drop = heed::dropout(0.3, 7);
    const std::string rule = "; a backward needs the options of its forward";
    const auto causal_drop = forward_with(heed::causal, drop);
    causal_drop("the tape's forward was given dropout, this call is not" + rule, heed::causal);
    causal_drop("the tape's forward was given mask, this call is not", drop);
    causal_drop("dropout is another than the tape's forward was given" + rule, heed::causal,
                heed::dropout(0.3, 8));
    causal_drop("dropout is another", heed::causal, heed::dropout(0.2, 7));
    causal_drop("mask is another", heed::window(3, 0), drop);
    causal_drop("mask is another", heed::causal_from(0), drop);
    causal_drop("mask is another", heed::causal, heed::prefix(3), drop);
    causal_drop("mask is another", heed::causal | heed::prefix(3), drop);
    causal_drop("mask is another", !heed::causal, drop);
    causal_drop("scale is given, and was not to the tape's forward" + rule, heed::causal, drop,
                heed::scale(0.3));
    const auto masked = forward_with(heed::causal, heed::window(3, 0));
    masked("mask is another", heed::window(4, 0), heed::causal);
    masked("mask is another", heed::causal | heed::window(3, 0));
    forward_with(heed::softcap(3))("softcap is another", heed::softcap(2));
    forward_with(heed::scale(1))("scale is another", heed::scale(2));
    forward_with(heed::top_k(3))("the selector of keys is another", heed::top_k(4));
    std::vector<int> lengths{5, 3};
    const std::vector<int> other_lengths{5, 4};
    forward_with(heed::key_lengths(lengths))("mask is another", heed::key_lengths(other_lengths));
    forward_with(heed::neighbourhood({n}, {3}))("mask is another", heed::neighbourhood({n}, {1}));
    std::vector<int> chain(n), star(n, -1);
    for (int i = 0; i < int(n); ++i) chain[static_cast<std::size_t>(i)] = i - 1;
    forward_with(heed::tree(chain))("mask is another", heed::tree(star));
    forward_with(heed::probability([](auto p, heed::at) { return p * p; }))(
        "the tape's forward was given probability, this call is not");
    const rows bias = random_rows(n, 5), small(2, 1, 1);
    forward_with(heed::bias(small))("the tape's forward was given bias");
    const std::vector<double> slopes{0.5, 0.25};
    forward_with(heed::alibi(slopes))("alibi is another", heed::alibi());
}

TEST_CASE("options that change no result, and the same in other words, are no difference") {
    const encoder layer({.attention = {.width = width, .heads = heads}}, 3);
    auto g = heed::zeros_like(layer.weights);
    encoder::tape tape;
    heed::workspace work;
    support::tensor<double> seen(2, heads, n, n);
    (void)layer.forward(x, tape, heed::causal, heed::window(3, 0), heed::weights(seen));
    (void)layer.backward(dy, x, tape, g, heed::window(3, 0) & heed::causal, heed::use(work));
    (void)layer.forward(x, tape, heed::dropout(0, 1), heed::score([](auto s, heed::at) { return s + s; }));
    (void)layer.backward(dy, x, tape, g, heed::score([](auto s, heed::at) { return s + s; }));
    CHECK(support::max_abs(support::numbers_in(g)) > 0);
}

TEST_CASE("the options for the memory belong to a decoder's forward too") {
    const decoder layer({.attention = {.width = width, .heads = heads}}, 3);
    decoder::tape tape;
    auto g = heed::zeros_like(layer.weights);
    rows dx = random_rows(n, 4), dm = random_rows(4, 5);
    (void)layer.forward(x, memory, tape, heed::for_memory(heed::softcap(2)));
    const auto refuses = [&](const std::string& words, const auto&... options) {
        check_refused([&] { layer.backward_into(dx, dm, dy, x, memory, tape, g, options...); }, words, dx, dm,
                      g);
    };
    refuses("the tape's forward was given for_memory");
    refuses("for_memory is another", heed::for_memory(heed::softcap(3)));
    refuses("for_memory is another", heed::for_memory(heed::softcap(2), heed::scale(1)));
    layer.backward_into(dx, dm, dy, x, memory, tape, g, heed::for_memory(heed::softcap(2)));
    (void)layer.forward(x, memory, tape);
    layer.backward_into(dx, dm, dy, x, memory, tape, g, heed::for_memory());
}

TEST_CASE("gradients that options ask for are checked before a layer adds to any") {
    const encoder layer({.attention = {.width = width, .heads = heads}}, 3);
    const rows bias = random_rows(1, 5);
    rows table(heads, n, n), wrong(heads, n, n - 1), dx = random_rows(n, 4);
    table.setConstant(0.5);
    encoder::tape tape;
    auto g = heed::zeros_like(layer.weights);
    (void)layer.forward(x, tape, heed::bias(table), heed::alibi());
    const auto refuses = [&](const std::string& words, const auto&... options) {
        check_refused(
            [&] { layer.backward_into(dx, dy, x, tape, g, heed::bias(table), heed::alibi(), options...); },
            words, dx, g, table);
    };
    refuses("the bias's gradient is (1, 2, 6, 5), needs (1, 2, 6, 6)", heed::bias_gradient(wrong));
    refuses("the bias's gradient overlaps bias", heed::bias_gradient(table));
    support::tensor<double, 1> slopes(heads + 1);
    refuses("the slopes' gradient is (1, 1, 1, 3), needs (1, 1, 1, 2)", heed::slopes_gradient(slopes));
    rows lse(2, heads, n + 1);
    lse.setZero();
    refuses("the gradient of the log-sum-exp is", heed::logsumexp_gradient(lse));

    // States, whose extents the attention decides.
    using linear = heed::encoder_layer<double, heed::linear_heads>;
    using gated = heed::encoder_layer<double, heed::gated_delta_heads>;
    const auto check_state = [&](const auto& one, long columns) {
        using layer_type = std::remove_cvref_t<decltype(one)>;
        typename layer_type::tape kept;
        auto own = heed::zeros_like(one.weights);
        support::tensor<double> state(2, heads, 4, columns), d_state(2, heads, 4, columns + 1);
        state.setZero();
        d_state.setZero();
        (void)one.forward(x, kept, heed::causal, heed::final_state(state));
        check_refused(
            [&] {
                one.backward_into(dx, dy, x, kept, own, heed::causal, heed::final_state_gradient(d_state));
            },
            "the final state's gradient is", dx, own);
        one.backward_into(dx, dy, x, kept, own, heed::causal, heed::final_state_gradient(state));
    };
    check_state(linear({.attention = {.width = width, .heads = heads}}, 3), 5);
    check_state(gated({.attention = {.width = width, .heads = heads}}, 3), 4);
}
