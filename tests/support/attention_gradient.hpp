// SPDX-License-Identifier: MIT
// tests/support/attention_gradient.hpp: the gradients of exact attention from their definition, slowly
//
// No heed header and no Eigen. For one row with weights w and g_j = keep_j <dy, v_j>, what flows back into
// y = sum_j w_j keep_j v_j, and dL into the log-sum-exp:
//
//     ds_j = w_j (g_j - sum_m w_m g_m + dL)        dsink = w_sink (dL - sum_m w_m g_m)
//
// (with a function of the weights f(w_j) in y, and g_j times f'(w_j)),
// then by the chain rule through score and softcap into the product, and from there into q and k. Beside each
// gradient stands its size: the same sums over absolute values, what the rounding of a kernel is
// proportional to.
#pragma once

#include "reference.hpp"

namespace reference {

// The derivative of problem::score by the score, and of problem::probability by the weight.
using score_slope = std::function<double(double, place)>;

struct gradients {
    std::vector<double> q, k, v;
    std::vector<double> scores;  // (batch, heads, queries, keys): of what bias and slopes are added to
    std::vector<double> sinks;   // (heads)
    std::vector<double> q_size, k_size, v_size, scores_size, sinks_size;
};

// The share of a row's sum that its sink has; beside large scores a log-sum-exp would not say.
inline double sink_weight(const problem& p, const answer<double>& a, long head, long row) {
    const double hidden = -std::numeric_limits<double>::infinity(),
                 sink = p.sinks[static_cast<std::size_t>(head)];
    if (sink == hidden) return 0;
    double top = sink, sum = 0;
    const double* const s = a.biased.data() + row * p.keys;
    for (long j = 0; j < p.keys; ++j) top = s[j] > top ? s[j] : top;
    for (long j = 0; j < p.keys; ++j) sum += s[j] == hidden ? 0 : std::exp(s[j] - top);
    const double mine = sink == top ? 1 : std::exp(sink - top);
    return mine / (sum + mine);
}

// of_lse: dL, (batch, heads, queries), or nothing.
inline gradients differentiate(const problem& p, const answer<double>& a, const std::vector<double>& dy,
                               const score_slope& slope = {}, const std::vector<double>& of_lse = {},
                               const score_slope& probability_slope = {}) {
    const auto at = [](long i) { return static_cast<std::size_t>(i); };
    gradients d;
    for (auto* x : {&d.q, &d.q_size}) x->assign(p.q_size(), 0);
    for (auto* x : {&d.k, &d.k_size}) x->assign(p.k_size(), 0);
    for (auto* x : {&d.v, &d.v_size}) x->assign(p.v_size(), 0);
    for (auto* x : {&d.scores, &d.scores_size}) x->assign(p.pairs(), 0);
    for (auto* x : {&d.sinks, &d.sinks_size}) x->assign(p.sinks.size(), 0);
    const double scale = p.scale ? *p.scale : 1 / std::sqrt(static_cast<double>(p.d_k));
    std::vector<double> g(at(p.keys)), g_size(g.size());
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i) {
                const long row = (b * p.heads + h) * p.queries + i;
                const long kv = b * p.kv_heads + h / (p.heads / p.kv_heads);
                const double* const from = dy.data() + row * p.d_v;
                double mean = 0, mean_size = 0;
                for (long j = 0; j < p.keys; ++j) {
                    const std::size_t pair = at(row * p.keys + j);
                    g[at(j)] = g_size[at(j)] = 0;
                    if (a.biased[pair] == -std::numeric_limits<double>::infinity()) continue;
                    const place here{b, h, i, j};
                    const double keep = p.keep ? p.keep(here) : 1;
                    const double w = a.weights[pair];
                    const double met = p.probability ? p.probability(w, here) : w;
                    const double turn = p.probability ? probability_slope(w, here) : 1;
                    // What f is made of may be larger than f.
                    const double met_size = p.probability ? std::fabs(met) + std::fabs(w * turn) : w;
                    for (long f = 0; f < p.d_v; ++f) {
                        const std::size_t value = at((kv * p.keys + j) * p.d_v + f);
                        g[at(j)] += turn * keep * from[f] * p.v[value];
                        g_size[at(j)] += std::fabs(turn) * keep * std::fabs(from[f] * p.v[value]);
                        d.v[value] += met * keep * from[f];
                        d.v_size[value] += met_size * keep * std::fabs(from[f]);
                    }
                    mean += a.weights[pair] * g[at(j)];
                    mean_size += a.weights[pair] * g_size[at(j)];
                }
                if (!of_lse.empty()) {
                    mean -= of_lse[at(row)];
                    mean_size += std::fabs(of_lse[at(row)]);
                }
                if (!p.sinks.empty()) {
                    const double weight = sink_weight(p, a, h, row);
                    if (mean_size != 0) d.sinks[at(h)] -= weight * mean;
                    d.sinks_size[at(h)] += weight * mean_size;
                }
                for (long j = 0; j < p.keys; ++j) {
                    const std::size_t pair = at(row * p.keys + j);
                    if (a.biased[pair] == -std::numeric_limits<double>::infinity()) continue;
                    double ds = a.weights[pair] * (g[at(j)] - mean);
                    double size = a.weights[pair] * (g_size[at(j)] + mean_size);
                    d.scores[pair] = ds;
                    d.scores_size[pair] = size;
                    if (p.score) {
                        const double s = slope(a.capped[pair], {b, h, i, j});
                        ds *= s;
                        size *= 1 + std::fabs(s);
                    }
                    if (p.softcap != 0) {
                        const double t = std::tanh(a.raw[pair] / p.softcap);
                        ds *= 1 - t * t;
                    }
                    for (long f = 0; f < p.d_k; ++f) {
                        const std::size_t x = at(row * p.d_k + f), y = at((kv * p.keys + j) * p.d_k + f);
                        d.q[x] += scale * ds * p.k[y];
                        d.k[y] += scale * ds * p.q[x];
                        d.q_size[x] += std::fabs(scale * size * p.k[y]);
                        d.k_size[y] += std::fabs(scale * size * p.q[x]);
                    }
                }
            }
    return d;
}

}  // namespace reference
