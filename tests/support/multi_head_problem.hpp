// SPDX-License-Identifier: MIT
// tests/support/multi_head_problem.hpp: a multi-head layer with random parameters, and what the reference
// says of it
#pragma once

#include <heed/multi_head.hpp>

#include "compare.hpp"
#include "layer_gradient.hpp"
#include "multi_head_reference.hpp"
#include "support/catch.hpp"

namespace support {

template <class T>
tensor<T, 3> random_rows(random& r, long batch, long positions, long width) {
    tensor<T, 3> x(batch, positions, width);
    fill_normal(x, r);
    return x;
}

template <class T>
tensor<T, 3> positions_of(const tensor<T, 3>& x, long first, long count) {
    return x.slice(Eigen::array<long, 3>{0, first, 0},
                   Eigen::array<long, 3>{x.dimension(0), count, x.dimension(2)});
}

template <class T>
heed::multi_head_attention<T> random_multi_head(const heed::attention_config& config, random& r) {
    heed::multi_head_attention<T> layer(config);
    heed::for_each_parameter(
        [&](const std::string&, auto& t) {
            fill_normal(t, r, 1 / std::sqrt(static_cast<double>(t.dimension(0) > 0 ? t.dimension(0) : 1)));
        },
        layer.weights);
    return layer;
}

// The same parameters in the other element; they are exact in float.
template <class To, class From>
To converted(const From& layer) {
    To other(layer.config());
    std::vector<std::vector<double>> all;
    heed::for_each_parameter([&](const std::string&, const auto& t) { all.push_back(values(t)); },
                             layer.weights);
    std::size_t next = 0;
    heed::for_each_parameter(
        [&](const std::string&, auto& t) {
            using T = typename std::remove_cvref_t<decltype(t)>::Scalar;
            for (std::size_t i = 0; i < all[next].size(); ++i) t.data()[i] = narrow<T>(all[next][i]);
            ++next;
        },
        other.weights);
    return other;
}

template <class T>
reference::multi_head meant_of(const heed::attention_config& c,
                               const heed::multi_head_parameters<T, heed::exact_heads>& w, long batch,
                               long positions, long memory_positions = 0) {
    reference::multi_head m;
    m.batch = batch, m.positions = positions, m.width = c.width;
    m.memory_positions = memory_positions, m.memory_width = c.memory_width;
    m.heads = c.heads, m.kv_heads = c.kv_heads, m.head_dim = c.head_dim;
    m.rotary_base = c.rotary_positions > 0 ? c.rotary_base : 0;
    m.in = values(w.in.weight), m.in_bias = values(w.in.bias);
    m.memory = values(w.memory.weight), m.memory_bias = values(w.memory.bias);
    m.out = values(w.out.weight), m.out_bias = values(w.out.bias);
    m.projects = c.out_projection;
    return m;
}
template <class T>
reference::multi_head meant(const heed::multi_head_attention<T>& layer, long batch, long positions,
                            long memory_positions = 0) {
    return meant_of(layer.config(), layer.weights, batch, positions, memory_positions);
}

// Rounding of a layer: a few hundred units in the last place of the largest number it gives.
template <class T>
double layer_error(const std::vector<double>& got, const std::vector<double>& want) {
    if (want.empty()) return got.empty() ? 0 : HUGE_VAL;
    return max_error(got, want) / (max_abs(want) * static_cast<double>(std::numeric_limits<T>::epsilon()));
}
inline constexpr double layer_rounding = 64;

}  // namespace support
