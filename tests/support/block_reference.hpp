// SPDX-License-Identifier: MIT
// tests/support/block_reference.hpp: encoder and decoder layers from their formulas, in double
#pragma once

#include <heed/layers/decoder_layer.hpp>
#include <heed/layers/encoder_layer.hpp>

#include "multi_head_problem.hpp"

namespace support {

using reference::numbers;
using branch = std::function<numbers(const numbers&)>;

// norm(x + f(x)) or x + f(norm(x))
inline numbers block(heed::norm_place place, const numbers& x, const branch& f, const branch& norm) {
    numbers y = place == heed::norm_place::before ? f(norm(x)) : f(x);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i];
    return place == heed::norm_place::before ? y : norm(y);
}
template <class T>
branch norm_of(const heed::layer_norm_parameters<T>& w) {
    return [&w](const numbers& x) { return reference::layer_norm(x, values(w.weight), values(w.bias)); };
}
template <class T>
branch feed_forward_of(const heed::feed_forward_config& c, const heed::feed_forward_parameters<T>& w) {
    const auto linear = [](const heed::projection_parameters<T>& p) {
        return reference::linear_layer{values(p.weight), values(p.bias),
                                       static_cast<std::size_t>(p.weight.dimension(0)),
                                       static_cast<std::size_t>(p.weight.dimension(1))};
    };
    return [=, &w](const numbers& x) {
        if (c.activation == heed::activation::gated_relu)
            return reference::gated_feed_forward(x, linear(w.up), linear(w.gate), linear(w.down));
        if (c.activation == heed::activation::relu)
            return reference::feed_forward(x, linear(w.up), linear(w.down), reference::relu);
        return reference::feed_forward(x, linear(w.up), linear(w.down), reference::gelu);
    };
}

struct layer_extents {
    long batch, positions, memory_positions;
};

template <class T>
numbers solve_encoder(const heed::encoder_layer<T>& layer, const layer_extents& e, const numbers& x,
                      const std::function<void(reference::problem&)>& options = {}) {
    const auto& c = layer.config();
    auto m = meant_of(c.attention, layer.weights.attention, e.batch, e.positions);
    m.options = options;
    const auto attend = [&](const numbers& from) { return reference::solve_layer(m, from); };
    const numbers h = block(c.norm, x, attend, norm_of(layer.weights.norm1));
    return block(c.norm, h, feed_forward_of(c.feed_forward, layer.weights.feed_forward),
                 norm_of(layer.weights.norm2));
}

template <class T>
numbers solve_decoder(const heed::decoder_layer<T>& layer, const layer_extents& e, const numbers& x,
                      const numbers& memory, const std::function<void(reference::problem&)>& options = {},
                      const std::function<void(reference::problem&)>& memory_options = {}) {
    const auto& c = layer.config();
    auto self = meant_of(c.attention, layer.weights.attention, e.batch, e.positions);
    self.options = [&](reference::problem& p) {
        if (options) options(p);
        p.visible = [before = p.visible](reference::place i) {
            return i.key <= i.query && (!before || before(i));
        };
    };
    auto cross =
        meant_of(c.cross_attention, layer.weights.cross_attention, e.batch, e.positions, e.memory_positions);
    cross.options = memory_options;
    const auto attend = [&](const numbers& from) { return reference::solve_layer(self, from); };
    const auto attend_memory = [&](const numbers& from) {
        return reference::solve_layer(cross, from, memory);
    };
    const numbers h = block(c.norm, x, attend, norm_of(layer.weights.norm1));
    const numbers u = block(c.norm, h, attend_memory, norm_of(layer.weights.norm2));
    return block(c.norm, u, feed_forward_of(c.feed_forward, layer.weights.feed_forward),
                 norm_of(layer.weights.norm3));
}

// Parameters that are anything but what a layer starts with.
template <class Layer>
Layer with_random_weights(Layer layer, random& r) {
    heed::for_each_parameter(
        [&](const std::string& name, auto& t) {
            fill_normal(t, r, 1 / std::sqrt(static_cast<double>(t.dimension(0) > 0 ? t.dimension(0) : 1)));
            if (name.find("norm") != std::string::npos && name.ends_with("weight")) t = t + t.constant(1);
        },
        layer.weights);
    return layer;
}

}  // namespace support
