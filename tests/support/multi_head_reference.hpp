// SPDX-License-Identifier: MIT
// tests/support/multi_head_reference.hpp: projections around softmax attention, slowly, in double
//
// No heed header and no Eigen. Rows are (batch x position, width), row-major.
#pragma once

#include "layer_reference.hpp"
#include "reference.hpp"

namespace reference {

inline double& entry(numbers& x, long i) { return x[static_cast<std::size_t>(i)]; }
inline double entry(const numbers& x, long i) { return x[static_cast<std::size_t>(i)]; }

// The product with sizes as everything here counts them.
inline numbers linear(const numbers& x, const numbers& w, const numbers& b, long inputs, long outputs) {
    return product(x, w, b, static_cast<std::size_t>(inputs), static_cast<std::size_t>(outputs));
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

// And back: (batch, head, position, dim) -> (batch, position, heads dim)
inline numbers joined_heads(const numbers& x, long batch, long heads, long positions, long dim) {
    numbers rows(x.size());
    for (long b = 0, i = 0; b < batch; ++b)
        for (long h = 0; h < heads; ++h)
            for (long p = 0; p < positions; ++p)
                for (long f = 0; f < dim; ++f, ++i)
                    entry(rows, ((b * positions + p) * heads + h) * dim + f) = entry(x, i);
    return rows;
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
    const numbers rows = joined_heads(y, m.batch, m.heads, m.positions, m.head_dim);
    const long joined = m.heads * m.head_dim;
    return m.projects ? linear(rows, m.out, m.out_bias, joined, m.width) : rows;
}

}  // namespace reference
