// SPDX-License-Identifier: MIT
// tests/support/linear_conformance.hpp: a LinearAttention operator case as a problem for the oracle
#pragma once

#include "conformance_problem.hpp"
#include "linear_reference.hpp"

namespace conformance {

struct linear_case {
    reference::linear_problem p;
    bool half = false;
};

// Inputs are (batch, position, heads * features): heads from the attributes, layout to the oracle's.
inline linear_case linear_attention(const test_case& c) {
    linear_case a;
    auto& p = a.p;
    const array &q = *c.input(0), &k = *c.input(1), &v = *c.input(2);
    a.half = q.dtype == "float16";
    p.batch = q.extents[0], p.queries = p.keys = q.extents[1];
    p.heads = static_cast<long>(c.number("q_num_heads", 1));
    p.kv_heads = static_cast<long>(c.number("kv_num_heads", 1));
    p.d_k = k.extents[2] / p.kv_heads, p.d_v = v.extents[2] / p.kv_heads;
    const auto split = [&](const array& x, long heads) {
        return detail::split_heads(x.values, p.batch, p.keys, heads, x.extents[2] / heads);
    };
    p.q = split(q, p.heads), p.k = split(k, p.kv_heads), p.v = split(v, p.kv_heads);
    if (c.input(3)) p.initial = c.input(3)->values;
    if (c.input(4)) {
        p.decay_per_feature = c.input(4)->extents[2] != p.kv_heads;
        p.g = split(*c.input(4), p.kv_heads);
    }
    if (c.input(5)) p.beta = split(*c.input(5), p.kv_heads);
    p.map = reference::features::identity, p.causal = true, p.normalised = false;
    const double scale = c.number("scale", 0);
    p.scale = scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(p.d_k));
    return a;
}

// (batch, heads, position, d_v) back to the operator's output.
inline std::vector<double> merge_heads(const std::vector<double>& x, const reference::linear_problem& p) {
    reference::problem shape;
    shape.batch = p.batch, shape.heads = p.heads, shape.queries = p.queries, shape.d_v = p.d_v;
    return merge_heads(x, shape);
}

}  // namespace conformance
