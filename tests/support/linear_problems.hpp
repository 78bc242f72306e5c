// SPDX-License-Identifier: MIT
// tests/support/linear_problems.hpp: random problems of linear attention for the oracle
#pragma once

#include <algorithm>
#include <string>

#include "linear_reference.hpp"
#include "random.hpp"

namespace support {

using reference::features;
using reference::linear_problem;

// What to draw: the update rule and everything else that is not a number.
enum class rule { linear, gated, gated_features, delta, gated_delta, gated_features_delta };
inline constexpr rule all_rules[] = {rule::linear, rule::gated,       rule::gated_features,
                                     rule::delta,  rule::gated_delta, rule::gated_features_delta};
inline bool has_decay(rule r) { return r != rule::linear && r != rule::delta; }
inline bool has_delta(rule r) { return r >= rule::delta; }
inline bool per_feature(rule r) { return r == rule::gated_features || r == rule::gated_features_delta; }

struct linear_shape {
    long batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, d_k = 1, d_v = 1;
};

// The library's defaults for the rule, and numbers that are exact in T. Decays are those of trained models
// (a few hundredths to a few units a step); keys of the delta rules have length 1 or less, without which
// the rule itself blows up.
template <class T>
linear_problem linear(random& r, const linear_shape& s, rule kind) {
    linear_problem p;
    p.batch = s.batch, p.heads = s.heads, p.kv_heads = s.kv_heads;
    p.queries = s.queries, p.keys = s.keys, p.d_k = s.d_k, p.d_v = s.d_v;
    p.causal = kind != rule::linear;
    p.normalised = kind == rule::linear;
    p.map = kind == rule::linear ? features::elu1 : features::identity;
    p.decay_per_feature = per_feature(kind);
    const auto exact = [](double x) { return static_cast<double>(static_cast<T>(static_cast<float>(x))); };
    p.q = normals<T>(r, p.q_size()), p.k = normals<T>(r, p.k_size()), p.v = normals<T>(r, p.v_size());
    if (has_delta(kind))
        for (std::size_t row = 0; row < p.k.size(); row += static_cast<std::size_t>(p.d_k)) {
            double length = 0;
            for (long f = 0; f < p.d_k; ++f) length += p.k[row + std::size_t(f)] * p.k[row + std::size_t(f)];
            length = std::sqrt(length) * 1.01 + 1e-6;
            for (long f = 0; f < p.d_k; ++f)
                p.k[row + std::size_t(f)] = exact(p.k[row + std::size_t(f)] / length);
        }
    if (has_decay(kind)) {
        p.g.resize(p.g_size());
        for (double& x : p.g) x = exact(-std::exp(r.uniform(-5, 1)));
    }
    if (has_delta(kind)) {
        p.beta.resize(p.beta_size());
        for (double& x : p.beta) x = exact(r.uniform());
    }
    return p;
}

// A state such as a run before would have left: sums of products of keys and values, not any numbers.
template <class T>
void give_initial_state(random& r, linear_problem& p, long positions = 8) {
    linear_problem before = p;
    before.causal = true, before.initial.clear();
    before.queries = before.keys = positions;
    const auto draw = [&](std::vector<double>& x, std::size_t size, double low) {
        x.resize(size);
        for (double& value : x) value = r.uniform(low, 1);
    };
    before.heads = before.kv_heads;
    draw(before.q, before.q_size(), -1), draw(before.k, before.k_size(), -1),
        draw(before.v, before.v_size(), -1);
    if (!p.g.empty()) {
        draw(before.g, before.g_size(), 0);
        for (double& x : before.g) x = -x;
    }
    if (!p.beta.empty()) {
        draw(before.beta, before.beta_size(), 0);
        for (double& x : before.k) x /= std::sqrt(static_cast<double>(p.d_k));
    }
    p.initial = reference::solve_linear<double>(before).state;
    for (double& x : p.initial) x = static_cast<double>(static_cast<T>(x));
}

// Lengths around the chunk (64) and its multiples more often than chance has them.
inline long linear_length(random& r, long longest = 300) {
    constexpr long edges[] = {1, 2, 15, 16, 17, 63, 64, 65, 66, 127, 128, 129, 130, 192, 193, 200, 256, 300};
    if (r.chance(0.5)) return std::min(longest, edges[r.between(0, 17)]);
    return r.skewed(1, std::min(longest, 130L));
}

inline linear_shape random_linear_shape(random& r, bool causal, long longest = 300) {
    linear_shape s;
    s.batch = r.skewed(1, 3), s.kv_heads = r.skewed(1, 3), s.heads = s.kv_heads * r.skewed(1, 4);
    s.keys = linear_length(r, longest);
    s.queries = causal ? s.keys : linear_length(r, longest);
    s.d_k = r.skewed(1, s.keys > 100 ? 40 : 80), s.d_v = r.chance(0.4) ? s.d_k : r.skewed(1, 60);
    return s;
}

inline std::string describe(const linear_problem& p) {
    const auto n = [](long x) { return std::to_string(x); };
    std::string text = "B:" + n(p.batch) + " H:" + n(p.heads) + "/" + n(p.kv_heads) + " S:" + n(p.queries) +
                       "/" + n(p.keys) + " D:" + n(p.d_k) + "/" + n(p.d_v) + " map " +
                       n(static_cast<long>(p.map));
    if (p.causal) text += " causal";
    if (p.normalised) text += " normalised";
    if (!p.g.empty()) text += p.decay_per_feature ? " decay per feature" : " decay";
    if (!p.beta.empty()) text += " delta";
    if (!p.initial.empty()) text += " initial state";
    return text;
}

}  // namespace support
