// SPDX-License-Identifier: MIT
// tests/layers/gelu.cpp: gelu and its slope alone: their digits, their ends, and numbers beyond all powers
#include <heed/layers/feed_forward.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_reference.hpp"
#include "support/tensors.hpp"
#include "support/traps.hpp"

namespace {

using heed::activation;

// A layer of width and hidden 1, weights 1.
template <class T>
struct bare_gelu {
    heed::feed_forward<T> layer{{.width = 1, .hidden = 1, .bias = false}};
    typename heed::feed_forward<T>::tape tape;
    bare_gelu() {
        layer.weights.up.weight.setConstant(1);
        layer.weights.down.weight.setConstant(1);
    }
};

template <class T>
void check_beyond() {
    bare_gelu<T> f;
    auto g = heed::zeros_like(f.layer.weights);
    support::tensor<T, 2> x(6, 1), one(6, 1);
    const T huge = std::numeric_limits<T>::max() / 2;
    x.setValues({{huge}, {-huge}, {25}, {-25}, {0}, {-T(0)}});
    one.setConstant(1);
    const auto y = f.layer.forward(x, f.tape);
    const auto slope = f.layer.backward(one, x, f.tape, g);
    const T want[] = {huge, 0, 25, 0, 0, 0}, want_slope[] = {1, 0, 1, 0, T(0.5), T(0.5)};
    for (int i = 0; i < 6; ++i) {
        CHECK(y(i, 0) == want[i]);
        CHECK(slope(i, 0) == want_slope[i]);
    }
    const heed_test::without_traps quiet;
    x(0, 0) = std::numeric_limits<T>::quiet_NaN();
    x(1, 0) = std::numeric_limits<T>::infinity();
    for (const activation a : {activation::gelu_tanh, activation::relu, activation::gated_relu}) {
        f.layer = heed::feed_forward<T>({.width = 1, .hidden = 1, .activation = a});
        heed::for_each_parameter([](const std::string&, auto& w) { w.setConstant(w.rank() == 2 ? 1 : 0); },
                                 f.layer.weights);
        const auto z = f.layer.forward(x, f.tape);
        g = heed::zeros_like(f.layer.weights);
        const auto dz = f.layer.backward(one, x, f.tape, g);
        CHECK(std::isnan(z(0, 0)));
        CHECK(std::isnan(dz(0, 0)));
        CHECK(z(1, 0) == std::numeric_limits<T>::infinity());
        for (int i = 2; i < 6; ++i) CHECK((std::isfinite(z(i, 0)) && std::isfinite(dz(i, 0))));
    }
    x(0, 0) = -std::numeric_limits<T>::infinity();
    CHECK(bare_gelu<T>().layer(x)(0, 0) == 0);
}

// From its lowest point outwards gelu falls to zero and rises to x, through where its exponential ends; the
// rounding of a step may go either way.
template <class T>
void check_shape() {
    bare_gelu<T> f;
    auto g = heed::zeros_like(f.layer.weights);
    const long count = 30001;
    const T eps = std::numeric_limits<T>::epsilon();
    support::tensor<T, 2> x(count, 1), one(count, 1);
    for (long i = 0; i < count; ++i) x(i, 0) = static_cast<T>(i) / 1000;
    one.setConstant(1);
    const support::tensor<T, 2> minus = -x;
    const support::tensor<T, 2> up = f.layer.forward(x, f.tape);
    const support::tensor<T, 2> up_slope = f.layer.backward(one, x, f.tape, g);
    const support::tensor<T, 2> down = f.layer.forward(minus, f.tape);
    const support::tensor<T, 2> down_slope = f.layer.backward(one, minus, f.tape, g);
    long wrong = 0;
    for (long i = 0; i < count; ++i) {
        const T at = x(i, 0);
        // f(x) - f(-x) = x, and the slopes of both sides have the sum 1.
        wrong += !(std::fabs(up(i, 0) - down(i, 0) - at) <= eps * at);
        wrong += !(std::fabs(up_slope(i, 0) + down_slope(i, 0) - 1) <= eps);
        if (i == 0 || at < T(0.76)) continue;
        wrong += !(down(i, 0) <= 0 && down(i, 0) >= down(i - 1, 0) * (1 + 400 * eps));
        wrong += !(up(i, 0) > up(i - 1, 0));
    }
    CHECK(wrong == 0);
    CHECK(down(count - 1, 0) == 0);
}

}  // namespace

TEST_CASE("gelu keeps its digits on both sides, and its slope too") {
    bare_gelu<float> f;
    bare_gelu<double> d;
    auto g = heed::zeros_like(f.layer.weights);
    auto gd = heed::zeros_like(d.layer.weights);
    const long count = 4001;
    support::tensor<float, 2> x(count, 1), one(count, 1);
    for (long i = 0; i < count; ++i) x(i, 0) = static_cast<float>(i - 2000) / 200;
    one.setConstant(1);
    const support::tensor<double, 2> z = x.cast<double>(), ones = one.cast<double>();
    const auto y = f.layer.forward(x, f.tape);
    const auto slope = f.layer.backward(one, x, f.tape, g);
    const auto yd = d.layer.forward(z, d.tape);
    const auto slope_d = d.layer.backward(ones, z, d.tape, gd);
    double worst = 0, worst_d = 0, worst_slope = 0, worst_slope_d = 0;
    for (long i = 0; i < count; ++i) {
        const double at = z(i, 0), want = reference::gelu(at), h = 1e-4;
        const auto apart = [&](double by) { return reference::gelu(at + by) - reference::gelu(at - by); };
        const double difference = (8 * apart(h) - apart(2 * h)) / (12 * h);  // of fourth order
        // The exponent has a rounding of its own size.
        const double size = std::fabs(want) * (2 + std::fabs(at) * (1.6 + 0.08 * at * at));
        if (std::fabs(want) > 1e-30) {
            worst = std::fmax(worst, std::fabs(static_cast<double>(y(i, 0)) - want) / size);
            worst_d = std::fmax(worst_d, std::fabs(yd(i, 0) - want) / size);
        }
        worst_slope = std::fmax(worst_slope, std::fabs(static_cast<double>(slope(i, 0)) - difference));
        worst_slope_d = std::fmax(worst_slope_d, std::fabs(slope_d(i, 0) - difference));
    }
    CHECK(worst < 2e-7);
    CHECK(worst_d < 4e-16);
    CHECK(worst_slope < 5e-7);
    CHECK(worst_slope_d < 1e-11);
}

TEST_CASE("gelu and relu of numbers beyond all powers") {
    check_beyond<float>();
    check_beyond<double>();
}

TEST_CASE("gelu is the same on both sides, up to where its exponential ends") {
    check_shape<float>();
    check_shape<double>();
}
