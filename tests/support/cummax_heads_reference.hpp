// SPDX-License-Identifier: MIT
// tests/support/cummax_heads_reference.hpp: a multi-head layer around any attention, one number at a time
//
// Streams lie one behind the other in the rows that the input projection makes, and heads within a stream.
#pragma once

#include "cummax_reference.hpp"
#include "multi_head_reference.hpp"

namespace heads_reference {

using cummax_reference::shape;
using list = reference::numbers;

struct weights {
    long width = 0;
    list in, in_bias, out, out_bias;  // out empty: no output projection
};

// attend(shape, streams) makes the outputs of the heads, all (batch, head, position, feature).
using attention = std::function<list(const shape&, const std::vector<list>&)>;

inline list solve(const list& x, const shape& s, const weights& w, long streams, const attention& attend) {
    const long width = s.heads * s.features;
    const list rows = reference::linear(x, w.in, w.in_bias, w.width, streams * width);
    std::vector<list> parts;
    for (long i = 0; i < streams; ++i)
        parts.push_back(
            reference::heads_of(rows, s.batch, s.positions, streams * width, i * width, s.heads, s.features));
    const list y = reference::joined_heads(attend(s, parts), s.batch, s.heads, s.positions, s.features);
    return w.out.empty() ? y : reference::linear(y, w.out, w.out_bias, width, w.width);
}

}  // namespace heads_reference
