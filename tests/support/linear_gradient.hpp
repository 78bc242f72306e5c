// SPDX-License-Identifier: MIT
// tests/support/linear_gradient.hpp: the backward of linear attention, position by position
//
// The derivative of linear_reference.hpp's recurrence, line by line from the last position to the first.
// With n = scale S^T phi(q), m = scale z^T phi(q) + 1e-10 and o = n / m, dn = do / m and dm = -<do, o> / m;
// D = scale [dn, dm] is what reaches the columns of S. R is the gradient of the state after position t:
//
//     dphi(q) = S D,  R += phi(q) D^T
//     linear:  dphi(k) = R u,  dv = R^T phi(k),  R~ = R                      u = [v, 1]
//     delta:   du = R^T phi(k),  dbeta = <du, r>,  dv = beta du,             r = v - S~^T phi(k), u = beta r
//              dphi(k) = R u - S~ dv,  R~ = R - phi(k) dv^T
//     dg = <R~, e^g S before>, per feature or summed,  R = e^g R~
//
// Every state is kept: O(B H S F d_v) memory.
#pragma once

#include "linear_reference.hpp"

namespace reference {

template <class T>
struct linear_gradients {
    std::vector<T> q, k, v, g, beta, initial;  // of the shapes of the problem's own
};

namespace detail {

// dx from dphi, for one row (or a column of positions: efficient's k, by its stride).
template <class T>
void softmax_gradient(const T* y, const T* dy, T* dx, long n, long stride) {
    T mean = 0;
    for (long i = 0; i < n; ++i) mean += y[i * stride] * dy[i * stride];
    for (long i = 0; i < n; ++i) dx[i * stride] = y[i * stride] * (dy[i * stride] - mean);
}

template <class T>
void map_row_gradient(const linear_problem& p, const T* x, const T* y, const T* dy, T* dx) {
    const long d = p.d_k;
    if (p.map == features::softmax || p.map == features::efficient) return softmax_gradient(y, dy, dx, d, 1);
    if (p.map == features::taylor) {
        const T root = std::sqrt(std::sqrt(static_cast<T>(d)));
        const T* pair = dy + 1 + d;
        for (long i = 0; i < d; ++i) {
            dx[i] = dy[1 + i] / root;
            for (long j = 0; j < d; ++j)
                dx[i] += (pair[i * d + j] + pair[j * d + i]) * x[j] / std::sqrt(static_cast<T>(2 * d));
        }
        return;
    }
    for (long i = 0; i < d; ++i) {
        T slope = 1;
        if (p.map == features::elu1) slope = x[i] > 0 ? T(1) : std::exp(x[i]);
        if (p.map == features::relu) slope = x[i] > 0 ? T(1) : T(0);
        if (p.map == features::custom) slope = static_cast<T>(p.df(static_cast<double>(x[i])));
        dx[i] = slope * dy[i];
    }
}

template <class T>
std::vector<T> map_rows_gradient(const linear_problem& p, const std::vector<T>& x, const std::vector<T>& y,
                                 const std::vector<T>& dy, long positions = 0) {
    const long rows = static_cast<long>(x.size()) / p.d_k, n = p.feature_count();
    std::vector<T> dx(x.size());
    if (p.map == features::efficient && positions > 0) {
        for (long first = 0; first < rows; first += positions)
            for (long f = 0; f < n; ++f) {
                const long at = first * n + f;
                softmax_gradient(y.data() + at, dy.data() + at, dx.data() + at, positions, n);
            }
        return dx;
    }
    for (long r = 0; r < rows; ++r)
        map_row_gradient(p, x.data() + r * p.d_k, y.data() + r * n, dy.data() + r * n, dx.data() + r * p.d_k);
    return dx;
}

// (n, columns), dense.
template <class T>
struct matrix {
    T* data;
    long n, columns;
    T& operator()(long d, long e) const { return data[d * columns + e]; }
};

}  // namespace detail

// dy of y's shape; final_gradient of the state's shape, or empty.
template <class T>
linear_gradients<T> solve_linear_gradients(const linear_problem& p, const std::vector<double>& dy_,
                                           const std::vector<double>& final_gradient = {}) {
    using detail::cast;
    const auto q = cast<T>(p.q), k = cast<T>(p.k), v = cast<T>(p.v), g = cast<T>(p.g), dy = cast<T>(dy_);
    const auto beta = cast<T>(p.beta), initial = cast<T>(p.initial), last = cast<T>(final_gradient);
    const auto fq = detail::map_rows<T>(p, q), fk = detail::map_rows<T>(p, k, p.keys);
    const long n = p.feature_count(), columns = p.columns(), width = p.decay_per_feature ? p.d_k : 1;
    const long group = p.heads / p.kv_heads, size = n * columns;
    const T scale = static_cast<T>(p.used_scale());
    linear_gradients<T> a;
    std::vector<T> dfq(fq.size()), dfk(fk.size());
    a.v.resize(v.size()), a.g.resize(g.size()), a.beta.resize(beta.size());

    for (long head = 0; head < p.batch * p.kv_heads; ++head) {
        detail::linear_walk<T> walk(p, initial.empty() ? nullptr : initial.data() + head * size);
        std::vector<T> states(walk.s), decayed, written;  // S after 0, 1, ... steps; S~ and u of each step
        for (long t = 0; t < p.keys; ++t) {
            const long at = head * p.keys + t;
            walk.step(fk.data() + at * n, v.data() + at * p.d_v, g.empty() ? nullptr : g.data() + at * width,
                      beta.empty() ? nullptr : beta.data() + at);
            states.insert(states.end(), walk.s.begin(), walk.s.end());
            decayed.insert(decayed.end(), walk.decayed.begin(), walk.decayed.end());
            written.insert(written.end(), walk.u.begin(), walk.u.end());
        }
        std::vector<T> memory(static_cast<std::size_t>(size)), d(static_cast<std::size_t>(columns)), du(d);
        if (!last.empty()) memory.assign(last.begin() + head * size, last.begin() + (head + 1) * size);
        const detail::matrix<T> r{memory.data(), n, columns};

        const auto read = [&](long query, long after) {
            const detail::matrix<T> s{states.data() + after * size, n, columns};
            for (long h = 0; h < group; ++h) {
                const long row = (head * group + h) * p.queries + query;
                const T *x = fq.data() + row * n, *out = dy.data() + row * p.d_v;
                T below = p.normalised ? T(1e-10) : T(1), inner = 0;
                for (long f = 0; p.normalised && f < n; ++f) below += scale * x[f] * s(f, p.d_v);
                for (long e = 0; e < p.d_v; ++e) {
                    T y = 0;
                    for (long f = 0; f < n; ++f) y += scale * x[f] * s(f, e);
                    inner += out[e] * y / below;
                    d[static_cast<std::size_t>(e)] = scale * out[e] / below;
                }
                if (p.normalised) d.back() = -scale * inner / below;
                for (long f = 0; f < n; ++f)
                    for (long e = 0; e < columns; ++e) {
                        dfq[static_cast<std::size_t>(row * n + f)] +=
                            s(f, e) * d[static_cast<std::size_t>(e)];
                        r(f, e) += x[f] * d[static_cast<std::size_t>(e)];
                    }
            }
        };
        for (long t = 0; !p.causal && t < p.queries; ++t) read(t, p.keys);

        for (long t = p.keys - 1; t >= 0; --t) {
            if (p.causal) read(t, t + 1);
            const long at = head * p.keys + t;
            const T *x = fk.data() + at * n, *u = written.data() + t * columns;
            const detail::matrix<T> before{decayed.data() + t * size, n, columns};
            T* dx = dfk.data() + at * n;
            for (long e = 0; e < columns; ++e) {
                T& sum = du[static_cast<std::size_t>(e)] = 0;
                for (long f = 0; f < n; ++f) sum += r(f, e) * x[f], dx[f] += r(f, e) * u[e];
                if (!beta.empty()) {
                    T rest = e < p.d_v ? v[static_cast<std::size_t>(at * p.d_v + e)] : T(1);
                    for (long f = 0; f < n; ++f) rest -= before(f, e) * x[f];
                    a.beta[static_cast<std::size_t>(at)] += sum * rest;
                    sum *= beta[static_cast<std::size_t>(at)];
                    for (long f = 0; f < n; ++f) dx[f] -= before(f, e) * sum, r(f, e) -= x[f] * sum;
                }
                if (e < p.d_v) a.v[static_cast<std::size_t>(at * p.d_v + e)] = sum;
            }
            for (long f = 0; f < n && !g.empty(); ++f) {
                const std::size_t place = static_cast<std::size_t>(at * width + (width > 1 ? f : 0));
                for (long e = 0; e < columns; ++e) {
                    a.g[place] += r(f, e) * before(f, e);
                    r(f, e) *= std::exp(g[place]);
                }
            }
        }
        if (!initial.empty()) a.initial.insert(a.initial.end(), memory.begin(), memory.end());
    }
    a.q = detail::map_rows_gradient<T>(p, q, fq, dfq);
    a.k = detail::map_rows_gradient<T>(p, k, fk, dfk, p.keys);
    return a;
}

}  // namespace reference
