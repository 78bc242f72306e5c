// SPDX-License-Identifier: MIT
// tests/support/heads_reference.hpp: a multi-head layer around any attention, one number at a time
//
// Streams lie one behind the other in the rows that the input projection makes, and heads within a stream.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "cummax_reference.hpp"

namespace heads_reference {

using cummax_reference::shape;
using list = std::vector<double>;

// y = x w + b: w (inputs, outputs), b (outputs) or empty.
inline list project(const list& x, const list& w, const list& b, long inputs, long outputs) {
    const long rows = static_cast<long>(x.size()) / inputs;
    list y(static_cast<std::size_t>(rows * outputs));
    for (long r = 0; r < rows; ++r)
        for (long j = 0; j < outputs; ++j) {
            double sum = b.empty() ? 0 : b[static_cast<std::size_t>(j)];
            for (long i = 0; i < inputs; ++i)
                sum += x[static_cast<std::size_t>(r * inputs + i)] *
                       w[static_cast<std::size_t>(i * outputs + j)];
            y[static_cast<std::size_t>(r * outputs + j)] = sum;
        }
    return y;
}

// Element (b, h, t, f) of the heads that begin at column `first` of rows.
inline std::size_t in_rows(const shape& s, long width, long first, long b, long h, long t, long f) {
    return static_cast<std::size_t>((b * s.positions + t) * width + first + h * s.features + f);
}
inline list split(const list& rows, const shape& s, long width, long first) {
    list heads(s.size());
    for (long b = 0; b < s.batch; ++b)
        for (long h = 0; h < s.heads; ++h)
            for (long t = 0; t < s.positions; ++t)
                for (long f = 0; f < s.features; ++f)
                    heads[s.at(b, h, t, f)] = rows[in_rows(s, width, first, b, h, t, f)];
    return heads;
}
inline list join(const list& heads, const shape& s) {
    list rows(s.size());
    for (long b = 0; b < s.batch; ++b)
        for (long h = 0; h < s.heads; ++h)
            for (long t = 0; t < s.positions; ++t)
                for (long f = 0; f < s.features; ++f)
                    rows[in_rows(s, s.heads * s.features, 0, b, h, t, f)] = heads[s.at(b, h, t, f)];
    return rows;
}

struct weights {
    long width = 0;
    list in, in_bias, out, out_bias;  // out empty: no output projection
};

// attend(shape, streams) makes the outputs of the heads, all (batch, head, position, feature).
using attention = std::function<list(const shape&, const std::vector<list>&)>;

inline list solve(const list& x, const shape& s, const weights& w, long streams, const attention& attend) {
    const long joined = s.heads * s.features;
    const list rows = project(x, w.in, w.in_bias, w.width, streams * joined);
    std::vector<list> parts;
    for (long i = 0; i < streams; ++i) parts.push_back(split(rows, s, streams * joined, i * joined));
    const list y = join(attend(s, parts), s);
    return w.out.empty() ? y : project(y, w.out, w.out_bias, joined, w.width);
}

}  // namespace heads_reference
