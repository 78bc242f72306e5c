// SPDX-License-Identifier: MIT
// tests/support/psa_reference.hpp: polynomial weights, and progressive sparse attention, written down slowly
//
// The oracle of tests/sparse and tests/select/psa.cpp: double or long double, no heed header, no Eigen.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "reference.hpp"

namespace reference {

// The cubic on [-clamp, 0], or with a table e^-whole p(fraction), 0 below.
struct polynomial {
    std::array<double, 4> a{};
    double clamp = 4;
    bool table = false;
};

template <class T>
T cubic(const polynomial& p, T x) {
    return T(p.a[0]) + T(p.a[1]) * x + T(p.a[2]) * x * x + T(p.a[3]) * x * x * x;
}

template <class T>
T weight_of(const polynomial& p, T t) {
    if (std::isnan(t)) return t;
    if (t < -T(p.clamp)) return 0;
    const T whole = p.table ? std::floor(-t) : T(0);
    const T w = p.table ? std::exp(-whole) * cubic(p, -t - whole) : cubic(p, t);
    return w > 0 ? w : T(0);
}

// softmax with polynomial weights of one row; -inf is hidden. The logarithm of the sum comes with it.
template <class T>
T polynomial_row(const polynomial& p, const std::vector<T>& s, std::vector<T>& w) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    T most = -infinity, sum = 0;
    for (T x : s)
        if (x > most) most = x;
    w.assign(s.size(), T(0));
    for (std::size_t j = 0; j < s.size(); ++j) {
        if (s[j] == -infinity) continue;
        w[j] = weight_of(p, std::isnan(s[j]) ? s[j] : s[j] - most);
        sum += w[j];
    }
    if (sum == 0) return -infinity;
    for (T& x : w) x = std::isnan(sum) ? sum : x / sum;
    return most + std::log(sum);
}

enum class reading { literal, masked, intended };

struct psa {
    polynomial pi;
    reading how = reading::intended;
    double fraction = 1, of_queries = 1, of_keys = 1;
};

// What stays: pairs of a query and a key, features of queries and of keys.
struct psa_choice {
    std::vector<char> pairs, q, k;
};

namespace detail {

// The max(1, ceil(fraction n)) largest of those that count; of equal ones the first.
template <class T>
void keep_largest(const std::vector<T>& x, double fraction, char* kept) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    std::vector<std::size_t> order;
    for (std::size_t j = 0; j < x.size(); ++j)
        if (x[j] != -infinity) order.push_back(j);
    const double share = fraction * static_cast<double>(order.size());
    const auto wanted = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(share - 1e-12)));
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (std::isnan(x[a]) || std::isnan(x[b]))
            return std::isnan(x[a]) != std::isnan(x[b]) ? std::isnan(x[a]) : a < b;
        return x[a] != x[b] ? x[a] > x[b] : a < b;
    });
    for (std::size_t j = 0; j < x.size(); ++j) kept[j] = 0;
    for (std::size_t i = 0; i < order.size() && i < wanted; ++i) kept[order[i]] = 1;
}

inline std::vector<char> features_kept(const std::vector<double>& x, long d, double fraction) {
    std::vector<char> kept(x.size(), 1);
    std::vector<double> size(static_cast<std::size_t>(d));
    for (std::size_t row = 0; row < x.size(); row += size.size()) {
        for (std::size_t f = 0; f < size.size(); ++f) size[f] = std::fabs(x[row + f]);
        keep_largest(size, fraction, kept.data() + row);
    }
    return kept;
}

inline problem with_features(const problem& p, const psa_choice& c) {
    problem sparse = p;
    for (std::size_t i = 0; i < p.q.size(); ++i) sparse.q[i] = c.q[i] ? p.q[i] : 0;
    for (std::size_t i = 0; i < p.k.size(); ++i) sparse.k[i] = c.k[i] ? p.k[i] : 0;
    return sparse;
}

}  // namespace detail

inline psa_choice choose(const problem& p, const psa& s) {
    psa_choice c;
    c.q = detail::features_kept(p.q, p.d_k, s.of_queries);
    c.k = detail::features_kept(p.k, p.d_k, s.of_keys);
    c.pairs.assign(p.pairs(), 1);
    if (s.how == reading::literal) return c;
    const auto scores = solve<double>(detail::with_features(p, c)).biased;
    const auto keys = static_cast<std::size_t>(p.keys);
    for (std::size_t row = 0; row < p.rows(); ++row) {
        const auto first = scores.begin() + static_cast<long>(row * keys);
        detail::keep_largest(std::vector<double>(first, first + p.keys), s.fraction,
                             c.pairs.data() + row * keys);
    }
    return c;
}

// y, log-sum-exp, weights and scores of a choice.
template <class T>
answer<T> solve_psa(const problem& p, const psa& s, const psa_choice& c) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    answer<T> a = solve<T>(detail::with_features(p, c));
    const auto keys = static_cast<std::size_t>(p.keys);
    std::vector<T> x(keys), w;
    for (std::size_t row = 0; row < p.rows(); ++row) {
        const long h = static_cast<long>(row) / p.queries % p.heads;
        const long b = static_cast<long>(row) / p.queries / p.heads;
        for (std::size_t j = 0; j < keys; ++j) {
            const T score = a.biased[row * keys + j];
            x[j] = c.pairs[row * keys + j] && score != -infinity ? score : -infinity;
            if (s.how == reading::intended || x[j] == -infinity || std::isnan(x[j])) continue;
            x[j] = cubic(s.pi, std::min(std::max(x[j], -T(s.pi.clamp)), T(s.pi.clamp)));
        }
        T lse = 0, with_sink = 0;
        if (s.how == reading::intended) {
            lse = polynomial_row(s.pi, x, w);
        } else {
            w.assign(keys, T(0));
            lse = detail::softmax_row<T>(x, nullptr, w);
        }
        with_sink = lse;
        if (!p.sinks.empty()) {
            const T sink = static_cast<T>(p.sinks[static_cast<std::size_t>(h)]);
            const T top = std::max(sink, lse);
            with_sink = top + std::log(std::exp(lse - top) + std::exp(sink - top));
            for (T& weight : w) weight *= std::exp(lse - with_sink);
        }
        a.lse[row] = with_sink;
        const long kv = b * p.kv_heads + h / (p.heads / p.kv_heads);
        for (long f = 0; f < p.d_v; ++f) {
            T sum = 0;
            for (std::size_t j = 0; j < keys; ++j)
                if (w[j] != 0)
                    sum +=
                        w[j] *
                        static_cast<T>(
                            p.v[static_cast<std::size_t>((kv * p.keys + static_cast<long>(j)) * p.d_v + f)]);
            a.y[row * static_cast<std::size_t>(p.d_v) + static_cast<std::size_t>(f)] = sum;
        }
        std::copy(w.begin(), w.end(), a.weights.begin() + static_cast<long>(row * keys));
    }
    return a;
}

}  // namespace reference
