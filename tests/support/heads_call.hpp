// SPDX-License-Identifier: MIT
// tests/support/heads_call.hpp: what holds for every attention inside a multi-head layer, checked for one
//
// heads_check.hpp with what it leaves out: grouped heads, streams of any width, rotary positions, parameters
// of the heads' own, a memory, and gradients in float.
#pragma once

#include "heads_check.hpp"

namespace support {

using reference::numbers;

// What the oracle of an attention gets: its streams (batch, head, position, dim), rotary positions applied,
// and the layer's own parameters in the order of their visit.
struct head_problem {
    heed::attention_config config;
    long batch, queries, keys;
    std::vector<numbers> streams;
    std::vector<numbers> own;
};

template <class T, class Heads>
struct head_setup {
    using layer_type = heed::multi_head_attention<T, Heads>;
    layer_type layer;
    tensor<T, 3> x, memory;

    // Numbers that float holds, so that float and double layers are the same.
    head_setup(const heed::attention_config& config, long batch, long positions, long keys = 0)
        : layer(config, 3), x(batch, positions, config.width), memory(batch, keys, config.memory_width) {
        random r(11);
        fill_normal(x, r);
        fill_normal(memory, r);
        heed::for_each_parameter(
            [&](const std::string& name, auto& t) {
                const bool matrix = t.rank() == 2 && t.dimension(0) > 0;
                const double deviation = matrix ? 1 / std::sqrt(static_cast<double>(t.dimension(0))) : 0.3;
                if (name.rfind("heads", 0) == 0)
                    for (long i = 0; i < static_cast<long>(t.size()); ++i)
                        t.data()[i] = static_cast<T>(static_cast<float>(t.data()[i] + r.normal() * 0.1));
                else
                    fill_normal(t, r, deviation);
            },
            layer.weights);
    }
};

// The whole layer by the oracle.
template <class T, class Heads, class Attend>
numbers expected(const head_setup<T, Heads>& s, const Attend& attend) {
    const heed::attention_config& c = s.layer.config();
    const bool crosses = c.memory_width > 0;
    head_problem p{
        c, s.x.dimension(0), s.x.dimension(1), crosses ? s.memory.dimension(1) : s.x.dimension(1), {}, {}};
    const auto& w = s.layer.weights;
    const long widths[2] = {w.in.weight.dimension(1), crosses ? w.memory.weight.dimension(1) : 0};
    const numbers rows[2] = {
        reference::linear(values(s.x), values(w.in.weight), values(w.in.bias), c.width, widths[0]),
        crosses ? reference::linear(values(s.memory), values(w.memory.weight), values(w.memory.bias),
                                    c.memory_width, widths[1])
                : numbers()};
    long first[2] = {0, 0};
    for (int i = 0; i < Heads::streams; ++i) {
        const heed::stream_shape shape = Heads::stream_of(c, i);
        const int from = crosses && i > 0 ? 1 : 0;
        const long positions = from == 0 ? p.queries : p.keys;
        p.streams.push_back(reference::heads_of(rows[from], p.batch, positions, widths[from], first[from],
                                                shape.heads, shape.dim));
        first[from] += shape.width();
        if (c.rotary_positions > 0 && shape.rotary)
            reference::rotate(p.streams.back(), positions, shape.dim, c.rotary_base);
    }
    heed::for_each_parameter([&](const std::string&, const auto& t) { p.own.push_back(values(t)); }, w.heads);
    const numbers y = reference::joined_heads(attend(p), p.batch, c.heads, p.queries, Heads::value_dim(c));
    return c.out_projection ? reference::linear(y, values(w.out.weight), values(w.out.bias),
                                                c.heads * Heads::value_dim(c), c.width)
                            : y;
}

template <class T>
double apart(const tensor<T, 3>& y, const numbers& truth) {
    return relative_error(values(y), truth);
}

template <class Heads, class Attend, class... Options>
void check_forward(const heed::attention_config& c, long batch, long positions, const Attend& attend,
                   const Options&... options) {
    const head_setup<double, Heads> s(c, batch, positions);
    const auto truth = expected(s, attend);
    CHECK(apart(s.layer(s.x, options...), truth) < 1e-12);
    const head_setup<float, Heads> f(c, batch, positions);
    CHECK(apart(f.layer(f.x, options...), truth) < 2e-5);
}

template <class Heads, class... Options>
void check_gradient(const heed::attention_config& c, long batch, long positions, const Options&... options) {
    const head_setup<double, Heads> s(c, batch, positions);
    const auto errors = layer_gradient(s.layer, s.x, options...);
    INFO(errors.text());
    CHECK(errors.worst() < 1e-6);

    // float against double
    const auto gradients = [&](const auto& setup) {
        using layer_type = std::remove_cvref_t<decltype(setup.layer)>;
        typename layer_type::tape tape;
        auto dy = setup.layer.forward(setup.x, tape, options...);
        random r(7);
        fill_normal(dy, r);
        auto g = heed::zeros_like(setup.layer.weights);
        std::vector<numbers> all{values(setup.layer.backward(dy, setup.x, tape, g, options...))};
        heed::for_each_parameter([&](const std::string&, const auto& t) { all.push_back(values(t)); }, g);
        return all;
    };
    const auto wide = gradients(s);
    const auto narrow = gradients(head_setup<float, Heads>(c, batch, positions));
    double worst = 0;
    for (std::size_t i = 0; i < wide.size(); ++i)
        if (!wide[i].empty()) worst = std::max(worst, relative_error(narrow[i], wide[i]));
    CHECK(worst < 1e-4);
}

// Keys and values from a memory: forward, gradients, and a stream that remembers it.
template <class Heads, class Attend, class... Options>
void check_cross(const heed::attention_config& c, long batch, long positions, long keys, const Attend& attend,
                 const Options&... options) {
    const head_setup<double, Heads> s(c, batch, positions, keys);
    const auto truth = expected(s, attend);
    CHECK(apart(s.layer(s.x, s.memory, options...), truth) < 1e-12);
    const auto errors = layer_gradient(s.layer, s.x, s.memory, options...);
    INFO(errors.text());
    CHECK(errors.worst() < 1e-6);
    typename head_setup<double, Heads>::layer_type::stream stream;
    s.layer.remember(s.memory, stream);
    CHECK(apart(s.layer.extend(s.x, stream, options...), truth) < 1e-12);
}

// The stream in pieces is the sequence.
template <class Heads, class... Options>
void check_stream(const heed::attention_config& c, long batch, long positions, const Options&... options) {
    const head_setup<double, Heads> s(c, batch, positions);
    check_stream(1e-12, s.layer, s.x, options...);
}
template <class T, class Heads, class... Options>
void check_calls(const heed::attention_config& c, long batch, long positions, const Options&... options) {
    const head_setup<T, Heads> s(c, batch, positions);
    check_training(s.layer, s.x, options...);
}

// One training step: y, then the gradients of everything.
template <class T, class Heads>
struct training_step {
    using layer_type = heed::multi_head_attention<T, Heads>;
    const head_setup<T, Heads>& s;
    typename layer_type::tape tape;
    tensor<T, 3> y, dx, dy;
    typename layer_type::parameters gradients;

    explicit training_step(const head_setup<T, Heads>& setup)
        : s(setup), y(s.x), dx(s.x), dy(s.x), gradients(heed::zeros_like(s.layer.weights)) {
        random r(5);
        fill_normal(dy, r);
    }
    template <class... Options>
    void run(const Options&... options) {
        s.layer.forward_into(y, s.x, tape, options...);
        s.layer.backward_into(dx, dy, s.x, tape, gradients, options...);
    }
    std::vector<T> all() const {
        std::vector<T> list = elements(y);
        const auto add = [&](const auto& t) { list.insert(list.end(), t.data(), t.data() + t.size()); };
        add(dx);
        heed::for_each_parameter([&](const std::string&, const auto& t) { add(t); }, gradients);
        return list;
    }
};

}  // namespace support
