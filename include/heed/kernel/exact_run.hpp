// SPDX-License-Identifier: MIT
// heed/kernel/exact_run.hpp: which kernel runs a problem, cut into which tasks, in which memory
//
// Few queries go to the decode kernel, all others to the tiled one. The choice, the key tiles and the key
// parts depend on queries, keys and features alone; only the number of queries in a task depends on the
// threads, and a row's bits do not depend on its task.
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/kernels.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// Up to this many queries, reading a key once for all rows beats turning the queries into lanes.
inline constexpr index decode_queries = 4;
// Keys of one part of a decode: at least this many, and no more than 64 parts.
inline constexpr index decode_part_keys = 2048;
// Strips of queries that share a converted tile and its place in the cache.
inline constexpr index block_strips = 4;

inline std::size_t cache_lines(std::size_t bytes) {
    return (bytes + workspace::alignment - 1) / workspace::alignment * workspace::alignment;
}

template <class E, class D>
void run_tiled(const exact_problem<E>& p, const exact_functions<E>& f, const D* device_, index lanes,
               workspace& memory) {
    // Enough tasks for the lanes to even out, of as many strips as that leaves.
    const index strips = (p.queries + f.query_lanes - 1) / f.query_lanes;
    index together = block_strips;
    while (lanes > 1 && together > 1 && p.batch * p.heads * ((strips + together - 1) / together) < 8 * lanes)
        together /= 2;
    const index block = together * f.query_lanes;
    const index blocks = (p.queries + block - 1) / block;
    const index tasks = p.batch * p.heads * blocks;
    if (lanes > tasks) lanes = tasks;
    const std::size_t each = cache_lines(f.block_bytes(p, p.queries < block ? p.queries : block));
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device_, lanes, tasks, [&](index lane, index task) {
        // From the last queries to the first: under a causal mask those have most keys.
        const index begin = (blocks - 1 - task % blocks) * block;
        const index head = task / blocks;
        const index end = begin + block < p.queries ? begin + block : p.queries;
        f.block(p, head / p.heads, head % p.heads, begin, end, base + each * static_cast<std::size_t>(lane));
    });
}

template <class E, class D>
void run_decode(const exact_problem<E>& p, const exact_functions<E>& f, const D* device_, index lanes,
                workspace& memory) {
    using T = typename exact_problem<E>::T;
    index part = (p.keys + 63) / 64;
    part = part < decode_part_keys ? decode_part_keys : (part + key_tile - 1) / key_tile * key_tile;
    const index parts = p.keys == 0 ? 1 : (p.keys + part - 1) / part;
    const index heads = p.batch * p.kv_heads;
    const std::size_t scratch = cache_lines(f.decode_bytes(p));
    const std::size_t state = cache_lines(static_cast<std::size_t>(decode_state_size(p)) * sizeof(T));
    const auto keys_of = [&](index i, index& begin, index& end) {
        begin = i * part;
        end = begin + part < p.keys ? begin + part : p.keys;
    };
    if (lanes == 1 || parts == 1 || heads >= 4 * lanes) {
        if (lanes > heads) lanes = heads;
        const std::size_t each = scratch + 2 * state;
        char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
        for_each_task(device_, lanes, heads, [&](index lane, index task) {
            char* const mine = base + each * static_cast<std::size_t>(lane);
            T* const sum = reinterpret_cast<T*>(mine + scratch);
            T* const next = reinterpret_cast<T*>(mine + scratch + state);
            for (index i = 0; i < parts; ++i) {
                index begin = 0;
                index end = 0;
                keys_of(i, begin, end);
                f.decode_part(p, task / p.kv_heads, task % p.kv_heads, begin, end, i == 0 ? sum : next, mine);
                if (i > 0) merge_decode_states(p, sum, next);
            }
            f.decode_finish(p, task / p.kv_heads, task % p.kv_heads, sum);
        });
        return;
    }
    // Few heads for many lanes: every part is a task, its state is kept, and the caller merges in order.
    if (lanes > heads * parts) lanes = heads * parts;
    const std::size_t all = state * static_cast<std::size_t>(heads * parts);
    char* const states = static_cast<char*>(memory.reserve(all + scratch * static_cast<std::size_t>(lanes)));
    for_each_task(device_, lanes, heads * parts, [&](index lane, index task) {
        index begin = 0;
        index end = 0;
        keys_of(task % parts, begin, end);
        const index head = task / parts;
        f.decode_part(p, head / p.kv_heads, head % p.kv_heads, begin, end,
                      reinterpret_cast<T*>(states + state * static_cast<std::size_t>(task)),
                      states + all + scratch * static_cast<std::size_t>(lane));
    });
    for (index head = 0; head < heads; ++head) {
        T* const sum = reinterpret_cast<T*>(states + state * static_cast<std::size_t>(head * parts));
        for (index i = 1; i < parts; ++i)
            merge_decode_states(p, sum, reinterpret_cast<T*>(states + state * static_cast<std::size_t>(head * parts + i)));
        f.decode_finish(p, head / p.kv_heads, head % p.kv_heads, sum);
    }
}

template <class E, class D>
void run_exact(const exact_problem<E>& p, const D* device_, workspace& memory) {
    if (p.batch == 0 || p.heads == 0 || p.queries == 0) return;
    const exact_functions<E> f = exact_kernels<E>();
    const index lanes = device_ == nullptr ? 1 : lanes_of(device_);
    if (p.queries <= decode_queries)
        run_decode(p, f, device_, lanes, memory);
    else
        run_tiled(p, f, device_, lanes, memory);
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
