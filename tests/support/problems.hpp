// SPDX-License-Identifier: MIT
// tests/support/problems.hpp: random attention problems for the oracle
#pragma once

#include "random.hpp"
#include "reference.hpp"

namespace support {

// Fills q, k and v with normal numbers that are exact in T.
template <class T>
void fill(reference::problem& p, random& r, double deviation = 1) {
    p.q = normals<T>(r, p.q_size(), deviation);
    p.k = normals<T>(r, p.k_size(), deviation);
    p.v = normals<T>(r, p.v_size(), deviation);
}

template <class T>
reference::problem problem(random& r, long batch, long heads, long kv_heads, long queries, long keys,
                           long d_k, long d_v) {
    reference::problem p;
    p.batch = batch, p.heads = heads, p.kv_heads = kv_heads;
    p.queries = queries, p.keys = keys, p.d_k = d_k, p.d_v = d_v;
    fill<T>(p, r);
    return p;
}

// One long axis at most, so that every size up to `longest` meets every axis at little cost.
template <class T>
reference::problem random_problem(random& r, long longest = 130) {
    reference::problem p;
    const long axis = r.between(0, 4);
    p.queries = axis == 0 ? r.between(1, longest) : r.skewed(1, 24);
    p.keys = axis == 1 ? r.between(1, longest) : r.skewed(1, 40);
    p.d_k = axis == 2 ? r.between(1, longest) : r.skewed(1, 32);
    p.d_v = axis == 3 ? r.between(1, longest) : r.chance(0.5) ? p.d_k : r.skewed(1, 32);
    if (axis == 4) p.queries = p.keys = r.skewed(1, longest);
    p.batch = r.skewed(1, 3);
    p.kv_heads = r.skewed(1, 3);
    p.heads = p.kv_heads * r.skewed(1, 4);
    fill<T>(p, r);
    return p;
}

// Long enough that every kernel meets several of its tiles, with a ragged last one.
template <class T>
reference::problem tiled_problem(random& r) {
    const long kv_heads = r.between(1, 2), d = r.between(3, 20);
    return problem<T>(r, 1, kv_heads * r.between(1, 2), kv_heads, r.between(60, 420), r.between(200, 900), d,
                      d + r.between(0, 3));
}

// f(problem, r) for `count` random problems, every eighth of them tiled.
template <class T, class F>
void for_problems(std::uint64_t seed, int count, const F& f) {
    random r(seed);
    for (int i = 0; i < count; ++i) {
        auto p = i % 8 == 7 ? tiled_problem<T>(r) : random_problem<T>(r);
        f(p, r);
    }
}

}  // namespace support
