// SPDX-License-Identifier: MIT
// heed/kernel/cummax/walk.hpp: the walk over positions that all forms of cummax share
//
// Forward: positions in steps, the running maximum in a state. Where chains are few for the threads, a link
// first takes the maximum of its own positions, then its turn: it receives the state before it, hands on
// later(state, maximum), and only then does its work. The maximum is exact and associative, NaN and signed
// zeros included, so a split changes no bit.
//
// Backward: a first walk keeps the state in front of every chunk. Then chunks from the last to the first: the
// maxima once more, the gradients of the chunk, and what each maximum collected goes to the position that
// set it: where x and e are the same bits. A chunk's sums start at zero and what later chunks left over is
// added once.
//
// A form is a class with
//     source(at, head, t, n, buffer)                the rows that the maximum runs over
//     forward(at, t, n, state, scratch)             writes the output of n positions, moves the state on
//     gradients(at, t, n, e, de, sums, scratch)     the gradients; de of every head, [head][position][pad]
//     target(at, head, t, buffer), routed(at, head, t, n, dx, buffer, scratch)  where what the source
//                                                   receives goes; scratch is as gradients() left it
#pragma once

#include <heed/kernel/cummax/problem.hpp>

namespace heed::inline HEED_ABI::detail {

// Numbers of scratch handed out one behind the other.
template <class T>
struct cummax_scratch {
    T* next;
    T* take(index n) {
        T* const mine = next;
        next += rounded_up(n, 16);
        return mine;
    }
};

template <class T>
void fill(T* to, index n, T x) {
    for (index i = 0; i < n; ++i) to[i] = x;
}

// Positions of a step. Long runs of one head suit the memory, and what is carried between heads has to stay
// in the second-level cache (measured one head at a time, S=16384 H=8 d=64, of a plain loop's speed: 16
// positions 55 %, 64 70 %, 256 77 %). A call of fewer needs no more scratch than they do.
inline index cummax_step(const cummax_plan& plan) {
    const index rows = plan.pad == 0 ? 16 : 24576 / plan.pad;
    return least(rows < 16 ? 16 : rows > 512 ? 512 : rows, greatest(plan.positions, 1));
}
// Positions of a link: enough that a turn costs little, few enough that they stay in the second-level cache.
inline index cummax_link(const cummax_plan& plan, index step) {
    const index rows = plan.state_size() == 0 ? step : 32768 / plan.state_size();
    return rows < step ? step : rows / step * step;
}

// What forms have in common; one that differs says so.
template <class E>
struct cummax_form {
    using element = E;
    using number = typename cummax_leaves<E>::T;
    cummax_io<E> io;

    static index step(const cummax_plan&) { return cummax_chunk; }  // positions of a forward's step
    static constexpr index sums = 0;                                // numbers that the backward adds up
    static constexpr bool fused = false;         // goes down a position's heads and back up in one pass each
    static constexpr bool keeps_source = false;  // one head a chain, whose source's buffer stays as it is
    static index backward_scratch(const cummax_plan&) { return 0; }

    // state = later(state, max), with the numbers between rows of features.
    void join(const cummax_plan& plan, number* state, const number* max) const {
        const cummax_rows<const number> in[] = {{state, 0}, {max, 0}};
        const cummax_rows<number> out[] = {{state, 0}};
        io.leaf->later(in, out, nullptr, 1, plan.state_size());
    }
    // The running maxima of n positions, [position][pad]; returns the rows they run over.
    template <class Form>
    static cummax_rows<const number> maxima(const Form& form, const cummax_plan& plan, const cummax_slice& at,
                                            index h, index t, index n, number* state, number* e,
                                            number* buffer) {
        const cummax_rows<const number> in[] = {{state + h * plan.pad, 0}, form.source(at, h, t, n, buffer)};
        const cummax_rows<number> out[] = {{state + h * plan.pad, 0}, {e, plan.pad}};
        form.io.leaf->scan(in, out, nullptr, n, at.features);
        return in[1];
    }
};

// The maximum over positions [first, last) of a form's source joins `max`.
template <class Form, class T = typename Form::number>
void largest(const Form& form, const cummax_plan& plan, const cummax_slice& at, index first, index last,
             index step, T* max, T* buffer) {
    if constexpr (requires { form.by_lanes; }) {
        if (form.by_lanes) {
            for (index t = first; t < last; t += step)
                form.scan_lanes(at, t, least(last - t, step), {}, max, buffer, {}, 0);
            return;
        }
    }
    for (index h = 0; h < plan.group; ++h)
        for (index t = first; t < last; t += step) {
            const index n = least(last - t, step);
            const cummax_rows<const T> in[] = {{max + h * plan.pad, 0}, form.source(at, h, t, n, buffer)};
            const cummax_rows<T> out[] = {{max + h * plan.pad, 0}};
            form.io.leaf->later(in, out, nullptr, n, at.features);
        }
}

template <class Form>
void walk_forward(const Form& form, const cummax_plan& plan, const call_states<typename Form::number>& states,
                  device_ref device_, workspace& scratch) {
    using T = typename Form::number;
    if (plan.chains == 0) return;
    const index step = form.step(plan);
    const index length = cummax_link(plan, step);
    const index links = plan.positions == 0 ? 1 : (plan.positions + length - 1) / length;
    const chain_plan chains(plan.chains, links, device_.lanes());
    const index size = plan.state_size();
    const std::size_t number = sizeof(T);
    const std::size_t each = cache_lines(static_cast<std::size_t>(size) * number);
    const std::size_t lane_bytes =
        cache_lines(static_cast<std::size_t>(form.forward_scratch(plan, step)) * number) + 2 * each;
    const std::size_t state_bytes = each * static_cast<std::size_t>(chains.state_slots());
    const std::size_t scratch_bytes = lane_bytes * static_cast<std::size_t>(chains.lanes);
    char* const base = static_cast<char*>(scratch.reserve(state_bytes + scratch_bytes + chains.bytes()));
    const T none = minus_infinity<T>();
    for_each_link(device_, chains, base + state_bytes + scratch_bytes,
                  [&](index lane, index slot, index chain, index link, chain_turn& turn) {
                      const cummax_slice at(plan, chain);
                      T* const state = reinterpret_cast<T*>(base + each * static_cast<std::size_t>(slot));
                      cummax_scratch<T> mine{reinterpret_cast<T*>(
                          base + state_bytes + lane_bytes * static_cast<std::size_t>(lane))};
                      const index first = link * length;
                      const index last = first + length < plan.positions ? first + length : plan.positions;
                      T* run = state;
                      if (link == 0) read_state(states.initial, plan, at, none, state);
                      if (!chains.whole && links > 1) {
                          T* const max = mine.take(size);
                          run = mine.take(size);
                          fill(max, size, none);
                          largest(form, plan, at, first, last, step, max, mine.next);
                          if (!turn.take()) return;
                          for (index i = 0; i < size; ++i) run[i] = state[i];
                          form.join(plan, state, max);
                          turn.pass();
                      }
                      for (index t = first; t < last; t += step)
                          form.forward(plan, at, t, last - t < step ? last - t : step, run, mine);
                      if (link == links - 1) copy_state(states.last, plan, at, state);
                      if (run == state) turn.pass();  // once: a second time would turn the chain back
                  });
}

}  // namespace heed::inline HEED_ABI::detail
