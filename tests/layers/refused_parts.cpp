// SPDX-License-Identifier: MIT
// tests/layers/refused_parts.cpp: tapes and weights of another layer, and gradients that are the weights
#include <limits>

#include <heed/layers/feed_forward.hpp>
#include <heed/layers/rep_batch_norm.hpp>

#include "support/layer_gradient.hpp"
#include "support/refused.hpp"
#include "support/traps.hpp"

namespace {

using support::check_refused;
using matrix = support::tensor<float, 2>;
using heed::activation;

matrix random_matrix(long rows, long columns) {
    support::random r(static_cast<std::uint64_t>(rows * 100 + columns));
    matrix x(rows, columns);
    support::fill_normal(x, r);
    return x;
}

struct feed_forward_case {
    heed::feed_forward<float> layer;
    matrix x = random_matrix(10, 8), dy = random_matrix(10, 8), y = random_matrix(10, 8);
    heed::feed_forward<float>::parameters g = heed::zeros_like(layer.weights);
    heed::feed_forward<float>::tape tape;

    explicit feed_forward_case(const heed::feed_forward_config& c) : layer(c) {}
    // The backward of this layer with the tape of another.
    void refuses(const heed::feed_forward_config& other, const std::string& words) {
        const heed::feed_forward<float> wrong(other);
        wrong.forward(random_matrix(10, other.width), tape);
        check_refused([&] { layer.backward_into(y, dy, x, tape, g); }, words, y, g);
    }
};

}  // namespace

TEST_CASE("a feed-forward refuses a tape of another") {
    feed_forward_case gated({.width = 8, .hidden = 6, .activation = activation::gated_relu});
    gated.refuses(
        {.width = 8, .hidden = 6, .activation = activation::relu},
        "tape holds the forward of another feed-forward (8 wide, 6 hidden, relu); needs one of this "
        "(8 wide, 6 hidden, gated_relu)");
    gated.refuses({.width = 8, .hidden = 5, .activation = activation::gated_relu}, "8 wide, 5 hidden");
    gated.refuses({.width = 4, .hidden = 6, .activation = activation::gated_relu}, "4 wide, 6 hidden");
    gated.refuses({.width = 8, .hidden = 6, .activation = activation::gated_relu, .bias = false},
                  "gated_relu, no bias)");
    feed_forward_case plain({.width = 8, .hidden = 6});
    plain.refuses({.width = 8, .hidden = 6, .activation = activation::gated_relu}, "hidden, gated_relu)");
    plain.refuses({.width = 8, .hidden = 6, .activation = activation::relu},
                  "needs one of this (8 wide, 6 hidden, gelu_tanh)");
}

TEST_CASE("a norm refuses a tape of another") {
    const heed::layer_norm<float> narrow({.width = 2}), norm({.width = 8});
    const matrix x = random_matrix(10, 8), dy = random_matrix(10, 8);
    matrix y = random_matrix(10, 8);
    heed::layer_norm<float>::tape tape;
    auto g = heed::zeros_like(norm.weights);
    narrow.forward(random_matrix(10, 2), tape);
    check_refused([&] { norm.backward_into(y, dy, x, tape, g); },
                  "tape holds a forward of a width of 2, x has 8", y, g);

    for (const long step : {0, 1, 2}) {
        heed::rep_batch_norm<float> small({.width = 2, .warm_up = 1, .steps = 2}),
            large({.width = 8, .warm_up = 1, .steps = 2});
        heed::rep_batch_norm<float>::tape other;
        auto g_large = heed::zeros_like(large.weights);
        small.set_step(step);
        small.forward(random_matrix(10, 2), other);
        check_refused([&] { large.backward_into(y, dy, x, other, g_large); },
                      "tape holds a forward of a width of 2, x has 8", y, g_large);
    }
}

TEST_CASE("weights of another shape are refused by name") {
    const matrix x = random_matrix(10, 8);
    matrix y = random_matrix(10, 8);
    const auto refuses = [&](auto& layer, const std::string& words) {
        check_refused([&] { layer.forward_into(y, x); }, words, y);
    };
    heed::projection<float> square({.inputs = 8, .outputs = 8});
    square.weights.bias.resize(3);
    refuses(square, "weights.bias has 3 entries, needs 8");
    auto g_square = heed::zeros_like(square.weights);
    check_refused([&] { square.backward_into(y, x, x, g_square); }, "weights.bias has 3 entries", y);

    const auto with_tape = [&](auto& layer, auto& tape, const std::string& words) {
        auto g = heed::zeros_like(layer.weights);
        check_refused([&] { layer.forward_into(y, x, tape); }, words, y);
        check_refused([&] { layer.backward_into(y, x, x, tape, g); }, words, y, g);
    };
    heed::layer_norm<float> norm({.width = 8});
    heed::layer_norm<float>::tape norm_tape;
    norm.forward(x, norm_tape);
    norm.weights.bias.resize(2);
    norm.weights.bias.setZero();
    with_tape(norm, norm_tape, "weights.bias has 2 entries, needs 8");

    using feed_forward = heed::feed_forward<float>;
    const auto broken = [&](const heed::feed_forward_config& made, const heed::feed_forward_config& loaded,
                            const std::string& words) {
        feed_forward layer(made);
        feed_forward::tape tape;
        layer.forward(x, tape);
        layer.weights = feed_forward(loaded).weights;
        with_tape(layer, tape, words);
    };
    broken({.width = 8}, {.width = 8, .hidden = 4}, "weights.up.weight is 8 x 4, needs 8 x 32");
    broken({.width = 8, .activation = activation::gated_relu}, {.width = 8},
           "weights.gate.weight is 0 x 0, needs 8 x 32");
    broken({.width = 8}, {.width = 8, .activation = activation::gated_relu},
           "weights.gate.weight is 8 x 32, needs 0 x 0");
    feed_forward layer({.width = 8});
    feed_forward::tape tape;
    layer.forward(x, tape);
    const auto good = layer.weights;
    layer.weights.down.weight = feed_forward({.width = 8, .hidden = 4}).weights.down.weight;
    with_tape(layer, tape, "weights.down.weight is 4 x 8, needs 32 x 8");
    layer.weights = good;
    layer.weights.down.bias.resize(9);
    layer.weights.down.bias.setZero();
    with_tape(layer, tape, "weights.down.bias has 9 entries, needs 8");
    layer.weights.down.bias.resize(0);  // none is one that fits
    auto g = heed::zeros_like(layer.weights);
    layer.backward_into(y, x, x, tape, g);
    CHECK(support::max_abs(support::numbers_in(g.up)) > 0);
}

TEST_CASE("a batch norm refuses weights and running statistics of another width") {
    const matrix x = random_matrix(10, 8);
    matrix y = random_matrix(10, 8);
    const heed::rep_batch_norm<float> small({.width = 2});
    const auto refuses = [&](const auto& change, const std::string& words) {
        heed::rep_batch_norm<float> norm({.width = 8});
        heed::rep_batch_norm<float>::tape tape;
        norm.forward(x, tape);
        change(norm);
        heed::projection<float> next({.inputs = 8, .outputs = 3});
        auto g = heed::zeros_like(norm.weights);
        const auto refused = [&](const auto& call) { check_refused(call, words, y, g, norm.running); };
        refused([&] { norm.forward_into(y, x); });
        refused([&] { norm.forward_into(y, x, tape); });
        refused([&] { norm.backward_into(y, x, x, tape, g); });
        check_refused([&] { norm.fold_into(next.weights); }, words, next.weights);
    };
    refuses([&](auto& n) { n.weights.layer.weight = small.weights.layer.weight; },
            "weights.layer.weight has 2 entries, needs 8");
    refuses([&](auto& n) { n.weights.batch.bias = small.weights.batch.bias; },
            "weights.batch.bias has 2 entries, needs 8");
    refuses([&](auto& n) { n.weights.eta.resize(0); }, "weights.eta has 0 entries, needs 1");
    refuses([&](auto& n) { n.running.mean = small.running.mean; }, "running.mean has 2 entries, needs 8");
    refuses([&](auto& n) { n.running.variance = small.running.variance; },
            "running.variance has 2 entries, needs 8");
}

TEST_CASE("a batch norm folds only what is one") {
    heed::rep_batch_norm<float> norm({.width = 8});
    heed::projection<float> next({.inputs = 8, .outputs = 3});
    const auto refuses = [&](const std::string& words) {
        check_refused([&] { norm.fold_into(next.weights); }, "rep_batch_norm::fold_into: " + words,
                      next.weights);
    };
    norm.inference_lambda = 0.5;
    refuses("inference_lambda is 0.5; needs 0, a share of the layer norm does not fold");
    norm.inference_lambda = std::numeric_limits<double>::quiet_NaN();
    refuses("inference_lambda is nan");
    norm.inference_lambda = 0;
    next.weights.bias.resize(2);
    next.weights.bias.setZero();
    refuses("the projection's bias has 2 entries, needs 3, or none");
}

TEST_CASE("gradients are not the weights themselves") {
    const matrix x = random_matrix(10, 8);
    matrix y = random_matrix(10, 8);
    heed::feed_forward<float> layer({.width = 8, .bias = false});
    heed::feed_forward<float>::tape tape;
    layer.forward(x, tape);
    check_refused([&] { layer.backward_into(y, x, x, tape, layer.weights); },
                  "gradients.up.weight is the parameter itself, needs memory of its own", y, layer.weights);
    heed::layer_norm<float> norm({.width = 8});
    heed::layer_norm<float>::tape norm_tape;
    norm.forward(x, norm_tape);
    check_refused([&] { norm.backward_into(y, x, x, norm_tape, norm.weights); },
                  "gradients.weight is the parameter itself", y, norm.weights);
}

TEST_CASE("an epsilon is positive and finite") {
    const heed_test::without_traps quiet;
    const double infinite = std::numeric_limits<double>::infinity();
    for (const double epsilon :
         {0.0, -1.0, infinite, std::numeric_limits<double>::quiet_NaN(), 1e39, 1e-60}) {
        const auto words = heed_test::contains("needs a positive finite number");
        CHECK_THROWS_WITH(heed::layer_norm<float>({.width = 4, .epsilon = epsilon}), words);
        CHECK_THROWS_WITH(heed::rep_batch_norm<float>({.width = 4, .epsilon = epsilon}), words);
    }
    CHECK(heed::layer_norm<double>({.width = 4, .epsilon = 1e-60}).config().epsilon == 1e-60);
    CHECK(heed::layer_norm<float>({.width = 4, .epsilon = 1e-30}).config().epsilon == 1e-30);
}
