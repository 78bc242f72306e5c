// SPDX-License-Identifier: MIT
// heed/kernel/pages/certified.hpp: certified attention over all queries and groups of heads, cut into tasks
//
// A task is one query of one group. Its walk depends on nothing else, so threads change no bit.
#pragma once

#include <heed/kernel/pages/certified_walk.hpp>

namespace heed::inline HEED_ABI::detail {

// With carried bounds, or those of the call's own keys where `carried` is nullptr.
template <class E, class M, class T = typename exact_problem<E>::T>
void run_certified(const exact_problem<E>& problem, const page_table<T>* carried, index page, double tau,
                   const M& mask, device_ref device, workspace& memory) {
    if (problem.batch == 0 || problem.heads == 0 || problem.queries == 0) return;
    exact_problem<E> p = problem;
    p.visit_all = false;  // weights of keys that are not visited are known to be 0
    const index pages = pages_of(p.keys, page), tasks = p.batch * p.kv_heads * p.queries;
    index lanes = device.lanes();
    if (lanes > tasks) lanes = tasks;
    page_table<T> table{};
    table.page = page;
    certified_walk<E> walk(p, table, pages, tau);
    arena shared;
    if (carried == nullptr) call_bounds<E>(p, page, device.lanes(), shared);
    char* const base = static_cast<char*>(
        memory.reserve(shared.bytes() + cache_lines(walk.bytes()) * static_cast<std::size_t>(lanes)));
    arena bounds_memory(base);
    table = carried != nullptr
                ? *carried
                : call_bounds<E>(p, page, device.lanes(), bounds_memory).make(p, page, mask, device);
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        certified_walk<E> mine(walk);
        const index head = task / p.queries;
        mine.run(head / p.kv_heads, head % p.kv_heads, task % p.queries, mask,
                 base + shared.bytes() + cache_lines(walk.bytes()) * static_cast<std::size_t>(lane));
    });
}

}  // namespace heed::inline HEED_ABI::detail
