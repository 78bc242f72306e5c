// SPDX-License-Identifier: MIT
// tests/support/cummax_reference.hpp: cummax attention and its gradients, one number at a time
//
// The oracle of the cummax tests: no heed header, no vector, no chunk. `Float` is double for the truth; with
// float it is the same arithmetic, rounding by rounding, that heed promises on every target.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace cummax_reference {

// Rounded to memory, so that no compiler contracts a product and a sum.
template <class Float>
Float rounded(Float x) {
    volatile Float kept = x;
    return kept;
}

// torch's rule: the later of equal ones, and NaN for good.
template <class Float>
bool takes(Float later, Float most) {
    return std::isnan(later) || (!std::isnan(most) && later >= most);
}

struct shape {
    long batch = 1, heads = 1, positions = 1, features = 1;
    std::size_t size() const { return static_cast<std::size_t>(batch * heads * positions * features); }
    std::size_t at(long b, long h, long t, long f) const {
        return static_cast<std::size_t>(((b * heads + h) * positions + t) * features + f);
    }
    std::size_t state(long b, long h, long f) const {
        return static_cast<std::size_t>((b * heads + h) * features + f);
    }
    std::size_t states() const { return static_cast<std::size_t>(batch * heads * features); }
};

template <class Float>
using numbers = std::vector<Float>;

template <class Float>
struct problem {
    shape s;
    numbers<Float> o, a1, a2;
    numbers<Float> state;  // empty: nothing was seen
    bool across = true;
    bool hybrid = false;
    std::vector<double> alpha;  // one for each head
};

template <class Float>
struct maxima {
    numbers<Float> e, p;
    std::vector<long> e_from, p_from;  // position (-1: the state), head
    numbers<Float> w;                  // softmax over heads, where hybrid
    numbers<Float> state;
};

template <class Float>
maxima<Float> maxima_of(const problem<Float>& x) {
    const shape& s = x.s;
    maxima<Float> m;
    m.e = m.p = numbers<Float>(s.size());
    m.e_from = m.p_from = std::vector<long>(s.size());
    m.state = numbers<Float>(s.states());
    for (long b = 0; b < s.batch; ++b)
        for (long h = 0; h < s.heads; ++h)
            for (long f = 0; f < s.features; ++f) {
                Float most =
                    x.state.empty() ? -std::numeric_limits<Float>::infinity() : x.state[s.state(b, h, f)];
                long from = -1;
                for (long t = 0; t < s.positions; ++t) {
                    if (takes(x.o[s.at(b, h, t, f)], most)) most = x.o[s.at(b, h, t, f)], from = t;
                    m.e[s.at(b, h, t, f)] = most;
                    m.e_from[s.at(b, h, t, f)] = from;
                }
                m.state[s.state(b, h, f)] = most;
            }
    for (long b = 0; b < s.batch; ++b)
        for (long t = 0; t < s.positions; ++t)
            for (long f = 0; f < s.features; ++f)
                for (long h = 0; h < s.heads; ++h) {
                    const std::size_t i = s.at(b, h, t, f);
                    m.p[i] = m.e[i], m.p_from[i] = h;
                    if (!x.across || h == 0) continue;
                    const std::size_t above = s.at(b, h - 1, t, f);
                    if (!takes(m.e[i], m.p[above])) m.p[i] = m.p[above], m.p_from[i] = m.p_from[above];
                }
    if (!x.hybrid) return m;
    m.w = numbers<Float>(s.size());
    for (long b = 0; b < s.batch; ++b)
        for (long t = 0; t < s.positions; ++t)
            for (long f = 0; f < s.features; ++f) {
                const Float most = m.p[s.at(b, s.heads - 1, t, f)];
                Float sum = 0;
                if (most == -std::numeric_limits<Float>::infinity()) continue;
                for (long h = 0; h < s.heads; ++h) sum += std::exp(m.e[s.at(b, h, t, f)] - most);
                for (long h = 0; h < s.heads; ++h)
                    m.w[s.at(b, h, t, f)] = std::exp(m.e[s.at(b, h, t, f)] - most) / sum;
            }
    return m;
}

template <class Float>
Float blended(const problem<Float>& x, const maxima<Float>& m, std::size_t i, long h) {
    if (!x.hybrid) return m.p[i];
    const Float a = static_cast<Float>(x.alpha[static_cast<std::size_t>(h)]);
    return a * m.p[i] + (1 - a) * m.w[i];
}

template <class Float>
numbers<Float> forward(const problem<Float>& x) {
    const maxima<Float> m = maxima_of(x);
    numbers<Float> y(x.s.size());
    for (long b = 0; b < x.s.batch; ++b)
        for (long h = 0; h < x.s.heads; ++h)
            for (long t = 0; t < x.s.positions; ++t)
                for (long f = 0; f < x.s.features; ++f) {
                    const std::size_t i = x.s.at(b, h, t, f);
                    const Float p = blended(x, m, i, h);
                    y[i] = rounded(rounded(rounded(p + x.a1[i]) * x.a2[i]) + x.a1[i]);
                }
    return y;
}

struct gradients {
    numbers<double> o, a1, a2, state, alpha;
};

// In double: every gradient goes straight to the element that the indices name.
inline gradients backward(const problem<double>& x, const numbers<double>& g,
                          const numbers<double>& last = {}) {
    const shape& s = x.s;
    const maxima<double> m = maxima_of(x);
    gradients d;
    d.o = d.a1 = d.a2 = numbers<double>(s.size());
    d.state = numbers<double>(s.states());
    d.alpha = numbers<double>(static_cast<std::size_t>(s.heads));
    numbers<double> de(s.size());
    for (long b = 0; b < s.batch; ++b)
        for (long t = 0; t < s.positions; ++t)
            for (long f = 0; f < s.features; ++f) {
                double dot = 0;
                for (long h = 0; h < s.heads; ++h) {
                    const std::size_t i = s.at(b, h, t, f);
                    d.a1[i] = g[i] * (x.a2[i] + 1);
                    d.a2[i] = g[i] * (blended(x, m, i, h) + x.a1[i]);
                    const double dp = g[i] * x.a2[i];
                    const double a = x.hybrid ? x.alpha[static_cast<std::size_t>(h)] : 1;
                    de[s.at(b, m.p_from[i], t, f)] += a * dp;
                    if (!x.hybrid) continue;
                    d.alpha[static_cast<std::size_t>(h)] += dp * (m.p[i] - m.w[i]);
                    dot += (1 - a) * dp * m.w[i];
                }
                for (long h = 0; h < s.heads && x.hybrid; ++h) {
                    const std::size_t i = s.at(b, h, t, f);
                    const double a = x.alpha[static_cast<std::size_t>(h)];
                    de[i] += m.w[i] * ((1 - a) * g[i] * x.a2[i] - dot);
                }
            }
    const auto send = [&](long b, long h, long f, long from, double value) {
        if (from < 0)
            d.state[s.state(b, h, f)] += value;
        else
            d.o[s.at(b, h, from, f)] += value;
    };
    for (long b = 0; b < s.batch; ++b)
        for (long h = 0; h < s.heads; ++h)
            for (long f = 0; f < s.features; ++f) {
                for (long t = 0; t < s.positions; ++t)
                    send(b, h, f, m.e_from[s.at(b, h, t, f)], de[s.at(b, h, t, f)]);
                if (!last.empty())
                    send(b, h, f, s.positions == 0 ? -1 : m.e_from[s.at(b, h, s.positions - 1, f)],
                         last[s.state(b, h, f)]);
            }
    return d;
}

}  // namespace cummax_reference
