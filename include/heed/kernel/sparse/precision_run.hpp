// SPDX-License-Identifier: MIT
// heed/kernel/sparse/precision_run.hpp: progressive precision cut into tasks, in which memory
#pragma once

#include <atomic>

#include <heed/core/device.hpp>
#include <heed/kernel/sparse/precision.hpp>

namespace heed::inline HEED_ABI::detail {

// Rows of a task: their number shows in nothing but the load of the threads.
inline constexpr index precision_task_rows = 16;

// Gives how many rows were made again.
template <class E>
index run_precision(const exact_problem<E>& p, double threshold, device_ref device, workspace& memory) {
    if (p.batch == 0 || p.heads == 0 || p.queries == 0) return 0;
    void* const planes = memory.reserve(precision_rows<E>::bytes_of_planes(p), workspace::part::selection);
    const precision_rows<E> rows(p, threshold, planes);
    const index lanes = device.lanes();
    const std::size_t each = rows.bytes();
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    const auto scratch_of = [&](index lane) { return base + each * static_cast<std::size_t>(lane); };

    const index parts = (p.keys + most_lanes - 1) / most_lanes;
    for_each_task(device, lanes, p.batch * p.kv_heads * parts, [&](index lane, index task) {
        const index head = task / parts;
        rows.split_keys(head / p.kv_heads, head % p.kv_heads, task % parts * most_lanes, scratch_of(lane));
    });
    std::atomic<index> again{0};
    const index blocks = (p.queries + precision_task_rows - 1) / precision_task_rows;
    for_each_task(device, lanes, p.batch * p.heads * blocks, [&](index lane, index task) {
        const index head = task / blocks;
        const index first = task % blocks * precision_task_rows;
        const index end = least(first + precision_task_rows, p.queries);
        index mine = 0;
        for (index i = first; i < end; ++i)
            mine += rows.row(head / p.heads, head % p.heads, i, scratch_of(lane)) ? 1 : 0;
        again.fetch_add(mine);
    });
    return again.load();
}
HEED_ONCE_FOR_ELEMENTS(run_precision);

}  // namespace heed::inline HEED_ABI::detail
