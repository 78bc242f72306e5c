// SPDX-License-Identifier: MIT
// bench/naive.hpp: what everything is measured against
//
//     naive_attention     the three lines of Eigen most people would write: the baseline of speed.
//                         It holds the whole (query, key) matrix of a head.
//     loop_attention      plain loops, the baseline of calls of a few scores
//     softmax_row         one row of softmax attention in double: the truth of every error figure
//
// No heed header is included here, so that a bug cannot hide in what the two sides share.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "problem.hpp"

namespace heed_bench {

// One head, plain softmax(q k^T / sqrt(d)) v. `scores` has room for queries x keys floats.
template <class Float>
void naive_attention(const Float* q, const Float* k, const Float* v, Float* y, Float* scores, size queries,
                     size keys, size head_dim) {
    using matrix = Eigen::Matrix<Float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    Eigen::Map<const matrix> Q(q, queries, head_dim), K(k, keys, head_dim), V(v, keys, head_dim);
    Eigen::Map<matrix> S(scores, queries, keys), Y(y, queries, head_dim);

    S.noalias() = Q * K.transpose() / std::sqrt(Float(head_dim));
    S = (S.colwise() - S.rowwise().maxCoeff().eval()).array().exp();
    Y.noalias() = S.rowwise().sum().cwiseInverse().asDiagonal() * (S * V);
}

// The loops that a user writes for a call of a few scores, where three lines of Eigen cost more than the
// work.
inline void loop_attention(const float* q, const float* k, const float* v, float* y, float* scores,
                           size queries, size keys, size head_dim) {
    const float scale = 1 / std::sqrt(float(head_dim));
    for (size i = 0; i < queries; ++i, q += head_dim, y += head_dim) {
        float most = -std::numeric_limits<float>::infinity(), sum = 0;
        for (size j = 0; j < keys; ++j) {
            float dot = 0;
            for (size f = 0; f < head_dim; ++f) dot += q[f] * k[j * head_dim + f];
            scores[j] = dot * scale;
            most = scores[j] > most ? scores[j] : most;
        }
        for (size j = 0; j < keys; ++j) sum += scores[j] = std::exp(scores[j] - most);
        for (size f = 0; f < head_dim; ++f) y[f] = 0;
        for (size j = 0; j < keys; ++j)
            for (size f = 0; f < head_dim; ++f) y[f] += scores[j] / sum * v[j * head_dim + f];
    }
}

// The same over all heads of a problem; works through one head after the other.
using naive_head = void(const float* q, const float* k, const float* v, float* y, float* scores, size queries,
                        size keys, size head_dim);

inline void naive_all_heads(naive_head* one_head, const problem& p, tensor& y, std::vector<float>& scores) {
    const shape& s = p.extent;
    scores.resize(std::size_t(s.queries * s.keys));
    for (size b = 0; b < s.batch; ++b)
        for (size h = 0; h < s.heads; ++h) {
            const size kv = (b * s.kv_heads + h / (s.heads / s.kv_heads)) * s.keys * s.head_dim;
            const size row = (b * s.heads + h) * s.queries * s.head_dim;
            one_head(p.q.data() + row, p.k.data() + kv, p.v.data() + kv, y.data() + row, scores.data(),
                     s.queries, s.keys, s.head_dim);
        }
}

// naive_attention<float> compiled with -march=native, in a library of its own (naive_native.cpp).
naive_head& naive_native();

struct place {
    size batch, head, query, key;
};

struct true_row {
    std::vector<double> y;
    double effective_keys = 0;         // 1 / sum p^2: how many keys share the row's weight
    std::vector<double> weights = {};  // p, where the row is a mean of values weighted by it
};

// `rule(score, place)` gives the score after options, -infinity for a hidden key; the score it gets is
// already scaled by 1/sqrt(d). A row that sees nothing is zero.
template <class Rule>
true_row softmax_row(const problem& p, size b, size h, size query, const Rule& rule) {
    const shape& s = p.extent;
    const size kv = h / (s.heads / s.kv_heads);
    std::vector<double> weight(std::size_t(s.keys));
    double most = -std::numeric_limits<double>::infinity();
    for (size key = 0; key < s.keys; ++key) {
        double dot = 0;
        for (size d = 0; d < s.head_dim; ++d) dot += double(p.q(b, h, query, d)) * double(p.k(b, kv, key, d));
        double& w = weight[std::size_t(key)];
        w = rule(dot / std::sqrt(double(s.head_dim)), place{b, h, query, key});
        most = std::max(most, w);
    }
    true_row row{std::vector<double>(std::size_t(s.head_dim), 0.0)};
    if (most == -std::numeric_limits<double>::infinity()) {
        row.weights.assign(weight.size(), 0.0);
        return row;
    }
    double sum = 0, squares = 0;
    for (double& w : weight) {
        w = std::exp(w - most);
        sum += w;
        squares += w * w;
    }
    for (size key = 0; key < s.keys; ++key) {
        const double share = weight[std::size_t(key)] /= sum;
        if (share != 0)
            for (size d = 0; d < s.head_dim; ++d) row.y[std::size_t(d)] += share * double(p.v(b, kv, key, d));
    }
    row.effective_keys = sum * sum / squares;
    row.weights = std::move(weight);
    return row;
}

}  // namespace heed_bench
