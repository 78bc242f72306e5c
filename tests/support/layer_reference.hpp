// SPDX-License-Identifier: MIT
// tests/support/layer_reference.hpp: the layers of a transformer written down once, slowly
//
// No heed header and no Eigen. Rows are (batch x position, width), row-major.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "reference.hpp"

namespace reference {

using numbers = std::vector<double>;

inline double& entry(numbers& x, long i) { return x[static_cast<std::size_t>(i)]; }
inline double entry(const numbers& x, long i) { return x[static_cast<std::size_t>(i)]; }

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

// Mean and biased variance of n numbers, `step` apart.
struct moments {
    long double mean = 0, variance = 0;
    moments(const double* x, std::size_t n, std::size_t step) {
        for (std::size_t i = 0; i < n; ++i) mean += x[i * step];
        mean /= static_cast<long double>(n);
        for (std::size_t i = 0; i < n; ++i) variance += (x[i * step] - mean) * (x[i * step] - mean);
        variance /= static_cast<long double>(n);
    }
};

inline numbers layer_norm(const numbers& x, const numbers& gain, const numbers& offset,
                          double epsilon = 1e-5) {
    const std::size_t width = gain.size();
    numbers y(x.size());
    for (std::size_t first = 0; first < x.size(); first += width) {
        const moments m(x.data() + first, width, 1);
        for (std::size_t f = 0; f < width; ++f)
            y[first + f] = static_cast<double>(
                (x[first + f] - m.mean) / std::sqrt(m.variance + epsilon) * gain[f] + offset[f]);
    }
    return y;
}

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

// x (rows, inputs) w (inputs, outputs) + b; b is empty or has `outputs` numbers.
inline numbers linear(const numbers& x, const numbers& w, const numbers& b, long inputs, long outputs) {
    const long rows = static_cast<long>(x.size()) / inputs;
    numbers y(static_cast<std::size_t>(rows * outputs));
    for (long r = 0; r < rows; ++r)
        for (long o = 0; o < outputs; ++o) {
            double sum = b.empty() ? 0 : entry(b, o);
            for (long i = 0; i < inputs; ++i) sum += entry(x, r * inputs + i) * entry(w, i * outputs + o);
            entry(y, r * outputs + o) = sum;
        }
    return y;
}

// Features i and i + dim / 2 of position p turn by p base^(-2 i / dim). x (batch, head, position, dim).
inline void rotate(numbers& x, long positions, long dim, double base) {
    for (long row = 0; row < static_cast<long>(x.size()) / dim; ++row)
        for (long i = 0; i < dim / 2; ++i) {
            const double angle = static_cast<double>(row % positions) *
                                 std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(dim));
            double& first = entry(x, row * dim + i);
            double& second = entry(x, row * dim + i + dim / 2);
            const double a = first, b = second;
            first = a * std::cos(angle) - b * std::sin(angle);
            second = b * std::cos(angle) + a * std::sin(angle);
        }
}

// Softmax attention between projections. in (width, heads + 2 kv_heads times head_dim) holds queries, keys
// and values one behind the other; with a memory it holds the queries, and `memory` the two others.
struct multi_head {
    long batch = 1, positions = 1, width = 1;
    long memory_positions = 0, memory_width = 0;  // 0: self attention
    long heads = 1, kv_heads = 1, head_dim = 1;
    double rotary_base = 0;  // 0: none
    numbers in, in_bias, memory, memory_bias, out, out_bias;
    bool projects = true;
    std::function<void(problem&)> options;  // sets what the call's options say
};

// (batch, position, width) from column `first` on -> (batch, head, position, dim)
inline numbers heads_of(const numbers& x, long batch, long positions, long width, long first, long heads,
                        long dim) {
    numbers y;
    for (long b = 0; b < batch; ++b)
        for (long h = 0; h < heads; ++h)
            for (long p = 0; p < positions; ++p)
                for (long f = 0; f < dim; ++f)
                    y.push_back(entry(x, (b * positions + p) * width + first + h * dim + f));
    return y;
}

inline problem problem_of(const multi_head& m, const numbers& x, const numbers& memory) {
    const bool crosses = m.memory_width > 0;
    const long q_width = m.heads * m.head_dim, kv_width = m.kv_heads * m.head_dim;
    const long own_width = crosses ? q_width : q_width + 2 * kv_width;
    const numbers own = linear(x, m.in, m.in_bias, m.width, own_width);
    const numbers other =
        crosses ? linear(memory, m.memory, m.memory_bias, m.memory_width, 2 * kv_width) : own;
    problem p;
    p.batch = m.batch, p.heads = m.heads, p.kv_heads = m.kv_heads, p.queries = m.positions;
    p.keys = crosses ? m.memory_positions : m.positions;
    p.d_k = p.d_v = m.head_dim;
    const long width = crosses ? 2 * kv_width : own_width, first = crosses ? 0 : q_width;
    p.q = heads_of(own, m.batch, m.positions, own_width, 0, m.heads, m.head_dim);
    p.k = heads_of(other, m.batch, p.keys, width, first, m.kv_heads, m.head_dim);
    p.v = heads_of(other, m.batch, p.keys, width, first + kv_width, m.kv_heads, m.head_dim);
    if (m.rotary_base > 0) {
        rotate(p.q, m.positions, m.head_dim, m.rotary_base);
        rotate(p.k, p.keys, m.head_dim, m.rotary_base);
    }
    if (m.options) m.options(p);
    return p;
}

inline numbers solve_layer(const multi_head& m, const numbers& x, const numbers& memory = {}) {
    const numbers y = solve<double>(problem_of(m, x, memory)).y;
    const long joined = m.heads * m.head_dim;
    numbers rows(static_cast<std::size_t>(m.batch * m.positions * joined));
    for (long b = 0, i = 0; b < m.batch; ++b)
        for (long h = 0; h < m.heads; ++h)
            for (long p = 0; p < m.positions; ++p)
                for (long f = 0; f < m.head_dim; ++f, ++i)
                    entry(rows, (b * m.positions + p) * joined + h * m.head_dim + f) = entry(y, i);
    return m.projects ? linear(rows, m.out, m.out_bias, joined, m.width) : rows;
}

}  // namespace reference
