// SPDX-License-Identifier: MIT
// heed/kernel/exact.hpp: what the exact kernels are told, and what a target offers
//
// Masks and score functions reach a kernel as two function pointers, compiled for the target and called
// once for a block of scores. So the products are compiled once for an element type, whatever options a
// program uses, and a callable is still inlined into the loop over the block's scores.
#pragma once

#include <heed/core/element.hpp>
#include <heed/mask/concept.hpp>
#include <heed/math.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// A strided tensor as kernels see it: storage elements, no Eigen type.
template <class E>
struct strided {
    E* data = nullptr;
    index stride[4] = {0, 0, 0, 0};
    E* row(index b, index h, index p) const { return data + b * stride[0] + h * stride[1] + p * stride[2]; }
};

// Rows of scores in place: row r starts at scores + r * row_stride, its lanes are neighbours, and its
// coordinates are those of `first` moved by r along the axis that is not the lanes'.
using score_function_f = void (*)(const void* program, float* scores, index row_stride, lane_row first, index rows,
                                  index lanes);
using score_function_d = void (*)(const void* program, double* scores, index row_stride, lane_row first,
                                  index rows, index lanes);
template <class T>
using score_function = std::conditional_t<std::is_same_v<T, double>, score_function_d, score_function_f>;

template <class E>
struct exact_problem {
    using T = std::conditional_t<std::is_same_v<E, double>, double, float>;

    strided<const E> q;
    strided<const E> k;
    strided<const E> v;
    strided<E> y;
    index batch = 0;
    index heads = 0;
    index kv_heads = 0;
    index queries = 0;
    index keys = 0;
    index features = 0;        // of q and k
    index value_features = 0;  // of v and y
    T scale = 1;

    const void* program = nullptr;
    score_function<T> score = nullptr;         // without the mask; nullptr: scores stay as they are
    score_function<T> score_masked = nullptr;  // with it; hidden scores become -inf
    score_function<T> drop = nullptr;          // dropout, on the exponentials
    cover (*classify)(const void* program, const tile&) = nullptr;  // nullptr: every tile is full
    bool visit_all = false;                    // scores are written out, so no tile is skipped

    bool has_sinks = false;
    double (*sink)(const void* program, index head) = nullptr;
    strided<T> logsumexp;  // (batch, head, query)
    strided<T> weights;    // (batch, head, query, key)

    index kv_head(index head) const { return head / (heads / kv_heads); }
};

// Keys in one tile: tiles start at its multiples, so a row's sums do not depend on where others begin.
inline constexpr index key_tile = 128;

// What each target compiles for an element type.
template <class E>
struct exact_functions {
    index query_lanes;  // queries in one strip
    // Attention of queries [query_begin, query_end) of one head; memory as block_bytes says.
    void (*block)(const exact_problem<E>&, index b, index h, index query_begin, index query_end, void* memory);
    std::size_t (*block_bytes)(const exact_problem<E>&, index queries);
    // Few queries: one part of the keys for all query heads of a key/value head, as (max, sum, output).
    void (*decode_part)(const exact_problem<E>&, index b, index kv_head, index key_begin, index key_end,
                        typename exact_problem<E>::T* part, void* memory);
    // A finished state to the caller's output, log-sum-exp and weights.
    void (*decode_finish)(const exact_problem<E>&, index b, index kv_head, typename exact_problem<E>::T* state);
    std::size_t (*decode_bytes)(const exact_problem<E>&);
};

// ln(l e^m); empty is what has no sum.
template <class T>
HEED_INLINE T logsumexp_of(T most, T sum) {
    return sum == T(0) ? scalar::float_of(constants<T>::minus_infinity_bits) : most + scalar::log(sum);
}

// Query rows that share a key/value head, and the numbers of a decode state: for each row max, sum, output.
template <class E>
index decode_rows(const exact_problem<E>& p) {
    return p.heads / p.kv_heads * p.queries;
}
template <class E>
index decode_state_size(const exact_problem<E>& p) {
    return decode_rows(p) * (2 + p.value_features);
}

// Adds a part of the keys to a state, both of decode_state_size.
template <class E, class T = typename exact_problem<E>::T>
void merge_decode_states(const exact_problem<E>& p, T* state, const T* part) {
    const index n = decode_rows(p);
    for (index r = 0; r < n; ++r) {
        const T most = part[r] > state[r] ? part[r] : state[r];
        const T safe = scalar::bits_of(most) == constants<T>::minus_infinity_bits ? T(0) : most;
        const T keep = scalar::exp_of_negative(state[r] - safe);
        const T take = scalar::exp_of_negative(part[r] - safe);
        state[r] = most;
        state[n + r] = state[n + r] * keep + part[n + r] * take;
        T* const o = state + 2 * n + r * p.value_features;
        const T* const x = part + 2 * n + r * p.value_features;
        for (index f = 0; f < p.value_features; ++f) o[f] = o[f] * keep + x[f] * take;
    }
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
