// SPDX-License-Identifier: MIT
// heed/kernel/native/problem.hpp: what the kernels of native sparse attention are given
#pragma once

#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/native/choose.hpp>
#include <heed/sparse/native_blocks.hpp>

namespace heed::inline HEED_ABI::detail {

enum native_branch { compressed_branch, selected_branch, sliding_branch, native_branches };

template <class E>
struct native_problem {
    using T = typename exact_problem<E>::T;

    strided<const E> q;
    strided<const E> k;
    strided<const E> v;
    stored_or_sum<E, T> y;
    strided<const T> compressed_k;
    strided<const T> compressed_v;
    const void* gates = nullptr;  // (batch, head, query, branch), in q's element type or in T
    index gate_stride[4] = {0, 0, 0, 0};
    T (*read_gate)(const void* gates, index at) = nullptr;
    index batch = 0;
    index heads = 0;
    index kv_heads = 0;
    index queries = 0;
    index keys = 0;
    index features = 0;
    index value_features = 0;
    T scale = 1;
    native_blocks blocks;

    index group() const { return heads / kv_heads; }
    // Where a query stands among the keys; below zero it sees nothing.
    index position(index query) const { return query + keys - queries; }
    bool sees(native_branch branch, index query) const {
        return branch == compressed_branch ? blocks.compressed_of(position(query) + 1) > 0
                                           : position(query) >= 0;
    }
    T gate(index b, index h, index query, native_branch branch) const {
        return read_gate(gates, b * gate_stride[0] + h * gate_stride[1] + query * gate_stride[2] +
                                    static_cast<index>(branch) * gate_stride[3]);
    }
};

// Where gradients go.
template <class E>
struct native_gradient_problem {
    using T = typename native_problem<E>::T;
    stored_or_sum<const E, const T> dy;
    stored_or_sum<E, T> dq, dk, dv;
    strided<T> dcompressed_k, dcompressed_v;  // the caller's own; null: shared out over the keys
    void* dgates = nullptr;
    index dgate_stride[4] = {0, 0, 0, 0};
    void (*write_gate)(void* gates, index at, T x) = nullptr;
};

// What a block of queries has found: rows are head of the group * rows + query of the block.
template <class T>
struct native_found {
    index rows;
    T* output[native_branches];   // (row, value feature), before the gates
    T* maximum[native_branches];  // (row): the largest score
    T* sum[native_branches];      // (row): of the exponentials relative to it; 0 where nothing was seen
    chosen_blocks* chosen;        // (query)
};

}  // namespace heed::inline HEED_ABI::detail
