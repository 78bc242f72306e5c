// SPDX-License-Identifier: MIT
// tests/support/conformance_problem.hpp: an operator case as a problem for the oracle
//
// Puts the past in front of keys and values, splits rank-3 inputs into heads, pads a mask whose
// last axis is short with "hidden", and works out the position rule.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "conformance.hpp"
#include "reference.hpp"

namespace conformance {

struct attention_case {
    reference::problem p;
    bool rank3 = false, half = false, causal = false;
    bool has_bias = false, has_mask = false;
    long left = -1, right = -1;          // -1: unbounded
    std::vector<long> offsets, lengths;  // per batch
    std::vector<double> dense;           // bias or mask as (batch, heads, queries, keys)
    int stage = 0;
    std::vector<double> present_k, present_v;
};

namespace detail {

// (batch, position, heads * features) to (batch, heads, position, features)
inline std::vector<double> split_heads(const std::vector<double>& x, long batch, long positions, long heads,
                                       long features) {
    std::vector<double> y(x.size());
    for (long b = 0; b < batch; ++b)
        for (long i = 0; i < positions; ++i)
            for (long h = 0; h < heads; ++h)
                for (long f = 0; f < features; ++f)
                    y[static_cast<std::size_t>(((b * heads + h) * positions + i) * features + f)] =
                        x[static_cast<std::size_t>((b * positions + i) * heads * features + h * features +
                                                   f)];
    return y;
}

// Joins two (rows, positions, features) blocks along the positions.
inline std::vector<double> join(const std::vector<double>& a, const std::vector<double>& b, long rows) {
    std::vector<double> y;
    const long na = static_cast<long>(a.size()) / rows, nb = static_cast<long>(b.size()) / rows;
    for (long r = 0; r < rows; ++r) {
        y.insert(y.end(), a.begin() + r * na, a.begin() + (r + 1) * na);
        y.insert(y.end(), b.begin() + r * nb, b.begin() + (r + 1) * nb);
    }
    return y;
}

// Broadcasts right-aligned to (batch, heads, queries, keys); missing keys get `hidden`.
inline std::vector<double> broadcast(const array& a, const reference::problem& p, double hidden) {
    std::vector<long> extent(4, 1);
    std::copy(a.extents.rbegin(), a.extents.rend(), extent.rbegin());
    std::vector<double> y(p.pairs(), hidden);
    std::size_t out = 0;
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i)
                for (long j = 0; j < p.keys; ++j, ++out) {
                    if (extent[3] != 1 && j >= extent[3]) continue;
                    const long at =
                        ((std::min(b, extent[0] - 1) * extent[1] + std::min(h, extent[1] - 1)) * extent[2] +
                         std::min(i, extent[2] - 1)) *
                            extent[3] +
                        std::min(j, extent[3] - 1);
                    y[out] = a.values[static_cast<std::size_t>(at)];
                }
    return y;
}

}  // namespace detail

inline attention_case attention(const test_case& c) {
    attention_case a;
    reference::problem& p = a.p;
    const array &q = *c.input(0), &k = *c.input(1), &v = *c.input(2);
    a.rank3 = q.extents.size() == 3;
    a.half = q.dtype == "float16";
    p.batch = q.extents[0];
    long added = 0;
    if (a.rank3) {
        p.heads = static_cast<long>(c.number("q_num_heads", 0));
        p.kv_heads = static_cast<long>(c.number("kv_num_heads", 0));
        p.queries = q.extents[1], added = k.extents[1];
        p.d_k = q.extents[2] / p.heads, p.d_v = v.extents[2] / p.kv_heads;
        p.q = detail::split_heads(q.values, p.batch, p.queries, p.heads, p.d_k);
        p.k = detail::split_heads(k.values, p.batch, added, p.kv_heads, p.d_k);
        p.v = detail::split_heads(v.values, p.batch, added, p.kv_heads, p.d_v);
    } else {
        p.heads = q.extents[1], p.kv_heads = k.extents[1];
        p.queries = q.extents[2], added = k.extents[2];
        p.d_k = q.extents[3], p.d_v = v.extents[3];
        p.q = q.values, p.k = k.values, p.v = v.values;
    }
    long past = 0;
    if (c.input(4)) {
        past = c.input(4)->extents[2];
        p.k = detail::join(c.input(4)->values, p.k, p.batch * p.kv_heads);
        p.v = detail::join(c.input(5)->values, p.v, p.batch * p.kv_heads);
    }
    a.present_k = p.k, a.present_v = p.v;
    p.keys = past + added;
    if (c.attributes.count("scale")) p.scale = c.number("scale", 1);
    p.softcap = c.number("softcap", 0);
    a.stage = static_cast<int>(c.number("qk_matmul_output_mode", 0));
    a.causal = c.number("is_causal", 0) != 0;
    a.left = static_cast<long>(c.number("left_window_size", -1));
    a.right = static_cast<long>(c.number("right_window_size", -1));
    if (a.causal) a.right = 0;  // the tighter of the two rules; right is never negative otherwise
    for (long b = 0; b < p.batch; ++b) {
        const array* n = c.input(6);
        a.lengths.push_back(n ? static_cast<long>(n->values[static_cast<std::size_t>(b)]) : p.keys);
        a.offsets.push_back(n ? a.lengths.back() - p.queries : past);
    }
    if (const array* m = c.input(3)) {
        a.has_mask = m->dtype == "bool", a.has_bias = !a.has_mask;
        a.dense = detail::broadcast(*m, p, a.has_mask ? 0 : -HUGE_VAL);
    }
    const auto dense = a.dense;
    const auto index = [queries = p.queries, keys = p.keys, heads = p.heads](reference::place i) {
        return static_cast<std::size_t>(((i.batch * heads + i.head) * queries + i.query) * keys + i.key);
    };
    if (a.has_bias) p.bias = [dense, index](reference::place i) { return dense[index(i)]; };
    p.visible = [a_left = a.left, a_right = a.right, offsets = a.offsets, lengths = a.lengths,
                 masked = a.has_mask, dense, index](reference::place i) {
        const long at = offsets[static_cast<std::size_t>(i.batch)] + i.query;
        return i.key < lengths[static_cast<std::size_t>(i.batch)] && (a_left < 0 || i.key >= at - a_left) &&
               (a_right < 0 || i.key <= at + a_right) && (!masked || dense[index(i)] != 0);
    };
    return a;
}

// (batch, heads, position, features) back to (batch, position, heads * features)
inline std::vector<double> merge_heads(const std::vector<double>& x, const reference::problem& p) {
    std::vector<double> y(x.size());
    std::size_t in = 0;
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i)
                for (long f = 0; f < p.d_v; ++f)
                    y[static_cast<std::size_t>(((b * p.queries + i) * p.heads + h) * p.d_v + f)] = x[in++];
    return y;
}

}  // namespace conformance
