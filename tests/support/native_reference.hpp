// SPDX-License-Identifier: MIT
// tests/support/native_reference.hpp: native sparse attention written down once, slowly, in double
//
// The oracle of the tests in tests/sparse. It includes no heed header and no Eigen. One query after the
// other: the compressed keys it sees and their weights, the blocks that weigh most for its group of heads,
// the keys of those blocks, the keys of the window; a softmax over each, and their sum by gates.
//
// A block weighs a compressed key by the part of a stride they share, counted key by key. The selection can
// be given, so that finite differences hold it fixed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace native_reference {

struct problem {
    long batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, d_k = 1, d_v = 1;
    long block = 4, stride = 2, select_block = 8, count = 3, window = 5;
    double scale = 1;
    std::vector<double> q, k, v;  // (batch, head, position, feature)
    std::vector<double> gates;    // (batch, head, query, 3)
    std::vector<double> ck, cv;   // (batch, kv_head, block, feature); empty: means

    long position(long query) const { return query + keys - queries; }
    long compressed(long n) const { return n < block ? 0 : (n - block) / stride + 1; }
    long group() const { return heads / kv_heads; }
};

struct answer {
    std::vector<double> y;                  // (batch, head, query, d_v)
    std::vector<double> allowed;            // what one epsilon of the scores and sums makes of every y
    std::vector<std::vector<long>> chosen;  // (batch, kv_head, query), ascending
    std::vector<double> gap;                // between the last block chosen and the next, as a share
};

using rows = std::vector<double>;

inline const double* row(const rows& x, long head, long positions, long position, long features) {
    return x.data() + (head * positions + position) * features;
}

// The means of blocks of x (head, key, feature).
inline rows means(const problem& p, const rows& x, long features) {
    const long count = p.compressed(p.keys), heads = p.batch * p.kv_heads;
    rows m(static_cast<std::size_t>(heads * count * features), 0.0);
    for (long h = 0; h < heads; ++h)
        for (long i = 0; i < count; ++i)
            for (long t = i * p.stride; t < i * p.stride + p.block; ++t)
                for (long f = 0; f < features; ++f)
                    m[static_cast<std::size_t>((h * count + i) * features + f)] +=
                        row(x, h, p.keys, t, features)[f] / double(p.block);
    return m;
}

// Softmax weights of the listed positions; `size` becomes 1 + the largest sum of |q k|.
inline std::vector<double> weights(const problem& p, const double* q, const rows& k, long head,
                                   long positions, const std::vector<long>& list, double& size) {
    std::vector<double> w;
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    size = 1;
    for (long t : list) {
        double s = 0, absolute = 0;
        for (long f = 0; f < p.d_k; ++f) {
            const double x = q[f] * row(k, head, positions, t, p.d_k)[f];
            s += x;
            absolute += std::fabs(x);
        }
        w.push_back(p.scale * s);
        size = std::fmax(size, 1 + std::fabs(p.scale) * absolute);
        if (!(w.back() <= most)) most = w.back();
    }
    for (double& x : w) sum += x = std::exp(x - most);
    for (double& x : w) x /= sum;
    return w;
}

// How many strides of keys compressed key i and selection block j share.
inline double shared(const problem& p, long i, long j) {
    long both = 0;
    for (long t = i * p.stride; t < i * p.stride + p.block; ++t) both += t / p.select_block == j;
    return double(both) / double(p.stride);
}

// The first block, the own one, the one before, and the heaviest of the others.
inline std::vector<long> choose(const problem& p, const std::vector<double>& weight, long own, double& gap) {
    gap = std::numeric_limits<double>::infinity();
    std::vector<long> chosen, others;
    for (long j = 0; j <= own; ++j) (j == 0 || j >= own - 1 ? chosen : others).push_back(j);
    std::stable_sort(others.begin(), others.end(), [&](long a, long b) {
        return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)];
    });
    const std::size_t free = static_cast<std::size_t>(std::max(0L, p.count - long(chosen.size())));
    if (free > 0 && free < others.size()) {
        const double kept = weight[static_cast<std::size_t>(others[free - 1])];
        const double next = weight[static_cast<std::size_t>(others[free])];
        gap = kept == next ? std::numeric_limits<double>::infinity() : (kept - next) / (kept + 1e-300);
    } else if (free == 0 && !others.empty()) {
        gap = std::numeric_limits<double>::infinity();
    }
    chosen.insert(chosen.end(), others.begin(),
                  others.begin() + static_cast<long>(std::min(free, others.size())));
    std::sort(chosen.begin(), chosen.end());
    return chosen;
}

inline answer solve(const problem& p, const std::vector<std::vector<long>>* fixed = nullptr) {
    const rows ck = p.ck.empty() ? means(p, p.k, p.d_k) : p.ck;
    const rows cv = p.cv.empty() ? means(p, p.v, p.d_v) : p.cv;
    const long count = p.compressed(p.keys), blocks = (p.keys + p.select_block - 1) / p.select_block;
    answer a;
    a.y.assign(static_cast<std::size_t>(p.batch * p.heads * p.queries * p.d_v), 0.0);
    a.allowed = a.y;
    for (long b = 0; b < p.batch; ++b)
        for (long g = 0; g < p.kv_heads; ++g)
            for (long i = 0; i < p.queries; ++i) {
                const long at = p.position(i), kv = b * p.kv_heads + g;
                std::vector<long> seen[3];
                for (long c = 0; c < p.compressed(at + 1); ++c) seen[0].push_back(c);
                for (long t = std::max(0L, at - p.window + 1); t <= at; ++t) seen[2].push_back(t);
                std::vector<double> weight(static_cast<std::size_t>(blocks), 0.0);
                double size = 1, gap = std::numeric_limits<double>::infinity();
                for (long h = g * p.group(); h < (g + 1) * p.group(); ++h) {
                    const auto w = weights(p, row(p.q, b * p.heads + h, p.queries, i, p.d_k), ck, kv, count,
                                           seen[0], size);
                    for (std::size_t c = 0; c < w.size(); ++c)
                        for (long j = 0; j < blocks; ++j)
                            weight[static_cast<std::size_t>(j)] += w[c] * shared(p, long(c), j);
                }
                std::vector<long> chosen;
                if (at >= 0) chosen = choose(p, weight, at / p.select_block, gap);
                if (fixed != nullptr) chosen = (*fixed)[a.chosen.size()];
                a.chosen.push_back(chosen);
                a.gap.push_back(gap);
                for (long j : chosen)
                    for (long t = j * p.select_block; t < (j + 1) * p.select_block && t <= at; ++t)
                        seen[1].push_back(t);
                for (long h = g * p.group(); h < (g + 1) * p.group(); ++h) {
                    const long query = (b * p.heads + h) * p.queries + i;
                    for (int c = 0; c < 3; ++c) {
                        const rows& keys = c == 0 ? ck : p.k;
                        const rows& values = c == 0 ? cv : p.v;
                        const long positions = c == 0 ? count : p.keys;
                        const auto w =
                            weights(p, p.q.data() + query * p.d_k, keys, kv, positions, seen[c], size);
                        const double gate = p.gates[static_cast<std::size_t>(query * 3 + c)];
                        for (std::size_t t = 0; t < w.size(); ++t)
                            for (long f = 0; f < p.d_v; ++f) {
                                const double term =
                                    gate * w[t] * row(values, kv, positions, seen[c][t], p.d_v)[f];
                                a.y[static_cast<std::size_t>(query * p.d_v + f)] += term;
                                a.allowed[static_cast<std::size_t>(query * p.d_v + f)] +=
                                    std::fabs(term) * size;
                            }
                    }
                }
            }
    return a;
}

}  // namespace native_reference
