// SPDX-License-Identifier: MIT
// tests/layers/feed_forward.cpp: both products and the activation, against the formula and differences
#include <heed/layers/feed_forward.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_gradient.hpp"
#include "support/layer_reference.hpp"
#include "support/traps.hpp"

namespace {

using heed::activation;
constexpr activation all[] = {activation::gelu_tanh, activation::relu, activation::gated_relu};

template <class T>
heed::feed_forward<T> random_layer(support::random& r, const heed::feed_forward_config& config) {
    heed::feed_forward<T> layer(config, 5);
    support::randomise(layer.weights, r);
    return layer;
}
template <class T>
reference::linear_layer linear_of(const heed::projection_parameters<T>& p) {
    return {support::values(p.weight), support::values(p.bias),
            static_cast<std::size_t>(p.weight.dimension(0)), static_cast<std::size_t>(p.weight.dimension(1))};
}
template <class T, class X>
reference::numbers wanted(const heed::feed_forward<T>& layer, const X& x) {
    const auto in = support::values(x);
    const auto up = linear_of(layer.weights.up), down = linear_of(layer.weights.down);
    switch (layer.config().activation) {
        case activation::gelu_tanh:
            return reference::feed_forward(in, up, down, reference::gelu);
        case activation::relu:
            return reference::feed_forward(in, up, down, reference::relu);
        default:
            return reference::gated_feed_forward(in, up, linear_of(layer.weights.gate), down);
    }
}

}  // namespace

TEST_CASE("a feed-forward layer is that of the formula") {
    support::random r(21);
    for (const activation a : all)
        for (const bool bias : {true, false})
            for (const long width : {1, 5, 17, 40}) {
                const heed::feed_forward_config config{.width = width, .activation = a, .bias = bias};
                support::tensor<float, 3> x(2, 3, width);
                support::tensor<double, 3> z(2, 3, width);
                support::fill_normal(x, r);
                support::fill_normal(z, r);
                const auto layer = random_layer<float>(r, config);
                const auto exact = random_layer<double>(r, config);
                CHECK(layer.weights.up.weight.dimension(1) == 4 * width);
                const auto want = wanted(layer, x), want_z = wanted(exact, z);
                CHECK(support::max_error(support::values(layer(x)), want) <
                      2e-6 * (1 + support::max_abs(want)));
                CHECK(support::max_error(support::values(exact(z)), want_z) <
                      4e-15 * (1 + support::max_abs(want_z)));
            }
}

TEST_CASE("the gradients of a feed-forward layer agree with central differences") {
    support::random r(22);
    for (const activation a : all)
        for (const bool bias : {true, false}) {
            support::tensor<double, 3> x(2, 4, 7);
            support::fill_normal(x, r);
            const auto layer =
                random_layer<double>(r, {.width = 7, .hidden = 19, .activation = a, .bias = bias});
            const auto errors = support::layer_gradient(layer, x);
            INFO(static_cast<int>(a) << ": " << errors.text());
            CHECK(errors.worst() < 1e-6);
            const std::size_t layers = a == activation::gated_relu ? 3 : 2;
            CHECK(errors.entries.size() == 1 + layers * (bias ? 2 : 1));
        }
}

TEST_CASE("a feed-forward layer in float is that in double, backward too") {
    support::random r(23);
    for (const activation a : all) {
        const heed::feed_forward_config config{.width = 30, .hidden = 70, .activation = a};
        support::tensor<float, 2> x(50, 30), dy(50, 30);
        support::fill_normal(x, r);
        support::fill_normal(dy, r);
        const auto layer = random_layer<float>(r, config);
        heed::feed_forward<double> exact(config);
        heed::for_each_parameter(
            [](const std::string&, auto& to, const auto& from) { to = from.template cast<double>(); },
            exact.weights, layer.weights);
        const support::tensor<double, 2> exact_x = x.cast<double>(), exact_dy = dy.cast<double>();
        heed::feed_forward<float>::tape tape;
        heed::feed_forward<double>::tape exact_tape;
        auto g = heed::zeros_like(layer.weights);
        auto exact_g = heed::zeros_like(exact.weights);
        layer.forward(x, tape);
        exact.forward(exact_x, exact_tape);
        const auto dx = support::values(layer.backward(dy, x, tape, g));
        const auto exact_dx = support::values(exact.backward(exact_dy, exact_x, exact_tape, exact_g));
        CHECK(support::max_error(dx, exact_dx) < 2e-6 * support::max_abs(exact_dx));
        heed::for_each_parameter(
            [&](const std::string& name, const auto& got, const auto& want) {
                INFO(name);
                CHECK(support::max_error(support::values(got), support::values(want)) <=
                      2e-6 * support::max_abs(support::values(want)));
            },
            g, exact_g);
    }
}

TEST_CASE("the bits of a feed-forward layer depend on no thread, and a row's on no other row") {
    support::random r(24);
    for (const activation a : all) {
        support::tensor<float, 3> x(2, 35, 24), dy(2, 35, 24);
        support::fill_normal(x, r);
        support::fill_normal(dy, r);
        const auto layer = random_layer<float>(r, {.width = 24, .hidden = 50, .activation = a});
        heed::feed_forward<float>::tape tape;
        auto g = heed::zeros_like(layer.weights);
        const auto y = layer.forward(x, tape);
        const auto dx = layer.backward(dy, x, tape, g);
        for (const int threads : {2, 5}) {
            const heed::thread_pool pool(threads);
            auto g2 = heed::zeros_like(layer.weights);
            CHECK(support::same_bits(support::elements(layer.forward(x, tape, heed::on(pool))),
                                     support::elements(y)));
            CHECK(support::same_bits(support::elements(layer.backward(dy, x, tape, g2, heed::on(pool))),
                                     support::elements(dx)));
            heed::for_each_parameter(
                [&](const std::string& name, const auto& one, const auto& many) {
                    INFO(name);
                    CHECK(support::same_bits(support::elements(one), support::elements(many)));
                },
                g, g2);
        }
        // The tape serves a second backward, and a row alone has the same bits.
        auto g3 = heed::zeros_like(layer.weights);
        CHECK(support::same_bits(support::elements(layer.backward(dy, x, tape, g3)), support::elements(dx)));
        const Eigen::TensorMap<const support::tensor<float, 2>> row(x.data() + 44 * 24, 1, 24);
        CHECK(support::same_bits(layer(row).data(), y.data() + 44 * 24, 24));
    }
}

TEST_CASE("a training step of a feed-forward layer allocates nothing once its memory has grown") {
    support::random r(25);
    for (const activation a : all) {
        support::tensor<float, 2> x(40, 16), y(40, 16), dx(40, 16);
        support::fill_normal(x, r);
        const auto layer = random_layer<float>(r, {.width = 16, .activation = a});
        auto g = heed::zeros_like(layer.weights);
        heed::feed_forward<float>::tape tape;
        heed::workspace memory;
        const heed::thread_pool pool(2);
        const auto step = [&](const auto&... options) {
            layer.forward_into(y, x, tape, options...);
            layer.backward_into(dx, y, x, tape, g, options...);
        };
        const auto used = heed::use(memory);
        step(used), step(used, heed::on(pool));
        long counted = 0;
        {
            const support::allocation_watch watch;
            step(used), step(used, heed::on(pool));
            counted = watch.count();
        }
        CHECK(counted == 0);
        CHECK(layer(support::tensor<float, 2>(0, 16)).size() == 0);
    }
}

TEST_CASE("NaN stays in its row of a feed-forward layer") {
    const heed_test::without_traps quiet;
    support::random r(26);
    for (const activation a : all) {
        support::tensor<double, 2> x(10, 20), dy(10, 20);
        support::fill_normal(x, r);
        support::fill_normal(dy, r);
        const auto layer = random_layer<double>(r, {.width = 20, .activation = a});
        heed::feed_forward<double>::tape tape;
        auto g = heed::zeros_like(layer.weights);
        const auto y = layer.forward(x, tape);
        const auto dx = layer.backward(dy, x, tape, g);
        x(4, 19) = std::numeric_limits<double>::quiet_NaN();
        const auto y2 = layer.forward(x, tape);
        const auto dx2 = layer.backward(dy, x, tape, g);
        for (long i = 0; i < x.size(); ++i) {
            const bool poisoned = i / 20 == 4;
            CHECK((poisoned ? std::isnan(y2.data()[i]) : y2.data()[i] == y.data()[i]));
            CHECK((poisoned ? std::isnan(dx2.data()[i]) : dx2.data()[i] == dx.data()[i]));
        }
    }
}

TEST_CASE("what is wrong with a call of a feed-forward layer, and nothing is written") {
    const heed::feed_forward<float> layer({.width = 4});
    heed::feed_forward<float>::tape tape;
    auto g = heed::zeros_like(layer.weights);
    support::tensor<float, 2> x(3, 4), y(3, 4), wide(3, 5), few(2, 4);
    x.setZero();
    y.setConstant(77);
    const std::string forward = "heed::feed_forward::forward_into: ",
                      back = "heed::feed_forward::backward_into: ";
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = 0}),
                      "heed::feed_forward: width is 0, needs at least 1");
    CHECK_THROWS_WITH(heed::feed_forward<float>({.width = 3, .hidden = -1}),
                      "heed::feed_forward: hidden is -1, needs at least 1, or 0 for 4 x width");
    CHECK_THROWS_WITH(layer(wide), "heed::feed_forward: x has a width of 5, needs 4");
    CHECK_THROWS_WITH(layer.forward(wide, tape), "heed::feed_forward::forward: x has a width of 5, needs 4");
    CHECK_THROWS_WITH(layer.forward_into(y, wide), forward + "x has a width of 5, needs 4");
    CHECK_THROWS_WITH(layer.backward(y, wide, tape, g),
                      "heed::feed_forward::backward: x has a width of 5, needs 4");
    CHECK_THROWS_WITH(layer.forward_into(few, x, tape), forward + "y has 2 positions, x has 3");
    CHECK_THROWS_WITH(layer.forward_into(x, x, tape), forward + "y overlaps x, needs memory of its own");
    CHECK_THROWS_WITH(layer.backward_into(y, x, x, tape, g),
                      back + "tape holds a forward of 0 rows, x has 3");
    layer.forward(x, tape);
    CHECK_THROWS_WITH(layer.backward_into(y, few, x, tape, g), back + "dy has 2 positions, x has 3");
    CHECK_THROWS_WITH(layer.backward_into(few, x, x, tape, g), back + "dx has 2 positions, x has 3");
    CHECK_THROWS_WITH(layer.backward_into(x, y, x, tape, g), back + "dx overlaps x, needs memory of its own");
    g.down.weight.resize(16, 3);
    CHECK_THROWS_WITH(
        layer.backward_into(y, x, x, tape, g),
        heed_test::contains("gradients.down.weight has 3 entries along axis 1, the parameter has 4"));
    for (long i = 0; i < 12; ++i) CHECK(y.data()[i] == 77);
}
