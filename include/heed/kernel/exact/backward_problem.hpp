// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_problem.hpp: what the backward of exact attention is given beside the problem,
// and the leaves that a target compiles for it
#pragma once

#include <heed/core/tensor.hpp>
#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/matrix_product.hpp>

namespace heed::inline HEED_ABI::detail {

// A tile is this many queries, in rows, by a panel of keys, in lanes; a task takes a few panels together.
// The same for every target, and tiles start at multiples: sums do not depend on where others begin.
inline constexpr index gradient_queries = 64;
inline constexpr index panel_keys = most_lanes;
inline constexpr index gradient_panels = 2;
inline constexpr index gradient_keys = gradient_panels * panel_keys;
// Rows that a product takes together, from the first of a tile on.
inline constexpr int gradient_row_group = 4;
// Terms that are summed from zero before they are added to what was there.
inline constexpr index gradient_run = 128;
// Blocks of keys, and of queries, whose sums are a group, as in the forward.
inline constexpr index group_links = group_keys / gradient_keys;
inline constexpr index group_blocks = group_keys / gradient_queries;

// How a score changes with the product it came from: ds *= d score / d raw, for a block in rows of lanes.
template <class T>
using derivative_function = void (*)(const void* context, const T* raw, index raw_row, T* ds, index ds_row,
                                     const lane_block& block, index lanes);

template <class T>
struct row_numbers;
// Scores to f(P), which meets the values, and dO V^T to dS, through f: in rows of lanes.
template <class T>
using probability_function = void (*)(const void* program, T* s, index s_row, T* dp, index dp_row,
                                      const lane_block& block, index lanes, const row_numbers<T>& numbers,
                                      bool may_hide);

// Three numbers of every row, (batch, head, query):
//     P = e^(S - shift) factor        dS = P (dP - delta)
// A row that sees nothing has the shift +inf, with which every weight is 0.
template <class T>
struct row_numbers {
    T* shift;
    T* factor;
    T* delta;

    row_numbers from(index row) const { return {shift + row, factor + row, delta + row}; }
};

template <class E>
struct exact_gradients {
    using T = typename exact_problem<E>::T;

    stored_or_sum<const E, const T> dy;
    stored_or_sum<const E, const T> y;
    strided<const T> lse;           // (batch, head, query)
    strided<const T> of_logsumexp;  // likewise: the gradient that reaches it; without memory there is none
    stored_or_sum<E, T> q;
    stored_or_sum<E, T> k;
    stored_or_sum<E, T> v;
    table<T> bias;    // written where there is memory: strides 0 along the axes that are summed
    strided<T> sink;  // (., ., ., head)
    strided<T> slope;
    const void* derivative_context = nullptr;
    derivative_function<T> derivative = nullptr;  // nullptr: 1
    probability_function<T> probability = nullptr;
};

template <class E>
struct gradient_leaves {
    using T = typename exact_problem<E>::T;

    int pack_lanes;
    // As in exact_leaves.
    void (*widen)(const E* from, index row_stride, index stride, index rows, index n, T* to, index to_stride);
    void (*narrow)(const T* from, index n, E* to, index stride);
    bool (*all_finite)(const T* rows, index row_stride, index count, index features);
    void (*transpose)(const T* from, index from_stride, T* to, index to_stride, const T* factor);

    // c = a b or c += a b.
    void (*multiply)(const matrix_product<T>&);
    // The same where a hidden term may be infinite or NaN: the terms whose scores, (term, lane) or (row,
    // term), are -inf are left out rather than multiplied by zero.
    void (*multiply_seen_lanes)(const matrix_product<T>&, const T* scores, index score_row);
    void (*multiply_seen_terms)(const matrix_product<T>&, const T* scores, index score_row);
    // Scores to p and dp to ds, in place.
    void (*softmax)(T* s, index s_row, T* dp, index dp_row, index rows, int packs,
                    const row_numbers<T>& numbers, bool may_hide);
    // out[r] = <a_r, b_r>, where zeros of b count nothing; rows of whole packs.
    void (*dots)(const T* a, const T* b, index row, index rows, T* out);
    // x = x factor, whole packs, and never -0.
    void (*scale)(T* x, index n, T factor);
    // As in exact_leaves.
    void (*carry)(T* upper, T* lower, index rows, index row_stride, index n, const T* keep);
};

}  // namespace heed::inline HEED_ABI::detail
