// SPDX-License-Identifier: MIT
// tests/support/heads_check.hpp: one variant of heads inside heed::multi_head_attention, checked all round
#pragma once

#include <heed/thread_pool.hpp>

#include "allocation.hpp"
#include "cummax_heads_reference.hpp"
#include "multi_head_problem.hpp"

namespace support {

using rows_tensor = tensor<double, 3>;

template <class T, class Heads>
auto random_layer(const heed::attention_config& c, random& r, double deviation = 0.4) {
    heed::multi_head_attention<T, Heads> layer(c, 5);
    randomise(layer.weights, r, deviation);
    return layer;
}

template <class T>
bool same_rows(const tensor<T, 3>& a, const tensor<T, 3>& b) {
    return same_bits(elements(a), elements(b));
}
template <class P>
bool same_parameters(const P& a, const P& b) {
    bool same = true;
    heed::for_each_parameter([&](const std::string&, const auto& x,
                                 const auto& y) { same = same && same_bits(elements(x), elements(y)); },
                             a, b);
    return same;
}

template <class Layer>
heads_reference::weights reference_weights(const Layer& layer) {
    const auto& w = layer.weights;
    return {layer.config().width, values(w.in.weight), values(w.in.bias), values(w.out.weight),
            values(w.out.bias)};
}

// The forward against the reference, in double and in float.
template <class Heads, class Layer, class Attention, class... Options>
void check_forward(const Layer& layer, random& r, long batch, long positions, const Attention& attend,
                   const Options&... options) {
    const heed::attention_config& c = layer.config();
    const rows_tensor x = random_rows<double>(r, batch, positions, c.width);
    const heads_reference::shape s{batch, c.heads, positions, c.head_dim};
    const auto truth = heads_reference::solve(values(x), s, reference_weights(layer), Heads::streams, attend);
    const double size = std::fmax(1.0, max_abs(truth));
    CHECK(max_error(values(layer(x, options...)), truth) <= 1e-13 * size);

    const auto narrow = converted<heed::multi_head_attention<float, Heads>>(layer);
    const tensor<float, 3> near = x.template cast<float>();
    CHECK(max_error(values(narrow(near, options...)), truth) <= 2e-5 * size);
}

// A stream in parts has the bits of the whole sequence, or with `rounding` is near it.
template <class Layer, class X, class... Options>
void check_stream(double rounding, const Layer& layer, const X& x, const Options&... options) {
    const X whole = layer(x, options...);
    X parts = whole;
    parts.setZero();
    typename Layer::stream stream;
    const long positions = static_cast<long>(x.dimension(1));
    long first = 0;
    for (const long n : {1L, positions / 3, 1L, positions - positions / 3 - 2}) {
        const Eigen::array<long, 3> from{0, first, 0},
            count{static_cast<long>(x.dimension(0)), n, static_cast<long>(x.dimension(2))};
        const X part = x.slice(from, count);
        parts.slice(from, count) = layer.extend(part, stream, options...);
        first += n;
    }
    CHECK(first == positions);
    CHECK(stream.position == positions);
    if (rounding == 0)
        CHECK(same_rows(parts, whole));
    else
        CHECK(relative_error(values(parts), values(whole)) <= rounding);
}

// Any number of threads gives the bits of one, forward and backward, and the second step allocates nothing.
template <class Layer, class X, class... Options>
void check_training(const Layer& layer, const X& x, const Options&... options) {
    typename Layer::tape tape;
    const X y = layer.forward(x, tape, options...);
    auto gradients = heed::zeros_like(layer.weights);
    const X dx = layer.backward(y, x, tape, gradients, options...);
    for (const int threads : {2, 3}) {
        const heed::thread_pool pool(threads);
        typename Layer::tape other;
        auto again = heed::zeros_like(layer.weights);
        CHECK(same_rows(layer.forward(x, other, options..., heed::on(pool)), y));
        CHECK(same_rows(layer.backward(y, x, other, again, options..., heed::on(pool)), dx));
        CHECK(same_parameters(gradients, again));
    }
    heed::workspace memory;
    X to = y, d = dx;
    const auto step = [&] {
        layer.forward_into(to, x, tape, options..., heed::use(memory));
        layer.backward_into(d, y, x, tape, gradients, options..., heed::use(memory));
    };
    step();
    const allocation_watch watch;
    step();
    CHECK(watch.count() == 0);
}

template <class Layer, class X, class... Options>
void check_gradients_of(const Layer& layer, const X& x, const Options&... options) {
    const gradient_errors errors = layer_gradient(layer, x, options...);
    INFO(errors.text());
    CHECK(errors.worst() <= 1e-6);
}

}  // namespace support
