// SPDX-License-Identifier: MIT
// tests/support/linear_reference.hpp: linear attention written down once, slowly, position by position
//
// The oracle of the linear tests. It includes no heed header and no Eigen. With phi the feature map, a
// state S (features, d_v) and, when normalised, z (features), kept as S's last column:
//
//     S~ = e^g S                                   rows of S scaled by e^{g_d} for a decay per feature
//     S  = S~ + phi(k) v^T                         linear, gated
//     S  = S~ + beta phi(k) (v - S~^T phi(k))^T    delta, gated delta
//     o  = scale S^T phi(q), or S^T phi(q) / (z^T phi(q) + 1e-10), without a scale
//
// solve_linear<double> is the oracle, solve_linear<float> the naive float computation that tolerances
// refer to. linear_quadratic.hpp writes the linear and gated rules as a sum over pairs, a second path that
// shares no line with this one; linear_gradient.hpp is the backward.
//
// Beside y and the state stands the size of what was added up to make each element: rounding errors are
// proportional to it and not to a result that happens to cancel. For the delta rules it is the largest
// state and correction that are still alive, since a later write takes old errors back too.
//
// Cost: O(B H S F d_v) time, one state of memory for each head.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace reference {

// efficient: softmax over the features for q, over the positions for k. custom: f, with derivative df.
enum class features { elu1, relu, identity, softmax, taylor, custom, efficient };

// q (batch, heads, queries, d_k), k (batch, kv_heads, keys, d_k), v (batch, kv_heads, keys, d_v),
// g (batch, kv_heads, keys) or (batch, kv_heads, keys, d_k), beta (batch, kv_heads, keys), initial
// (batch, kv_heads, F, d_v), or d_v + 1 when normalised. All dense; an empty one is not used.
struct linear_problem {
    long batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, d_k = 1, d_v = 1;
    std::vector<double> q, k, v, g, beta, initial;
    features map = features::elu1;
    std::function<double(double)> f, df;
    bool causal = false, normalised = true, decay_per_feature = false;
    std::optional<double> scale;  // 1, or 1/sqrt(d_k) with a decay or a delta

    long feature_count() const { return map == features::taylor ? 1 + d_k + d_k * d_k : d_k; }
    long columns() const { return normalised ? d_v + 1 : d_v; }
    double used_scale() const {
        if (scale) return *scale;
        return g.empty() && beta.empty() ? 1 : 1 / std::sqrt(static_cast<double>(d_k));
    }
    static std::size_t product(long a, long b, long c, long d) {
        return static_cast<std::size_t>(a) * static_cast<std::size_t>(b) * static_cast<std::size_t>(c) *
               static_cast<std::size_t>(d);
    }
    std::size_t q_size() const { return product(batch, heads, queries, d_k); }
    std::size_t k_size() const { return product(batch, kv_heads, keys, d_k); }
    std::size_t v_size() const { return product(batch, kv_heads, keys, d_v); }
    std::size_t y_size() const { return product(batch, heads, queries, d_v); }
    std::size_t g_size() const { return product(batch, kv_heads, keys, decay_per_feature ? d_k : 1); }
    std::size_t beta_size() const { return product(batch, kv_heads, keys, 1); }
    std::size_t state_size() const { return product(batch, kv_heads, feature_count(), columns()); }
};

template <class T>
struct linear_answer {
    std::vector<T> y, y_size;          // (batch, heads, queries, d_v)
    std::vector<T> state, state_size;  // (batch, kv_heads, F, columns), after the last position
};

namespace detail {

template <class T>
std::vector<T> cast(const std::vector<double>& x) {
    std::vector<T> y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = static_cast<T>(x[i]);
    return y;
}

// softmax of n numbers, `stride` apart.
template <class T>
void softmax(const T* x, T* y, long n, long stride) {
    T top = x[0], sum = 0;
    for (long i = 1; i < n; ++i) top = x[i * stride] > top ? x[i * stride] : top;
    for (long i = 0; i < n; ++i) sum += y[i * stride] = std::exp(x[i * stride] - top);
    for (long i = 0; i < n; ++i) y[i * stride] /= sum;
}

// phi of one row.
template <class T>
void map_row(const linear_problem& p, const T* x, T* y) {
    const long d = p.d_k;
    if (p.map == features::softmax || p.map == features::efficient) return softmax(x, y, d, 1);
    if (p.map == features::taylor) {
        // 1, x / d^(1/4), (x x^T) / sqrt(2 d): the product of two such rows is 1 + s + s^2/2.
        const T root = std::sqrt(std::sqrt(static_cast<T>(d)));
        *y++ = 1;
        for (long i = 0; i < d; ++i) *y++ = x[i] / root;
        for (long i = 0; i < d; ++i)
            for (long j = 0; j < d; ++j) *y++ = x[i] * x[j] / std::sqrt(static_cast<T>(2 * d));
        return;
    }
    for (long i = 0; i < d; ++i) {
        if (p.map == features::elu1) y[i] = x[i] > 0 ? x[i] + 1 : std::exp(x[i]);
        if (p.map == features::relu) y[i] = x[i] > 0 ? x[i] : x[i] <= 0 ? T(0) : x[i];  // NaN stays
        if (p.map == features::identity) y[i] = x[i];
        if (p.map == features::custom) y[i] = static_cast<T>(p.f(static_cast<double>(x[i])));
    }
}

// phi of all rows of q, or of k when `positions` are given to normalise over (efficient).
template <class T>
std::vector<T> map_rows(const linear_problem& p, const std::vector<T>& x, long positions = 0) {
    const long rows = p.d_k == 0 ? 0 : static_cast<long>(x.size()) / p.d_k, n = p.feature_count();
    std::vector<T> y(static_cast<std::size_t>(rows * n));
    if (p.map == features::efficient && positions > 0) {
        for (long first = 0; first < rows; first += positions)
            for (long f = 0; f < n; ++f)
                softmax(x.data() + first * n + f, y.data() + first * n + f, positions, n);
        return y;
    }
    for (long r = 0; r < rows; ++r) map_row(p, x.data() + r * p.d_k, y.data() + r * n);
    return y;
}

// The state of one key/value head: one position at a time.
template <class T>
struct linear_walk {
    const linear_problem& p;
    long n, columns;
    std::vector<T> s, size;     // (n, columns)
    std::vector<T> decayed, u;  // e^g S before the write; what was written: v, or beta (v - S~^T k)

    linear_walk(const linear_problem& problem, const T* initial)
        : p(problem),
          n(p.feature_count()),
          columns(p.columns()),
          s(static_cast<std::size_t>(n * columns)),
          size(s.size()),
          decayed(s.size()),
          u(static_cast<std::size_t>(columns)) {
        for (std::size_t i = 0; initial && i < s.size(); ++i) s[i] = initial[i], size[i] = std::fabs(s[i]);
    }

    // g: one number or one per feature, or null; beta: one number, or null.
    void step(const T* k, const T* v, const T* g, const T* beta) {
        decayed = s;
        for (long d = 0; g && d < n; ++d) {
            const T factor = std::exp(g[p.decay_per_feature ? d : 0]);
            for (long e = 0; e < columns; ++e) at(decayed, d, e) *= factor, at(size, d, e) *= factor;
        }
        for (long e = 0; e < columns; ++e) {
            T value = e < p.d_v ? v[e] : T(1), mass = std::fabs(value);
            if (beta) {
                for (long d = 0; d < n; ++d) value -= at(decayed, d, e) * k[d];
                for (long d = 0; d < n; ++d) mass += std::fabs(at(decayed, d, e) * k[d]);
                value *= *beta, mass *= std::fabs(*beta);
            }
            u[static_cast<std::size_t>(e)] = value;
            for (long d = 0; d < n; ++d) {
                at(s, d, e) = at(decayed, d, e) + k[d] * value;
                T& alive = at(size, d, e);
                if (beta)
                    alive = std::fmax(alive, std::fabs(at(decayed, d, e)) + std::fabs(k[d]) * mass);
                else
                    alive += std::fabs(k[d]) * mass;
            }
        }
    }

    void read(const T* q, T* y, T* y_size) const {
        const T scale = p.normalised ? T(1) : static_cast<T>(p.used_scale());
        T below = 1, below_size = 0;
        if (p.normalised) {
            below = scale * dot(q, p.d_v, false) + T(1e-10);
            below_size = std::fabs(scale) * dot(q, p.d_v, true);
        }
        for (long e = 0; e < p.d_v; ++e) {
            y[e] = scale * dot(q, e, false) / below;
            y_size[e] =
                (std::fabs(scale) * dot(q, e, true) + std::fabs(y[e]) * below_size) / std::fabs(below);
        }
    }

    T& at(std::vector<T>& x, long d, long e) const { return x[static_cast<std::size_t>(d * columns + e)]; }

private:
    T dot(const T* q, long e, bool of_sizes) const {
        T sum = 0;
        for (long d = 0; d < n; ++d) {
            const std::size_t i = static_cast<std::size_t>(d * columns + e);
            sum += of_sizes ? std::fabs(q[d]) * size[i] : q[d] * s[i];
        }
        return sum;
    }
};

}  // namespace detail

template <class T>
linear_answer<T> solve_linear(const linear_problem& p) {
    using detail::cast;
    const auto k = cast<T>(p.k), v = cast<T>(p.v), g = cast<T>(p.g), beta = cast<T>(p.beta);
    const auto initial = cast<T>(p.initial);
    const auto fq = detail::map_rows<T>(p, cast<T>(p.q)), fk = detail::map_rows<T>(p, k, p.keys);
    const long n = p.feature_count(), width = p.decay_per_feature ? p.d_k : 1;
    linear_answer<T> a;
    a.y.resize(p.y_size()), a.y_size.resize(p.y_size());
    for (long head = 0; head < p.batch * p.kv_heads; ++head) {
        detail::linear_walk<T> walk(p, initial.empty() ? nullptr : initial.data() + head * n * p.columns());
        const long group = p.heads / p.kv_heads;
        const auto read = [&](long query) {
            for (long h = 0; h < group; ++h) {
                const long row = (head * group + h) * p.queries + query;  // (b kv + kv_head) group + h
                walk.read(fq.data() + row * n, a.y.data() + row * p.d_v, a.y_size.data() + row * p.d_v);
            }
        };
        for (long t = 0; t < p.keys; ++t) {
            const long at = head * p.keys + t;
            walk.step(fk.data() + at * n, v.data() + at * p.d_v, g.empty() ? nullptr : g.data() + at * width,
                      beta.empty() ? nullptr : beta.data() + at);
            if (p.causal) read(t);
        }
        for (long t = 0; !p.causal && t < p.queries; ++t) read(t);
        a.state.insert(a.state.end(), walk.s.begin(), walk.s.end());
        a.state_size.insert(a.state_size.end(), walk.size.begin(), walk.size.end());
    }
    return a;
}

}  // namespace reference
