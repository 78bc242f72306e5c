// SPDX-License-Identifier: MIT
// tests/support/layer_reference.hpp: the layers around attention written down once, slowly, in long double
//
// Includes no heed header and no Eigen. Matrices are row-major vectors; x has rows of `width` numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace reference {

using numbers = std::vector<double>;

// (rows, inputs) (inputs, outputs) + bias, the bias empty for none
inline numbers product(const numbers& x, const numbers& w, const numbers& bias, std::size_t inputs,
                       std::size_t outputs) {
    const std::size_t rows = x.size() / inputs;
    numbers y(rows * outputs);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t j = 0; j < outputs; ++j) {
            long double sum = bias.empty() ? 0 : bias[j];
            for (std::size_t i = 0; i < inputs; ++i)
                sum += static_cast<long double>(x[r * inputs + i]) * w[i * outputs + j];
            y[r * outputs + j] = static_cast<double>(sum);
        }
    return y;
}

// Mean and biased variance of n numbers, `step` apart. They are counted from the first one: a mean of large
// numbers would be rounded.
struct moments {
    long double origin, mean = 0, variance = 0;
    moments(const double* x, std::size_t n, std::size_t step) : origin(x[0]) {
        for (std::size_t i = 0; i < n; ++i) mean += x[i * step] - origin;
        mean /= static_cast<long double>(n);
        for (std::size_t i = 0; i < n; ++i) variance += from_mean(x[i * step]) * from_mean(x[i * step]);
        variance /= static_cast<long double>(n);
    }
    long double from_mean(double x) const { return (x - origin) - mean; }
};

inline numbers layer_norm(const numbers& x, const numbers& gain, const numbers& offset,
                          double epsilon = 1e-5) {
    const std::size_t width = gain.size();
    numbers y(x.size());
    for (std::size_t first = 0; first < x.size(); first += width) {
        const moments m(x.data() + first, width, 1);
        for (std::size_t f = 0; f < width; ++f)
            y[first + f] = static_cast<double>(
                m.from_mean(x[first + f]) / std::sqrt(m.variance + epsilon) * gain[f] + offset[f]);
    }
    return y;
}

// lambda LN(x) + (1 - lambda) (BN(x) + eta x), BN with the batch's statistics or given ones.
struct rep_batch_norm {
    numbers layer_gain, layer_offset, gain, offset;
    double eta = 1, lambda = 0, epsilon = 1e-5;

    numbers operator()(const numbers& x, const numbers* mean = nullptr,
                       const numbers* variance = nullptr) const {
        const std::size_t width = gain.size(), rows = x.size() / width;
        numbers y = layer_norm(x, layer_gain, layer_offset, epsilon);
        for (std::size_t f = 0; f < width; ++f) {
            const moments m(x.data() + f, rows, width);
            for (std::size_t i = f; i < x.size(); i += width) {
                const long double d =
                    mean != nullptr ? x[i] - static_cast<long double>((*mean)[f]) : m.from_mean(x[i]);
                const long double v = variance != nullptr ? (*variance)[f] : m.variance;
                const long double batch = d / std::sqrt(v + epsilon) * gain[f] + offset[f] + eta * x[i];
                y[i] = static_cast<double>(lambda * y[i] + (1 - lambda) * batch);
            }
        }
        return y;
    }
};

inline double gelu(double x) {
    const long double z = x, u = std::sqrt(2 / std::acos(-1.0L)) * (z + 0.044715L * z * z * z);
    // x/2 (1 + tanh u), without the cancellation
    return static_cast<double>(z / (1 + std::exp(-2 * u)));
}
inline double relu(double x) { return x > 0 ? x : 0; }

struct linear_layer {
    numbers weight, bias;
    std::size_t inputs, outputs;
    numbers operator()(const numbers& x) const { return product(x, weight, bias, inputs, outputs); }
};

template <class F>
numbers feed_forward(const numbers& x, const linear_layer& up, const linear_layer& down, const F& f) {
    numbers h = up(x);
    for (double& z : h) z = f(z);
    return down(h);
}
inline numbers gated_feed_forward(const numbers& x, const linear_layer& up, const linear_layer& gate,
                                  const linear_layer& down) {
    numbers h = up(x);
    const numbers g = gate(x);
    for (std::size_t i = 0; i < h.size(); ++i) h[i] *= relu(g[i]);
    return down(h);
}

// The mean loss over targets that are not negative, and its gradient.
inline double cross_entropy(const numbers& logits, const std::vector<long>& targets, numbers& d) {
    const std::size_t classes = logits.size() / targets.size();
    long double loss = 0, counted = 0;
    d.assign(logits.size(), 0);
    for (const long t : targets) counted += t >= 0;
    for (std::size_t r = 0; r < targets.size(); ++r) {
        if (targets[r] < 0) continue;
        const double* x = logits.data() + r * classes;
        const double most = *std::max_element(x, x + classes);
        const auto target = static_cast<std::size_t>(targets[r]);
        long double sum = 0;
        for (std::size_t c = 0; c < classes; ++c) sum += std::exp(static_cast<long double>(x[c]) - most);
        loss += std::log(sum) - (static_cast<long double>(x[target]) - most);
        for (std::size_t c = 0; c < classes; ++c)
            d[r * classes + c] = static_cast<double>(
                (std::exp(static_cast<long double>(x[c]) - most) / sum - (c == target)) / counted);
    }
    return counted > 0 ? static_cast<double>(loss / counted) : 0;
}

}  // namespace reference
