// SPDX-License-Identifier: MIT
// heed/kernel/linear/run.hpp: the chunks of a forward call, over lanes
//
// Causal: each head is a chain of chunks that hand the state on. Not causal: the keys first, as a chain of
// sums, then the queries in any order.
#pragma once

#include <heed/kernel/linear/forward.hpp>
#include <heed/kernel/linear/prepare.hpp>
#include <heed/kernel/linear/short.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
void run_linear(linear_problem<E>& p, device_ref device, workspace& scratch) {
    using T = typename linear_problem<E>::T;
    const linear_leaves<E>& leaves = linear_leaves_on_target<E>();
    if (p.batch * p.kv_heads == 0) return;  // then y has no elements either, nor has a state
    if (p.keys == 0) {
        clear_rows(p, leaves, p.y, p.heads, p.queries, p.value_features);
        return pass_state(p, p.initial, p.last);
    }
    if (is_short(p)) return run_short(p, leaves, device, scratch);
    const chain_plan plan(p.batch * p.kv_heads, chunks_of(p.keys), device.lanes());
    const linear_forward<E> measure(p, leaves);
    arena counting;
    measure.state_in(counting);
    const std::size_t each = cache_lines(measure.bytes());
    const std::size_t state = cache_lines(counting.bytes());
    const std::size_t progress = cache_lines(plan.bytes());
    const std::size_t lane_count = static_cast<std::size_t>(plan.lanes);
    const linear_preparation<E> preparation(p, leaves);
    char* const start =
        static_cast<char*>(scratch.reserve(preparation.bytes() + progress + each * lane_count +
                                           state * static_cast<std::size_t>(plan.state_slots())));
    preparation.run(p, start);
    char* const base = start + preparation.bytes();
    const auto lane_scratch = [&](index lane) {
        return arena(base + progress + each * static_cast<std::size_t>(lane));
    };
    const auto state_of = [&](index slot) {
        arena here(base + progress + each * lane_count + state * static_cast<std::size_t>(slot));
        return measure.state_in(here);
    };
    const auto answer = [&](linear_forward<E>& kernel, index chain, index chunk, const head_state<T>& m) {
        const index first = chunk * chunk_positions;
        kernel.write_outputs(chain / p.kv_heads, chain % p.kv_heads, first, chunk_length(p.queries, first),
                             m.state, m.normaliser);
    };
    for_each_link(device, plan, base, [&](index lane, index slot, index chain, index link, chain_turn& turn) {
        linear_forward<E> kernel(p, leaves, lane_scratch(lane));
        const head_state<T> m = state_of(slot);
        const index b = chain / p.kv_heads;
        const index h = chain % p.kv_heads;
        if (p.causal) {
            kernel.run(b, h, link, m, turn, plan.whole);
            return;
        }
        const index first = link * chunk_positions;
        kernel.prepare(b, h, first, chunk_length(p.keys, first));
        if (!turn.take()) return;
        if (link == 0) kernel.begin(b, h, m);
        kernel.update(m);
        if (link + 1 == plan.links && p.last.data != nullptr) kernel.write_state(b, h, m);
        turn.pass();
        if (plan.whole && link + 1 == plan.links)
            for (index chunk = 0; chunk < chunks_of(p.queries); ++chunk) answer(kernel, chain, chunk, m);
    });
    if (p.causal || plan.whole) return;
    for_each_task(device, plan.lanes, plan.chains * chunks_of(p.queries), [&](index lane, index task) {
        linear_forward<E> kernel(p, leaves, lane_scratch(lane));
        answer(kernel, task / chunks_of(p.queries), task % chunks_of(p.queries),
               state_of(task / chunks_of(p.queries)));
    });
}
HEED_ONCE_FOR_ELEMENTS(run_linear);

// Queries against a state that stands: p.initial.
template <class E>
void read_state(linear_problem<E>& p, device_ref device, workspace& scratch) {
    using T = typename linear_problem<E>::T;
    const linear_leaves<E>& leaves = linear_leaves_on_target<E>();
    if (p.batch * p.heads * p.queries == 0) return;
    const index chunks = chunks_of(p.queries);
    const index lanes = device.lanes();
    const linear_forward<E> measure(p, leaves);
    arena counting;
    measure.state_in(counting);
    const linear_preparation<E> preparation(p, leaves);
    const std::size_t each = cache_lines(measure.bytes()) + cache_lines(counting.bytes());
    char* const start =
        static_cast<char*>(scratch.reserve(preparation.bytes() + each * static_cast<std::size_t>(lanes)));
    preparation.run(p, start);
    for_each_task(device, lanes, p.batch * p.kv_heads * chunks, [&](index lane, index task) {
        char* const here = start + preparation.bytes() + each * static_cast<std::size_t>(lane);
        linear_forward<E> kernel(p, leaves, arena(here));
        arena rest(here + cache_lines(measure.bytes()));
        const head_state<T> m = measure.state_in(rest);
        const index head = task / chunks;
        const index first = task % chunks * chunk_positions;
        kernel.begin(head / p.kv_heads, head % p.kv_heads, m);
        kernel.write_outputs(head / p.kv_heads, head % p.kv_heads, first, chunk_length(p.queries, first),
                             m.state, m.normaliser);
    });
}

}  // namespace heed::inline HEED_ABI::detail
