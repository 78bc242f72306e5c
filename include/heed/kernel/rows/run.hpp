// SPDX-License-Identifier: MIT
// heed/kernel/rows/run.hpp: attention that keeps some keys of each row of scores, cut into tasks
//
// What a chooser and a weigher are: kernel/rows/problem.hpp. Up to decode_queries queries, the heads that
// share keys are one task; else a task is a block of queries of one head. A row's bits do not depend on it.
//
// Memory: for each thread, from the workspace, 8 bytes (16 in double) for each key and each query of a
// block, which has 96 queries up to 8192 keys and 48 beyond: 3.2 MiB for 4096 keys, 25 MiB for 65536.
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/exact/run.hpp>
#include <heed/kernel/rows/block.hpp>

namespace heed::inline HEED_ABI::detail {

// Queries that share a tile of keys, and of values; fewer where their scores fill no cache.
inline index rows_together(index keys) { return keys <= 8192 ? 96 : 48; }

template <class E, class Chooser, class Weigher>
void run_rows(const exact_problem<E>& p, const Chooser& chooser, const Weigher& weigher, device_ref device,
              workspace& memory) {
    if (p.batch == 0 || p.heads == 0 || p.queries == 0) return;
    const bool few = p.queries <= decode_queries;
    const index rows = few ? p.heads / p.kv_heads * p.queries : least(rows_together(p.keys), p.queries);
    const index blocks = few ? 1 : (p.queries + rows - 1) / rows;
    const index tasks = p.batch * (few ? p.kv_heads : p.heads) * blocks;
    index lanes = device.lanes();
    if (lanes > tasks) lanes = tasks;
    const rows_block<E, Chooser, Weigher> kernel(p, chooser, weigher, rows);
    const std::size_t each = cache_lines(kernel.bytes());
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        char* const mine = base + each * static_cast<std::size_t>(lane);
        if (few) return kernel.run_heads(task / p.kv_heads, task % p.kv_heads, mine);
        // From the last queries to the first: under a causal mask those have most keys.
        const index begin = (blocks - 1 - task % blocks) * rows;
        const index head = task / blocks;
        kernel.run_queries(head / p.heads, head % p.heads, begin, least(begin + rows, p.queries), mine);
    });
}

}  // namespace heed::inline HEED_ABI::detail
