// SPDX-License-Identifier: MIT
// heed/kernel/cummax/backward.hpp: the walk backwards, see kernel/cummax/walk.hpp
//
// Memory: a state for every 256 positions, and for each thread a few tables of 256 positions.
#pragma once

#include <heed/kernel/cummax/walk.hpp>

namespace heed::inline HEED_ABI::detail {

// Leaves in starts[chain][chunk] the state in front of every chunk.
template <class Form>
void walk_starts(const Form& form, const cummax_plan& plan,
                 const strided<const typename Form::number>& initial, typename Form::number* starts,
                 index chunks, device_ref device_, char* base) {
    using T = typename Form::number;
    const index size = plan.state_size();
    const index together = cummax_link(plan, cummax_chunk) / cummax_chunk;
    const index links = (chunks + together - 1) / together;
    const chain_plan chains(plan.chains, links, device_.lanes());
    const std::size_t each = 2 * cache_lines(static_cast<std::size_t>(size) * sizeof(T));
    const std::size_t buffer_bytes =
        cache_lines(static_cast<std::size_t>(form.buffers * cummax_chunk * plan.pad) * sizeof(T));
    const std::size_t state_bytes = each * static_cast<std::size_t>(chains.state_slots());
    for_each_link(
        device_, chains, base + state_bytes + buffer_bytes * static_cast<std::size_t>(chains.lanes),
        [&](index lane, index slot, index chain, index link, chain_turn& turn) {
            const cummax_slice at(plan, chain);
            T* const state = reinterpret_cast<T*>(base + each * static_cast<std::size_t>(slot));
            T* const next = reinterpret_cast<T*>(base + each * static_cast<std::size_t>(slot) + each / 2);
            T* const mine =
                reinterpret_cast<T*>(base + state_bytes + buffer_bytes * static_cast<std::size_t>(lane));
            const index first = link * together;
            const index last = first + together < chunks ? first + together : chunks;
            T* const start = starts + (chain * chunks + first) * size;
            fill(start, (last - first) * size, minus_infinity<T>());
            for (index c = first; c < last; ++c) {
                const index end = (c + 1) * cummax_chunk;
                largest(form, plan, at, c * cummax_chunk, end < plan.positions ? end : plan.positions,
                        cummax_chunk, start + (c - first) * size, mine);
            }
            if (!turn.take()) return;
            if (link == 0) read_state(initial, plan, at, minus_infinity<T>(), state);
            for (T* max = start; max != start + (last - first) * size; max += size) {
                for (index i = 0; i < size; ++i) next[i] = state[i];
                form.join(plan, next, max);
                for (index i = 0; i < size; ++i) max[i] = state[i];
                for (index i = 0; i < size; ++i) state[i] = next[i];
            }
            turn.pass();
        });
}

// Chunks that a fused form takes at a time: long runs of one head suit the memory (measured S=16384 H=8 d=64:
// one 16.4 ms, two 14.8, four 14.4 with twice the tables).
inline constexpr index fused_chunks = 2;

// Chains that one thread walks from end to end, by a form that fuses. `base` is memory for all lanes.
template <class Form>
void walk_fused(const Form& form, const cummax_plan& plan, const call_states<typename Form::number>& states,
                const typename Form::number* starts, index chunks, device_ref device_, char* base,
                std::size_t lane_bytes) {
    using T = typename Form::number;
    const index size = plan.state_size();
    for_each_task(device_, device_.lanes(), plan.chains, [&](index lane, index chain) {
        const cummax_slice at(plan, chain);
        cummax_scratch<T> mine{reinterpret_cast<T*>(base + lane_bytes * static_cast<std::size_t>(lane))};
        T* const carry = mine.take(size);
        T* const sum = mine.take(size);
        T* const state = mine.take(size);
        read_state(states.last_gradient, plan, at, T(0), carry);
        for (index end = chunks; end > 0;) {
            const index first = (end - 1) / fused_chunks * fused_chunks;
            const index t = first * cummax_chunk;
            const index last = end * cummax_chunk < plan.positions ? end * cummax_chunk : plan.positions;
            for (index i = 0; i < size; ++i) state[i] = starts[(chain * chunks + first) * size + i];
            form.descend_and_ascend(plan, at, t, last - t, state, sum, carry, mine);
            end = first;
        }
        copy_state(states.initial_gradient, plan, at, carry);
    });
}

// Gradients of all positions; returns form.sums numbers for every chain, in the workspace.
template <class Form>
const double* walk_backward(const Form& form, const cummax_plan& plan,
                            const call_states<typename Form::number>& states, device_ref device_,
                            workspace& scratch) {
    using T = typename Form::number;
    if (plan.chains == 0) return nullptr;
    const index chunks = (plan.positions + cummax_chunk - 1) / cummax_chunk;
    const index links = chunks < 1 ? 1 : chunks;
    const index size = plan.state_size();
    const index table = cummax_chunk * plan.pad;
    const index lanes = device_.lanes();
    const chain_plan chains(plan.chains, links, lanes);
    const bool in_turns = !chains.whole;

    const std::size_t number = sizeof(T);
    const std::size_t states_bytes =
        cache_lines(static_cast<std::size_t>(plan.chains * chunks * size) * number);
    const std::size_t sums_bytes =
        cache_lines(static_cast<std::size_t>(plan.chains * form.sums) * sizeof(double));
    const std::size_t each = cache_lines(static_cast<std::size_t>(size) * number);
    bool fused = false;
    std::size_t form_bytes =
        cache_lines(static_cast<std::size_t>(2 * plan.group * table + form.backward_scratch(plan)) * number) +
        cache_lines(static_cast<std::size_t>(rounded_up(form.sums * 2, 16)) * number) + 4 * each;
    std::size_t buffer_bytes = cache_lines(static_cast<std::size_t>(form.buffers * table) * number);
    if constexpr (Form::fused) {
        fused = plan.group > 1 && !in_turns;
        if (fused) {
            form_bytes = cache_lines(static_cast<std::size_t>(form.fused_scratch(plan)) * number) + 3 * each;
            buffer_bytes *= fused_chunks;
        }
    }
    // The two walks use the same memory one after the other.
    const std::size_t max_slots = static_cast<std::size_t>(plan.chains > lanes ? plan.chains : lanes);
    const std::size_t walk_bytes = 2 * each * max_slots +
                                   (form_bytes + buffer_bytes) * static_cast<std::size_t>(lanes) +
                                   static_cast<std::size_t>(plan.chains) * sizeof(chain_progress);
    char* const all = static_cast<char*>(scratch.reserve(states_bytes + sums_bytes + walk_bytes));
    T* const starts = reinterpret_cast<T*>(all);
    double* const sums = reinterpret_cast<double*>(all + states_bytes);
    for (index i = 0; i < plan.chains * form.sums; ++i) sums[i] = 0;
    char* const base = all + states_bytes + sums_bytes;
    if (chunks > 0) walk_starts(form, plan, states.initial, starts, chunks, device_, base);

    const std::size_t lane_bytes = form_bytes + buffer_bytes;
    if constexpr (Form::fused) {
        if (fused) {
            walk_fused(form, plan, states, starts, chunks, device_, base, lane_bytes);
            return sums;
        }
    }
    const std::size_t state_bytes = each * static_cast<std::size_t>(chains.state_slots());
    for_each_link(
        device_, chains, base + state_bytes + lane_bytes * static_cast<std::size_t>(chains.lanes),
        [&](index lane, index slot, index chain, index link, chain_turn& turn) {
            const cummax_slice at(plan, chain);
            T* const carry = reinterpret_cast<T*>(base + each * static_cast<std::size_t>(slot));
            cummax_scratch<T> mine{
                reinterpret_cast<T*>(base + state_bytes + lane_bytes * static_cast<std::size_t>(lane))};
            double* const part = reinterpret_cast<double*>(mine.take(rounded_up(form.sums * 2, 16)));
            T* const taken = mine.take(size);
            T* const sum = mine.take(size);
            T* const open = mine.take(size);
            T* const state = mine.take(size);
            T* const e = mine.take(plan.group * table);
            T* const de = mine.take(plan.group * table);
            T* const buffers = mine.take(form.buffers * table);
            const index chunk = chunks - 1 - link;
            const index t = chunk * cummax_chunk;
            const index n = chunks == 0                         ? 0
                            : plan.positions - t < cummax_chunk ? plan.positions - t
                                                                : cummax_chunk;
            for (index i = 0; i < form.sums; ++i) part[i] = 0;
            cummax_rows<const T> sources;
            if (n > 0) {
                for (index i = 0; i < size; ++i) state[i] = starts[(chain * chunks + chunk) * size + i];
                for (index h = 0; h < plan.group; ++h)
                    sources = form.maxima(form, plan, at, h, t, n, state, e + h * table, buffers);
                form.gradients(plan, at, t, n, e, de, part, buffers, mine);
            }
            const auto source = [&](index h) {
                return Form::keeps_source ? sources : form.source(at, h, t, n, buffers);
            };
            // Rows from the last position to the first.
            const auto back = [&](const T* x) { return cummax_rows<const T>{x, plan.pad}.from_last(n); };
            if (in_turns) {
                fill(sum, size, T(0));
                fill(open, size, T(1));
                for (index h = 0; h < plan.group && n > 0; ++h) {
                    const cummax_rows<T> left{sum + h * plan.pad, 0};
                    const cummax_rows<T> takes{open + h * plan.pad, 0};
                    const cummax_rows<const T> in[] = {left, takes, back(de + h * table),
                                                       source(h).from_last(n), back(e + h * table)};
                    const cummax_rows<T> out[] = {left, takes};
                    form.io.leaf->collect(in, out, nullptr, n, at.features);
                }
            }
            if (!turn.take()) return;
            if (link == 0) read_state(states.last_gradient, plan, at, T(0), carry);
            for (index i = 0; i < size; ++i) taken[i] = carry[i];
            for (index i = 0; i < form.sums; ++i) sums[chain * form.sums + i] += part[i];
            if (in_turns) {
                const cummax_rows<const T> in[] = {{taken, 0}, {sum, 0}, {open, 0}};
                const cummax_rows<T> out[] = {{carry, 0}};
                form.io.leaf->pass_on(in, out, nullptr, 1, size);
                if (link == links - 1) copy_state(states.initial_gradient, plan, at, carry);
                turn.pass();
            }
            fill(sum, size, T(0));
            for (index h = 0; h < plan.group && n > 0; ++h) {
                const cummax_rows<T> left{sum + h * plan.pad, 0};
                const cummax_rows<T> waits{taken + h * plan.pad, 0};
                const cummax_rows<const T> x = source(h);
                const cummax_rows<T> dx = form.target(plan, at, h, t, buffers + 3 * table);
                const cummax_rows<const T> in[] = {left, waits, back(de + h * table), x.from_last(n),
                                                   back(e + h * table)};
                const cummax_rows<T> out[] = {left, waits, dx.from_last(n)};
                form.io.leaf->release(in, out, nullptr, n, at.features);
                form.routed(plan, at, h, t, n, dx, buffers, mine);
            }
            if (!in_turns) {
                const cummax_rows<const T> in[] = {{sum, 0}, {taken, 0}};
                const cummax_rows<T> out[] = {{carry, 0}};
                form.io.leaf->add(in, out, nullptr, 1, size);
                if (link == links - 1) copy_state(states.initial_gradient, plan, at, carry);
                turn.pass();
            }
        });
    return sums;
}

}  // namespace heed::inline HEED_ABI::detail
