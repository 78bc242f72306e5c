// SPDX-License-Identifier: MIT
// tests/support/linear_gradient.hpp: the backward of linear attention, position by position
//
// The derivative of linear_reference.hpp's recurrence, line by line from the last position to the first.
// With n = S^T phi(q), m = z^T phi(q) + 1e-10 and o = n / m, dn = do / m and dm = -<do, o> / m;
// D = scale [dn, dm] is what reaches the columns of S. R is the gradient of the state after position t:
//
//     dphi(q) = S D,  R += phi(q) D^T
//     linear:  dphi(k) = R u,  dv = R^T phi(k),  R~ = R                      u = [v, 1]
//     delta:   du = R^T phi(k),  dbeta = <du, r>,  dv = beta du,             r = v - S~^T phi(k), u = beta r
//              dphi(k) = R u - S~ dv,  R~ = R - phi(k) dv^T
//     dg = <R~, e^g S before>, per feature or summed,  R = e^g R~
//
// Beside each gradient stands the size of what was added up to make it, as in the forward. A decay's
// gradient is usually computed as the sum over all later positions of <phi(q), dphi(q)> - <phi(k), dphi(k)>,
// of which most cancels: its size is that of this sum.
//
// Every state is kept: O(B H S F d_v) memory.
#pragma once

#include "linear_reference.hpp"

namespace reference {

template <class T>
struct linear_gradients {
    std::vector<T> q, k, v, g, beta, initial;  // of the shapes of the problem's own
    std::vector<T> q_size, k_size, v_size, g_size, beta_size, initial_size;
};

namespace detail {

// dx from dphi for one row, or a column of positions. Sizes go through with every factor's sign taken off.
template <class T>
void softmax_gradient(const T* y, const T* dy, T* dx, long n, long stride, bool of_sizes) {
    T mean = 0;
    for (long i = 0; i < n; ++i) mean += y[i * stride] * dy[i * stride];
    for (long i = 0; i < n; ++i)
        dx[i * stride] = y[i * stride] * (dy[i * stride] + (of_sizes ? mean : -mean));
}

template <class T>
void map_row_gradient(const linear_problem& p, const T* x, const T* y, const T* dy, T* dx, bool of_sizes) {
    const long d = p.d_k;
    if (p.map == features::softmax || p.map == features::efficient)
        return softmax_gradient(y, dy, dx, d, 1, of_sizes);
    if (p.map == features::taylor) {
        const T root = std::sqrt(std::sqrt(static_cast<T>(d)));
        const T* pair = dy + 1 + d;
        for (long i = 0; i < d; ++i) {
            dx[i] = dy[1 + i] / root;
            for (long j = 0; j < d; ++j)
                dx[i] += (pair[i * d + j] + pair[j * d + i]) * (of_sizes ? std::fabs(x[j]) : x[j]) /
                         std::sqrt(static_cast<T>(2 * d));
        }
        return;
    }
    for (long i = 0; i < d; ++i) {
        T slope = 1;
        if (p.map == features::elu1) slope = x[i] > 0 ? T(1) : std::exp(x[i]);
        if (p.map == features::relu) slope = x[i] > 0 ? T(1) : T(0);
        if (p.map == features::custom) slope = static_cast<T>(p.df(static_cast<double>(x[i])));
        dx[i] = (of_sizes ? std::fabs(slope) : slope) * dy[i];
    }
}

template <class T>
std::vector<T> map_rows_gradient(const linear_problem& p, const std::vector<T>& x, const std::vector<T>& y,
                                 const std::vector<T>& dy, bool of_sizes, long positions = 0) {
    const long rows = static_cast<long>(x.size()) / p.d_k, n = p.feature_count();
    std::vector<T> dx(x.size());
    if (p.map == features::efficient && positions > 0) {
        for (long first = 0; first < rows; first += positions)
            for (long f = 0; f < n; ++f) {
                const long at = first * n + f;
                softmax_gradient(y.data() + at, dy.data() + at, dx.data() + at, positions, n, of_sizes);
            }
        return dx;
    }
    for (long r = 0; r < rows; ++r)
        map_row_gradient(p, x.data() + r * p.d_k, y.data() + r * n, dy.data() + r * n, dx.data() + r * p.d_k,
                         of_sizes);
    return dx;
}

// A number and the size of what it was made of, as (n, columns), dense.
template <class T>
struct sized_matrix {
    const T *values, *sizes;
    long columns;
    T operator()(long d, long e) const { return values[d * columns + e]; }
    T size(long d, long e) const { return sizes[d * columns + e]; }
};

}  // namespace detail

// dy of y's shape; final_gradient of the state's shape, or empty.
template <class T>
linear_gradients<T> solve_linear_gradients(const linear_problem& p, const std::vector<double>& dy_,
                                           const std::vector<double>& final_gradient = {}) {
    using detail::cast;
    using std::fabs;
    using numbers = std::vector<T>;
    const auto place_of = [](long i) { return static_cast<std::size_t>(i); };
    const numbers q = cast<T>(p.q), k = cast<T>(p.k), v = cast<T>(p.v), g = cast<T>(p.g), dy = cast<T>(dy_);
    const numbers beta = cast<T>(p.beta), initial = cast<T>(p.initial), last = cast<T>(final_gradient);
    const numbers fq = detail::map_rows<T>(p, q), fk = detail::map_rows<T>(p, k, p.keys);
    const long n = p.feature_count(), columns = p.columns(), width = p.decay_per_feature ? p.d_k : 1;
    const long group = p.kv_heads == 0 ? 0 : p.heads / p.kv_heads, size = n * columns;
    const T scale = p.normalised ? T(1) : static_cast<T>(p.used_scale());
    linear_gradients<T> a;
    numbers dfq(fq.size()), dfk(fk.size()), dfq_size(dfq), dfk_size(dfk);
    a.v.resize(v.size()), a.g.resize(g.size()), a.beta.resize(beta.size());
    a.v_size = a.v, a.g_size = a.g, a.beta_size = a.beta;

    for (long head = 0; head < p.batch * p.kv_heads; ++head) {
        detail::linear_walk<T> walk(p, initial.empty() ? nullptr : initial.data() + head * size);
        numbers states(walk.s), sizes(walk.size), decayed, written;  // S of 0, 1, ... steps; S~, u of each
        for (long t = 0; t < p.keys; ++t) {
            const long at = head * p.keys + t;
            walk.step(fk.data() + at * n, v.data() + at * p.d_v, g.empty() ? nullptr : g.data() + at * width,
                      beta.empty() ? nullptr : beta.data() + at);
            states.insert(states.end(), walk.s.begin(), walk.s.end());
            sizes.insert(sizes.end(), walk.size.begin(), walk.size.end());
            decayed.insert(decayed.end(), walk.decayed.begin(), walk.decayed.end());
            written.insert(written.end(), walk.u.begin(), walk.u.end());
        }
        numbers r(place_of(size)), r_size(r), later(place_of(width));
        for (long i = 0; i < size && !last.empty(); ++i) {
            r[place_of(i)] = last[place_of(head * size + i)], r_size[place_of(i)] = fabs(r[place_of(i)]);
            later[place_of(width > 1 ? i / columns : 0)] += r_size[place_of(i)] * walk.size[place_of(i)];
        }

        const auto read = [&](long query, long after) {
            const detail::sized_matrix<T> s{states.data() + after * size, sizes.data() + after * size,
                                            columns};
            for (long h = 0; h < group; ++h) {
                const long row = (head * group + h) * p.queries + query;
                const T *x = fq.data() + row * n, *out = dy.data() + row * p.d_v;
                T below = p.normalised ? T(1e-10) : T(1), below_size = 0, inner = 0, inner_size = 0;
                for (long f = 0; p.normalised && f < n; ++f) {
                    below += scale * x[f] * s(f, p.d_v);
                    below_size += fabs(scale * x[f]) * s.size(f, p.d_v);
                }
                const T loss = 1 + below_size / fabs(below);  // how a quotient's error grows
                for (long e = 0; e < columns; ++e) {
                    T d = 0, d_size = 0, y = 0, y_size = 0;
                    if (e < p.d_v) {
                        for (long f = 0; f < n; ++f) {
                            y += scale * x[f] * s(f, e);
                            y_size += fabs(scale * x[f]) * s.size(f, e);
                        }
                        inner += out[e] * y / below, inner_size += fabs(out[e] * y_size / below) * loss;
                        d = scale * out[e] / below, d_size = fabs(d) * loss;
                    } else {
                        d = -scale * inner / below, d_size = fabs(scale * inner_size / below) * loss;
                    }
                    for (long f = 0; f < n; ++f) {
                        dfq[place_of(row * n + f)] += s(f, e) * d;
                        dfq_size[place_of(row * n + f)] += s.size(f, e) * d_size;
                        r[place_of(f * columns + e)] += x[f] * d;
                        r_size[place_of(f * columns + e)] += fabs(x[f]) * d_size;
                    }
                }
                for (long f = 0; f < n; ++f)
                    later[place_of(width > 1 ? f : 0)] += fabs(x[f]) * dfq_size[place_of(row * n + f)];
            }
        };
        for (long t = 0; !p.causal && t < p.queries; ++t) read(t, p.keys);

        for (long t = p.keys - 1; t >= 0; --t) {
            if (p.causal) read(t, t + 1);
            const long at = head * p.keys + t;
            const T *x = fk.data() + at * n, *u = written.data() + t * columns;
            const detail::sized_matrix<T> before{decayed.data() + t * size, sizes.data() + (t + 1) * size,
                                                 columns};
            T *dx = dfk.data() + at * n, *dx_size = dfk_size.data() + at * n;
            for (long e = 0; e < columns; ++e) {
                T sum = 0, sum_size = 0, rest = e < p.d_v ? v[place_of(at * p.d_v + e)] : T(1),
                  rest_size = fabs(rest);
                for (long f = 0; f < n && !beta.empty(); ++f)
                    rest -= before(f, e) * x[f], rest_size += before.size(f, e) * fabs(x[f]);
                const T factor = beta.empty() ? T(1) : beta[place_of(at)];
                for (long f = 0; f < n; ++f) {
                    const std::size_t i = place_of(f * columns + e);
                    sum += r[i] * x[f], sum_size += r_size[i] * fabs(x[f]);
                    dx[f] += r[i] * u[e], dx_size[f] += r_size[i] * fabs(factor) * rest_size;
                }
                if (!beta.empty()) {
                    a.beta[place_of(at)] += sum * rest, a.beta_size[place_of(at)] += sum_size * rest_size;
                    sum *= factor, sum_size *= fabs(factor);
                    for (long f = 0; f < n; ++f) {
                        const std::size_t i = place_of(f * columns + e);
                        dx[f] -= before(f, e) * sum, dx_size[f] += before.size(f, e) * sum_size;
                        r[i] -= x[f] * sum,
                            r_size[i] = std::fmax(r_size[i], fabs(r[i]) + fabs(x[f]) * sum_size);
                    }
                }
                if (e < p.d_v)
                    a.v[place_of(at * p.d_v + e)] = sum, a.v_size[place_of(at * p.d_v + e)] = sum_size;
            }
            for (long f = 0; f < n && !g.empty(); ++f) {
                const long place = at * width + (width > 1 ? f : 0);
                later[place_of(width > 1 ? f : 0)] += fabs(x[f]) * dx_size[f];
                for (long e = 0; e < columns; ++e) {
                    a.g[place_of(place)] += r[place_of(f * columns + e)] * before(f, e);
                    r[place_of(f * columns + e)] *= std::exp(g[place_of(place)]);
                    r_size[place_of(f * columns + e)] *= std::exp(g[place_of(place)]);
                }
            }
            for (long f = 0; f < width && !g.empty(); ++f)
                a.g_size[place_of(at * width + f)] = later[place_of(f)];
        }
        if (!initial.empty()) {
            a.initial.insert(a.initial.end(), r.begin(), r.end());
            a.initial_size.insert(a.initial_size.end(), r_size.begin(), r_size.end());
        }
    }
    a.q = detail::map_rows_gradient<T>(p, q, fq, dfq, false);
    a.k = detail::map_rows_gradient<T>(p, k, fk, dfk, false, p.keys);
    a.q_size = detail::map_rows_gradient<T>(p, q, fq, dfq_size, true);
    a.k_size = detail::map_rows_gradient<T>(p, k, fk, dfk_size, true, p.keys);
    return a;
}

}  // namespace reference
