// SPDX-License-Identifier: MIT
// heed/kernel/exact/run.hpp: which kernel runs a problem, cut into which tasks, in which memory
//
// Few queries go to the decode kernel, all others to the tiled one. The choice, the key tiles and the key
// parts depend on queries, keys and features alone; only the number of queries in a task depends on the
// threads, and a row's bits do not depend on its task.
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/exact/block.hpp>
#include <heed/kernel/exact/decode.hpp>
#include <heed/kernel/exact/kernels.hpp>

namespace heed::inline HEED_ABI::detail {

// Up to this many queries, reading a key once for all rows beats turning the queries into lanes; over the
// pages of a cache up to more, so that a query has the same bits alone and among drafts or in a piece of a
// prompt. It is the number of queries alone that decides, so that a causal row has the bits of attention over
// its prefix (up to 2^17 keys, from where on the parts of a decode grow with their number).
inline constexpr index decode_queries = 4;
inline constexpr index paged_queries = 64;
inline constexpr index decode_rows_together = 256;
template <class E>
bool is_decode(const exact_problem<E>& p) {
    return p.queries <= (p.pages == nullptr ? decode_queries : paged_queries);
}

template <class E>
void run_tiled(const exact_problem<E>& p, const exact_leaves<E>& leaves, device_ref device, index lanes,
               workspace& memory) {
    const index strip_lanes = panel_packs * leaves.pack_lanes;
    // Enough tasks for the lanes to even out, of as many strips as that leaves.
    const index strips = (p.queries + strip_lanes - 1) / strip_lanes;
    index together = block_strips;
    while (lanes > 1 && together > 1 && p.batch * p.heads * ((strips + together - 1) / together) < 8 * lanes)
        together /= 2;
    index block = together * strip_lanes;
    // Under a mask of blocks of queries, whole ones of those.
    const index grain = grain_of_strips(p.grain, leaves.pack_lanes);
    if (grain > 0) block = block < grain ? grain : block / grain * grain;
    const index blocks = (p.queries + block - 1) / block;
    const index tasks = p.entries() * p.heads * blocks;
    if (lanes > tasks) lanes = tasks;
    const exact_block<E> kernel(p, leaves, p.queries < block ? p.queries : block);
    const std::size_t each = cache_lines(kernel.bytes());
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        // From the last queries to the first: under a causal mask those have most keys.
        const index begin = (blocks - 1 - task % blocks) * block;
        const index head = task / blocks;
        const index end = begin + block < p.queries ? begin + block : p.queries;
        kernel.run(p.entry_at(head / p.heads), head % p.heads, begin, end,
                   base + each * static_cast<std::size_t>(lane));
    });
}

// Queries [first, first + queries).
template <class E>
void run_decode(const exact_problem<E>& p, const exact_leaves<E>& leaves, index first, index queries,
                device_ref device, index lanes, workspace& memory) {
    using T = typename exact_problem<E>::T;
    const exact_decode<E> kernel(p, leaves, first, queries);
    index part = (p.keys + 63) / 64;
    part = part < decode_part_keys ? decode_part_keys : rounded_up(part, tile_keys);
    const index parts = p.keys <= part ? 1 : (p.keys + part - 1) / part;
    const index heads = p.entries() * p.kv_heads;
    const std::size_t scratch = cache_lines(kernel.bytes());
    const std::size_t state = cache_lines(static_cast<std::size_t>(kernel.state_size()) * sizeof(T));
    const auto keys_of = [&](index i, index& begin, index& end) {
        begin = i * part;
        end = begin + part < p.keys ? begin + part : p.keys;
    };
    const auto state_at = [](char* from) { return reinterpret_cast<T*>(from); };
    // One part of a head whose rows are in the scratch, to an empty state. Behind the scratch of a lane
    // stands the state that a long part adds up its pieces in.
    const auto add_part = [&](index head, index i, T* to, char* mine) {
        index begin = 0;
        index end = 0;
        keys_of(i, begin, end);
        kernel.add_pieces(p.entry_at(head / p.kv_heads), head % p.kv_heads, begin, end, to,
                          state_at(mine + scratch), mine);
    };
    // All parts of a head, one after the other.
    const auto add_all = [&](index head, T* sum, T* next, char* mine) {
        for (index i = 0; i < parts; ++i) {
            if (i > 0) kernel.clear_like(next, sum);
            add_part(head, i, i == 0 ? sum : next, mine);
            if (i > 0) kernel.merge(sum, next);
        }
    };
    const std::size_t lane_bytes = scratch + (part > decode_part_keys ? state : 0);
    if (lanes == 1 || parts == 1 || heads >= 4 * lanes) {
        if (lanes > heads) lanes = heads;
        const std::size_t each = lane_bytes + 2 * state;
        char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
        for_each_task(device, lanes, heads, [&](index lane, index head) {
            char* const mine = base + each * static_cast<std::size_t>(lane);
            T* const sum = state_at(mine + lane_bytes);
            T* const next = state_at(mine + lane_bytes + state);
            kernel.begin(p.entry_at(head / p.kv_heads), head % p.kv_heads, mine);
            kernel.clear(sum);
            do add_all(head, sum, next, mine);
            while (kernel.scale_overflowed(sum));
            kernel.finish(p.entry_at(head / p.kv_heads), head % p.kv_heads, sum);
        });
        return;
    }
    // Few heads for many lanes: every part is a task, its state is kept, and the caller merges in order.
    if (lanes > heads * parts) lanes = heads * parts;
    const std::size_t all = state * static_cast<std::size_t>(heads * parts);
    char* const states =
        static_cast<char*>(memory.reserve(all + lane_bytes * static_cast<std::size_t>(lanes)));
    const auto state_of = [&](index head, index i) {
        return state_at(states + state * static_cast<std::size_t>(head * parts + i));
    };
    for_each_task(device, lanes, heads * parts, [&](index lane, index task) {
        const index head = task / parts;
        char* const mine = states + all + lane_bytes * static_cast<std::size_t>(lane);
        T* const to = state_of(head, task % parts);
        kernel.begin(p.entry_at(head / p.kv_heads), head % p.kv_heads, mine);
        kernel.clear(to);
        add_part(head, task % parts, to, mine);
    });
    for (index head = 0; head < heads; ++head) {
        T* const sum = state_of(head, 0);
        for (index i = 1; i < parts; ++i) kernel.merge(sum, state_of(head, i));
        if (kernel.scale_overflowed(sum)) {
            kernel.begin(p.entry_at(head / p.kv_heads), head % p.kv_heads, states + all);
            add_all(head, sum, state_of(head, 1), states + all);
        }
        kernel.finish(p.entry_at(head / p.kv_heads), head % p.kv_heads, sum);
    }
}

template <class E>
void run_exact(const exact_problem<E>& p, device_ref device, workspace& memory) {
    if (p.entries() == 0 || p.heads == 0 || p.queries == 0) return;
    const exact_leaves<E>& leaves = leaves_on_target<E>();
    const index lanes = device.lanes();
    if (!is_decode(p)) return run_tiled(p, leaves, device, lanes, memory);
    // So many at a time that the sums of their rows stay near.
    const index group = greatest(p.heads / p.kv_heads, 1);
    const index together = greatest(decode_rows_together / group, 1);
    for (index first = 0; first < p.queries; first += together)
        run_decode(p, leaves, first, least(together, p.queries - first), device, lanes, memory);
}
HEED_ONCE_FOR_ELEMENTS(run_exact);

}  // namespace heed::inline HEED_ABI::detail
