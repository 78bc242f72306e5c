// SPDX-License-Identifier: MIT
// heed/kernel/native/run.hpp: native sparse attention cut into tasks, in which memory
//
// Compressed keys are made first unless the caller carries them, some blocks of one head at a time. Then
// every task is a block of queries of one group of heads. Blocks depend on the number of queries alone, so
// the bits of a row depend on neither threads nor batch.
#pragma once

#include <heed/kernel/native/block.hpp>
#include <heed/kernel/native/pool.hpp>

namespace heed::inline HEED_ABI::detail {

// Means of one task.
inline constexpr index pooled_together = 64;

// Means of blocks of x (batch, head, key, feature) to (batch, head, block, feature).
template <class E, class T>
void pool_keys(const strided<const E>& x, index batch, index heads, index keys, index features,
               const native_blocks& blocks, T* to, device_ref device, workspace& memory) {
    const exact_leaves<E>& leaf = leaves_on_target<E>();
    const index count = blocks.compressed_of(keys);
    const index parts = (count + pooled_together - 1) / pooled_together;
    const index chunks = blocks.chunks();
    const index stride = blocks.compress_stride;
    const index tasks = batch * heads * parts;
    if (tasks == 0) return;
    index lanes = device.lanes();
    lanes = lanes < tasks ? lanes : tasks;
    const std::size_t each =
        cache_lines(static_cast<std::size_t>((pooled_together + chunks) * features) * sizeof(T));
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        T* const sums = reinterpret_cast<T*>(base + each * static_cast<std::size_t>(lane));
        T* const row = sums + (pooled_together + chunks - 1) * features;
        const index head = task / parts;
        const index first = task % parts * pooled_together;
        const index end = first + pooled_together < count ? first + pooled_together : count;
        for (index key = first * stride; key < (end - 1 + chunks) * stride; ++key) {
            leaf.widen(x.row(head / heads, head % heads, key), 0, x.stride[3], 1, features, row, 0);
            add_to_chunk(sums + (key / stride - first) * features, row, features, key % stride == 0);
        }
        for (index i = first; i < end; ++i)
            mean_of_chunks(to + (head * count + i) * features, sums + (i - first) * features, chunks,
                           blocks.compress_block, features);
    });
}

// The compressed keys and values of a call into memory of its own.
template <class E>
void make_compressed(native_problem<E>& p, device_ref device, workspace& memory) {
    using T = typename native_problem<E>::T;
    const index count = p.blocks.compressed_of(p.keys);
    const index rows = p.batch * p.kv_heads * count;
    T *k, *v;
    const auto take = [&](arena& pieces) {
        pieces.take(k, rows * p.features);
        pieces.take(v, rows * p.value_features);
    };
    arena counted;
    take(counted);
    arena pieces(memory.reserve(counted.bytes(), workspace::part::selection));
    take(pieces);
    pool_keys(p.k, p.batch, p.kv_heads, p.keys, p.features, p.blocks, k, device, memory);
    pool_keys(p.v, p.batch, p.kv_heads, p.keys, p.value_features, p.blocks, v, device, memory);
    const auto dense = [&](const T* data, index features) {
        return strided<const T>{data, {p.kv_heads * count * features, count * features, features, 1}};
    };
    p.compressed_k = dense(k, p.features);
    p.compressed_v = dense(v, p.value_features);
}

// Outputs of a block times their gates to the caller's y. A branch that sees nothing is left out. `row` has
// room for the value features.
template <class E, class T>
void write_gated(const native_problem<E>& p, index b, index kv_head, index begin, index end,
                 const native_found<T>& x, T* row) {
    const exact_leaves<E>& leaf = leaves_on_target<E>();
    const index n = p.value_features;
    for (index h = 0; h < p.group(); ++h)
        for (index query = begin; query < end; ++query) {
            const index head = kv_head * p.group() + h;
            const index from = (h * x.rows + query - begin) * n;
            for (index f = 0; f < n; ++f) row[f] = 0;
            for (const native_branch c : {compressed_branch, selected_branch, sliding_branch}) {
                if (!p.sees(c, query)) continue;
                const T gate = p.gate(b, head, query, c);
                for (index f = 0; f < n; ++f) row[f] += gate * x.output[c][from + f];
            }
            write_row(leaf, row, n, p.y, b, head, query);
        }
}

template <class E>
void run_native(const native_problem<E>& p, device_ref device, workspace& memory) {
    using T = typename native_problem<E>::T;
    if (p.batch == 0 || p.heads == 0 || p.queries == 0) return;
    const native_block<E> kernel(p, p.queries);
    const index blocks = (p.queries + kernel.queries() - 1) / kernel.queries();
    const index tasks = p.batch * p.kv_heads * blocks;
    index lanes = device.lanes();
    lanes = lanes < tasks ? lanes : tasks;
    const std::size_t scratch = cache_lines(kernel.bytes());
    const std::size_t each = scratch + cache_lines(static_cast<std::size_t>(p.value_features) * sizeof(T));
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        char* const mine = base + each * static_cast<std::size_t>(lane);
        // The last queries, which have most keys, first.
        const index begin = (blocks - 1 - task % blocks) * kernel.queries();
        const index end = begin + kernel.queries() < p.queries ? begin + kernel.queries() : p.queries;
        const index head = task / blocks;
        const auto found = kernel.run(head / p.kv_heads, head % p.kv_heads, begin, end, mine);
        write_gated(p, head / p.kv_heads, head % p.kv_heads, begin, end, found,
                    reinterpret_cast<T*>(mine + scratch));
    });
}
HEED_ONCE_FOR_ELEMENTS(run_native);

}  // namespace heed::inline HEED_ABI::detail
