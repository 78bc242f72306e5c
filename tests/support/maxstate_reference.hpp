// SPDX-License-Identifier: MIT
// tests/support/maxstate_reference.hpp: the published models' forms of cummax, one number at a time
#pragma once

#include "cummax_reference.hpp"

namespace maxstate_reference {

using cummax_reference::shape;
using list = std::vector<double>;

// e = running maximum of x over positions, starting at the state.
inline list maxima(const shape& s, const list& x, const list& state) {
    cummax_reference::problem<double> p;
    p.s = s, p.o = x, p.state = state, p.across = false;
    return cummax_reference::maxima_of(p).e;
}

inline list maxstate(const shape& s, const list& o, const list& a1, const list& a2, const list& state) {
    list u(s.size()), y(s.size());
    for (std::size_t i = 0; i < u.size(); ++i) u[i] = (o[i] + a1[i]) / std::sqrt(double(s.features));
    const list e = maxima(s, u, state);
    for (std::size_t i = 0; i < u.size(); ++i) y[i] = (e[i] + a2[i]) * e[i] + a1[i];
    return y;
}

// u: a, b, c, d. mix: (heads, 5 heads), or empty.
inline list super(const shape& s, const list (&u)[4], const list& k, const list& mix, const list& state) {
    const list e = maxima(s, u[2], state);
    list y(s.size());
    const list* const in[] = {&u[0], &u[1], &u[2], &u[3], &e};
    for (long b = 0; b < s.batch; ++b)
        for (long h = 0; h < s.heads; ++h)
            for (long t = 0; t < s.positions; ++t)
                for (long f = 0; f < s.features; ++f) {
                    const std::size_t i = s.at(b, h, t, f);
                    y[i] = u[0][i] * u[1][i] + k[0] * u[1][i] + k[1] * u[3][i] +
                           u[0][i] * (k[2] * e[i] + u[3][i]) + u[1][i] * (u[2][i] + e[i]) + u[2][i] * e[i];
                    for (long j = 0; j < 5 && !mix.empty(); ++j)
                        for (long g = 0; g < s.heads; ++g)
                            y[i] += mix[static_cast<std::size_t>(h * 5 * s.heads + j * s.heads + g)] *
                                    in[j][0][s.at(b, g, t, f)] * e[i];
                }
    return y;
}

}  // namespace maxstate_reference
