// SPDX-License-Identifier: MIT
// tests/support/layer_gradient.hpp: the gradients of a layer against central differences, in double
//
// The loss is <dy, layer(x, options…)> for a random dy. Each element of x, of the memory and of every
// parameter is moved by h to either side, and
//
//     error = max |analytic - numeric| / max(max |analytic|, max |numeric|, 1e-2)        for each tensor
//
// so that one wrong element in a hundred is seen, and a gradient that is 0 by nature is not divided by its
// own noise. Gradients are added to what stands in their tensors, which is not 0 here.
//
// A layer has weights, forward(x, tape, options…) and backward(dy, x, tape, gradients, options…), with or
// without a tape and a memory behind x. One that learns while it runs is copied for every run.
#pragma once

#include <heed/layers/parameters.hpp>
#include <heed/layers/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "random.hpp"
#include "tensors.hpp"

namespace support {

// One number for each tensor that has a gradient.
struct gradient_errors {
    struct entry {
        std::string name;
        double error;
    };
    std::vector<entry> entries;

    double worst() const {
        double w = entries.empty() ? HUGE_VAL : 0;
        for (const entry& e : entries) w = e.error <= w ? w : e.error;  // NaN is the worst
        return w;
    }
    std::string text() const {
        std::string s;
        for (const entry& e : entries) {
            char number[32];
            std::snprintf(number, sizeof number, " %.1e  ", e.error);
            s += e.name + number;
        }
        return s;
    }
};

template <class Tensor>
void fill_normal(Tensor& t, random& r, double deviation = 1) {
    using T = typename Tensor::Scalar;
    for (long i = 0; i < static_cast<long>(t.size()); ++i)
        t.data()[i] = static_cast<T>(static_cast<float>(r.normal() * deviation));
}
// Parameters are often 0 or 1 at the start; a test wants them to be anything.
template <class P>
void randomise(P& parameters, random& r, double deviation = 0.5) {
    heed::for_each_parameter([&](const std::string&, auto& t) { fill_normal(t, r, deviation); }, parameters);
}

inline double relative_error(const std::vector<double>& a, const std::vector<double>& n) {
    double apart = 0, size = 1e-2;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = std::fabs(a[i] - n[i]);
        apart = d <= apart ? apart : d;
        size = std::max({size, std::fabs(a[i]), std::fabs(n[i])});
    }
    return apart / size;
}

// The derivative of loss() by every element of t.
template <class Tensor, class Loss>
std::vector<double> central_differences(Tensor& t, const Loss& loss, double h = 1e-5) {
    std::vector<double> slopes(static_cast<std::size_t>(t.size()));
    for (std::size_t i = 0; i < slopes.size(); ++i) {
        const double kept = t.data()[i];
        t.data()[i] = kept + h;
        const double above = static_cast<double>(loss());
        t.data()[i] = kept - h;
        const double below = static_cast<double>(loss());
        t.data()[i] = kept;
        slopes[i] = (above - below) / (2 * h);
    }
    return slopes;
}

template <class Y, class Dy>
long double inner_product(const Y& y, const Dy& dy) {
    long double sum = 0;
    for (long i = 0; i < static_cast<long>(y.size()); ++i)
        sum += static_cast<long double>(y.data()[i]) * static_cast<long double>(dy.data()[i]);
    return sum;
}

// What backward wrote, against differences of loss() at the weights and inputs that it reads by reference:
// errors of gradients (which began at `start`) and of (name, input, its gradient) triples.
template <class P, class Loss>
void check_parameters(gradient_errors& errors, P& weights, const P& gradients, double start,
                      const Loss& loss) {
    heed::for_each_parameter(
        [&](const std::string& name, auto& w, const auto& g) {
            auto analytic = values(g);
            for (double& a : analytic) a -= start;
            if (!analytic.empty())
                errors.entries.push_back({name, relative_error(analytic, central_differences(w, loss))});
        },
        weights, gradients);
}
template <class X, class Loss>
void check_input(gradient_errors& errors, const std::string& name, X& x, const X& dx, const Loss& loss) {
    errors.entries.push_back({name, relative_error(values(dx), central_differences(x, loss))});
}

namespace detail {
struct no_tape {};
template <class Layer>
struct tape_of {
    using type = no_tape;
};
template <class Layer>
requires requires { typename Layer::tape; }
struct tape_of<Layer> {
    using type = typename Layer::tape;
};
}  // namespace detail

// What gradients begin at; the layer adds to it.
inline constexpr double gradient_start = 0.25;

template <class Layer, class X, class... Options>
requires(!heed::detail::begins_with_tensor<Options...>)
gradient_errors layer_gradient(const Layer& layer, const X& x, const Options&... options) {
    using tape_type = typename detail::tape_of<Layer>::type;
    constexpr bool taped = !std::is_same_v<tape_type, detail::no_tape>;
    Layer moved = layer;
    X at = x;
    const auto run = [&](Layer& one, tape_type& tape) {
        if constexpr (taped)
            return one.forward(at, tape, options...);
        else
            return one(at, options...);
    };
    Layer first = layer;
    tape_type tape;
    auto dy = run(first, tape);
    random r(7);
    fill_normal(dy, r);

    auto gradients = heed::zeros_like(layer.weights);
    heed::for_each_parameter([](const std::string&, auto& g) { g.setConstant(gradient_start); }, gradients);
    X dx;
    if constexpr (taped)
        dx = first.backward(dy, at, tape, gradients, options...);
    else
        dx = first.backward(dy, at, gradients, options...);

    const auto loss = [&] {
        Layer one = moved;
        tape_type own;
        return inner_product(run(one, own), dy);
    };
    gradient_errors errors;
    check_input(errors, "x", at, dx, loss);
    check_parameters(errors, moved.weights, gradients, gradient_start, loss);
    return errors;
}

// A layer with a second input, memory.
template <class Layer, class X, class M, class... Options>
requires heed::detail::has_elements<M>
gradient_errors layer_gradient(const Layer& layer, const X& x, const M& memory, const Options&... options) {
    Layer moved = layer, first = layer;
    X at = x, dx = x;
    M memory_at = memory, d_memory = memory;
    typename Layer::tape tape;
    auto dy = first.forward(at, memory_at, tape, options...);
    random r(7);
    fill_normal(dy, r);

    auto gradients = heed::zeros_like(layer.weights);
    heed::for_each_parameter([](const std::string&, auto& g) { g.setConstant(gradient_start); }, gradients);
    first.backward_into(dx, d_memory, dy, at, memory_at, tape, gradients, options...);

    const auto loss = [&] {
        Layer one = moved;
        typename Layer::tape own;
        return inner_product(one.forward(at, memory_at, own, options...), dy);
    };
    gradient_errors errors;
    check_input(errors, "x", at, dx, loss);
    check_input(errors, "memory", memory_at, d_memory, loss);
    check_parameters(errors, moved.weights, gradients, gradient_start, loss);
    return errors;
}

}  // namespace support
