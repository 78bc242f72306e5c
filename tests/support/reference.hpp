// SPDX-License-Identifier: MIT
// tests/support/reference.hpp: exact softmax attention written down once, slowly
//
// The oracle of every test. It includes no heed header and no Eigen, so that it cannot share a
// bug with what it judges. One score row at a time, three passes, nothing fused:
//
//     s = scale * q.k -> softcap -> score(s, at) -> + bias -> hidden? -> softmax -> probability -> keep -> *
//     v
//
// solve<double> is the oracle; solve<float> is the *naive float computation* that the accuracy
// figures are relative to (the same loops in float with std::exp).
//
// Hard cases, as the contract has them: a hidden key enters no result; a score of -inf
// hides its key; a row that sees nothing gives y = +0, lse = -inf, weights 0; with a sink it
// gives y = +0 and lse = the sink. One NaN among the visible scores makes the row NaN.
//
// Cost: O(B H S T (d_k + d_v)) time, O(B H S T) memory for the stages.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

namespace reference {

struct place {
    long batch, head, query, key;
};

// q (batch, heads, queries, d_k), k (batch, kv_heads, keys, d_k), v (batch, kv_heads, keys, d_v),
// all dense and row-major. An empty function means "not used".
struct problem {
    long batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, d_k = 1, d_v = 1;
    std::vector<double> q, k, v;
    std::optional<double> scale;  // 1/sqrt(d_k) without it
    double softcap = 0;           // 0: none
    std::function<double(double, place)> score;
    std::function<double(place)> bias;
    std::function<bool(place)> visible;
    std::vector<double> sinks;                         // (heads), or empty
    std::function<double(double, place)> probability;  // of a weight
    std::function<double(place)> keep;                 // dropout: the factor on a weight, 0 or 1/(1 - p)

    std::size_t q_size() const { return static_cast<std::size_t>(batch * heads * queries * d_k); }
    std::size_t k_size() const { return static_cast<std::size_t>(batch * kv_heads * keys * d_k); }
    std::size_t v_size() const { return static_cast<std::size_t>(batch * kv_heads * keys * d_v); }
    std::size_t y_size() const { return static_cast<std::size_t>(batch * heads * queries * d_v); }
    std::size_t rows() const { return static_cast<std::size_t>(batch * heads * queries); }
    std::size_t pairs() const { return rows() * static_cast<std::size_t>(keys); }
};

template <class T>
struct answer {
    std::vector<T> y;                    // (batch, heads, queries, d_v)
    std::vector<T> lse;                  // (batch, heads, queries), natural logarithm
    std::vector<T> weights;              // (batch, heads, queries, keys), before dropout
    std::vector<T> raw, capped, biased;  // scores, -inf where hidden
};

namespace detail {

// One row: scores in s (already -inf where hidden), weights out. Returns the log-sum-exp.
template <class T>
T softmax_row(const std::vector<T>& s, const T* sink, std::vector<T>& w) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    T top = sink ? *sink : -infinity;
    bool sees = false, nan = false;
    for (T x : s) {
        nan = nan || std::isnan(x);
        if (x == -infinity) continue;
        sees = true;
        if (x > top) top = x;
    }
    for (T& x : w) x = 0;
    if (nan) {
        for (T& x : w) x = std::numeric_limits<T>::quiet_NaN();
        return std::numeric_limits<T>::quiet_NaN();
    }
    if (!sees) return top;  // -inf, or the sink alone
    T sum = sink && *sink != -infinity ? std::exp(*sink - top) : T(0);
    for (std::size_t j = 0; j < s.size(); ++j) {
        if (s[j] == -infinity) continue;
        w[j] = std::exp(s[j] - top);
        sum += w[j];
    }
    for (T& x : w) x /= sum;
    return top + std::log(sum);
}

}  // namespace detail

template <class T>
answer<T> solve(const problem& p) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    // The inputs in T, once.
    const std::vector<T> q(p.q.begin(), p.q.end()), k(p.k.begin(), p.k.end()), v(p.v.begin(), p.v.end());
    const std::vector<T> sinks(p.sinks.begin(), p.sinks.end());
    answer<T> a;
    a.y.assign(p.y_size(), T(0));
    a.lse.assign(p.rows(), -infinity);
    a.weights.assign(p.pairs(), T(0));
    a.raw.assign(p.pairs(), -infinity);
    a.capped = a.biased = a.raw;
    const T scale = p.scale ? static_cast<T>(*p.scale) : T(1) / std::sqrt(static_cast<T>(p.d_k));
    const T cap = static_cast<T>(p.softcap);
    std::vector<T> s(static_cast<std::size_t>(p.keys)), w(s.size()), dots(s.size()), turned(k.size());
    // Keys as (feature, key): the dot products of a row then advance side by side, each in the order
    // of its features, several times as fast as one after the other.
    for (long head = 0; head < p.batch * p.kv_heads; ++head)
        for (long j = 0; j < p.keys; ++j)
            for (long f = 0; f < p.d_k; ++f)
                turned[static_cast<std::size_t>((head * p.d_k + f) * p.keys + j)] =
                    k[static_cast<std::size_t>((head * p.keys + j) * p.d_k + f)];

    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i) {
                const long kv = b * p.kv_heads + h / (p.heads / p.kv_heads);
                const long row = (b * p.heads + h) * p.queries + i;
                dots.assign(dots.size(), T(0));
                for (long f = 0; f < p.d_k; ++f) {
                    const T x = q[static_cast<std::size_t>(row * p.d_k + f)];
                    const T* column = turned.data() + (kv * p.d_k + f) * p.keys;
                    for (std::size_t j = 0; j < dots.size(); ++j) dots[j] += x * column[j];
                }
                for (long j = 0; j < p.keys; ++j) {
                    const place here{b, h, i, j};
                    T& x = s[static_cast<std::size_t>(j)];
                    x = -infinity;
                    if (p.visible && !p.visible(here)) continue;
                    const T added = p.bias ? static_cast<T>(p.bias(here)) : T(0);
                    if (added == -infinity) continue;
                    const std::size_t pair = static_cast<std::size_t>(row * p.keys + j);
                    x = a.raw[pair] = dots[static_cast<std::size_t>(j)] * scale;
                    if (p.softcap != 0) x = cap * std::tanh(x / cap);
                    a.capped[pair] = x;
                    if (p.score) x = static_cast<T>(p.score(static_cast<double>(x), here));
                    if (x != -infinity) x += added;
                    a.biased[pair] = x;
                }
                a.lse[static_cast<std::size_t>(row)] = detail::softmax_row<T>(
                    s, sinks.empty() ? nullptr : &sinks[static_cast<std::size_t>(h)], w);
                for (long j = 0; j < p.keys; ++j) {
                    const T x = s[static_cast<std::size_t>(j)];
                    T weight = w[static_cast<std::size_t>(j)];
                    a.weights[static_cast<std::size_t>(row * p.keys + j)] = weight;
                    if (x == -infinity) continue;
                    if (p.probability)
                        weight = static_cast<T>(p.probability(static_cast<double>(weight), {b, h, i, j}));
                    const T kept = p.keep ? static_cast<T>(p.keep(place{b, h, i, j})) : T(1);
                    if (kept == T(0)) continue;
                    const T* value = v.data() + (kv * p.keys + j) * p.d_v;
                    T* y = a.y.data() + row * p.d_v;
                    for (long f = 0; f < p.d_v; ++f) y[f] += weight * kept * value[f];
                }
            }
    return a;
}

}  // namespace reference
