// SPDX-License-Identifier: MIT
// heed/kernel/cummax/attention.hpp: cummax attention as a form of the walk
//
//     e = cummax of o over positions,  p = cummax of e over heads (or e),  y = (p + a1) a2 + a1
//
// Forward goes head by head through the positions of a step, each head in one pass: three streams are read
// and one written at a time, each a run of neighbours, and the maxima over heads wait in the first-level
// cache.
#pragma once

#include <heed/kernel/cummax/backward.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
struct cummax_attention_form : cummax_form<E> {
    using T = typename cummax_leaves<E>::T;
    using in_rows = cummax_rows<const T>;
    using out_rows = cummax_rows<T>;
    using cummax_form<E>::io;

    strided<const E> o, a1, a2;
    stored_or_sum<const E, const T> g;
    strided<E> y, d_o, d_a1, d_a2;

    in_rows source(const cummax_slice& at, index head, index t, index n, T* buffer) const {
        return io.read(o, at, head, t, n, buffer);
    }

    static index step(const cummax_plan& plan) { return cummax_step(plan); }
    index forward_scratch(const cummax_plan& plan, index step_) const { return 9 * step_ * plan.pad; }
    void forward(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* state,
                 cummax_scratch<T> mine) const {
        const index size = n * plan.pad;
        T* const p = mine.take(size);
        T* const o_buffer = mine.take(size);
        T* const a1_buffer = mine.take(size);
        T* const a2_buffer = mine.take(size);
        T* const y_buffer = mine.take(size);
        T* const second = mine.take(4 * size);
        index h = 0;
        for (; h + 2 <= plan.group; h += 2) {
            const out_rows e{state + h * plan.pad, 0};
            const out_rows f{state + (h + 1) * plan.pad, 0};
            const in_rows in[] = {e,
                                  f,
                                  source(at, h, t, n, o_buffer),
                                  io.read(a1, at, h, t, n, a1_buffer),
                                  io.read(a2, at, h, t, n, a2_buffer),
                                  source(at, h + 1, t, n, second),
                                  io.read(a1, at, h + 1, t, n, second + size),
                                  io.read(a2, at, h + 1, t, n, second + 2 * size),
                                  {p, plan.pad}};
            const out_rows out[] = {e,
                                    f,
                                    io.write(y, at, h, t, y_buffer),
                                    io.write(y, at, h + 1, t, second + 3 * size),
                                    {p, plan.pad}};
            io.leaf->attend_two[(h > 0 ? 1 : 0) + (h + 2 < plan.group ? 2 : 0)](in, out, nullptr, n,
                                                                                at.features);
            io.finish(y, at, h, t, n, y_buffer);
            io.finish(y, at, h + 1, t, n, second + 3 * size);
        }
        if (h == plan.group) return;
        const out_rows e{state + h * plan.pad, 0};
        const in_rows in[] = {e,
                              source(at, h, t, n, o_buffer),
                              io.read(a1, at, h, t, n, a1_buffer),
                              io.read(a2, at, h, t, n, a2_buffer),
                              {p, plan.pad}};
        const out_rows out[] = {e, io.write(y, at, h, t, y_buffer), {p, plan.pad}};
        io.leaf->attend[h > 0 ? 1 : 0](in, out, nullptr, n, at.features);
        io.finish(y, at, h, t, n, y_buffer);
    }

    static constexpr index buffers = 7;  // of converted rows
    // The maxima over heads of every head, and what they and the output receive.
    static index backward_scratch(const cummax_plan& plan) {
        return (2 * plan.group + 1) * cummax_chunk * plan.pad;
    }
    void gradients(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* e, T* de, double*,
                   T* buffer, cummax_scratch<T> mine) const {
        const index table = cummax_chunk * plan.pad;
        T* const above = mine.take(plan.group * table);
        T* const dp = plan.group == 1 ? de : mine.take(plan.group * table);
        T* const sum = mine.take(table);
        prefix(plan, at, n, e, above);
        for (index h = 0; h < plan.group; ++h)
            output_gradients(plan, at, h, t, n, h == 0 ? e : above + h * table, dp + h * table, buffer);
        if (plan.group > 1) route(plan, at, n, e, above, dp, de, sum);
    }

    // The same in one pass down the heads and one back up, for a chain that need not say what it collects
    // before its turn: `who` and dp are all that stays of a position between them.
    static constexpr bool fused = true;
    static index fused_scratch(const cummax_plan& plan) {
        return (2 * plan.group + 1) * fused_chunks * cummax_chunk * plan.pad;
    }
    // `state` is that in front of position t; `carry` is what later positions have left over.
    void descend_and_ascend(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* state,
                            T* left, T* carry, cummax_scratch<T> mine) const {
        const index table = fused_chunks * cummax_chunk * plan.pad;
        T* const who = mine.take(plan.group * table);
        T* const dp = mine.take(plan.group * table);
        T* const over_heads = mine.take(table);
        T* const buffer = mine.take(buffers * table);
        descend(plan, at, t, n, state, who, dp, over_heads, buffer);
        ascend(plan, at, t, n, who, dp, over_heads, left, carry, buffer);
    }
    void descend(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* state, T* who, T* dp,
                 T* over_heads, T* buffer) const {
        const index table = fused_chunks * cummax_chunk * plan.pad;
        T* const a1_buffer = buffer + 4 * table;
        T* const a2_buffer = buffer + 5 * table;
        const out_rows p{over_heads, plan.pad};
        for (index h = 0; h < plan.group; ++h) {
            const out_rows now{state + h * plan.pad, 0};
            const in_rows in[] = {now,
                                  source(at, h, t, n, buffer),
                                  io.read(g, at, h, t, n, buffer + table),
                                  io.read(a1, at, h, t, n, buffer + 2 * table),
                                  io.read(a2, at, h, t, n, buffer + 3 * table),
                                  p};
            const out_rows out[] = {now,
                                    {who + h * table, plan.pad},
                                    io.write(d_a1, at, h, t, a1_buffer),
                                    io.write(d_a2, at, h, t, a2_buffer),
                                    {dp + h * table, plan.pad},
                                    p};
            io.leaf->descend[h == 0 ? 0 : 1](in, out, nullptr, n, at.features);
            io.finish(d_a1, at, h, t, n, a1_buffer);
            io.finish(d_a2, at, h, t, n, a2_buffer);
        }
    }
    // From the last head to the first and the last position to the first. What a chunk has left over joins
    // what later ones have at its start.
    void ascend(const cummax_plan& plan, const cummax_slice& at, index t, index n, const T* who, const T* dp,
                T* over_heads, T* left, T* carry, T* buffer) const {
        const index table = fused_chunks * cummax_chunk * plan.pad;
        fill(over_heads, n * plan.pad, T(0));
        for (index h = plan.group; h-- > 0;) {
            const out_rows head_left{left + h * plan.pad, 0};
            const out_rows head_carry{carry + h * plan.pad, 0};
            const out_rows to = io.write(d_o, at, h, t, buffer);
            for (index end = n; end > 0;) {
                const index first = (end - 1) / cummax_chunk * cummax_chunk;
                const index count = end - first;
                const auto back = [&](const auto& rows) {
                    return std::remove_cvref_t<decltype(rows)>{rows.data + first * rows.stride, rows.stride}
                        .from_last(count);
                };
                const out_rows sum = back(out_rows{over_heads, plan.pad});
                fill(head_left.data, plan.pad, T(0));
                const in_rows in[] = {head_left, head_carry, sum, back(in_rows{dp + h * table, plan.pad}),
                                      back(in_rows{who + h * table, plan.pad})};
                const out_rows out[] = {head_left, head_carry, sum, back(to)};
                io.leaf->ascend(in, out, nullptr, count, at.features);
                const in_rows both[] = {head_left, head_carry};
                io.leaf->add(both, &head_carry, nullptr, 1, at.features);
                end = first;
            }
            io.finish(d_o, at, h, t, n, to.data);
        }
    }
    // The maxima over heads; those of the first head are e itself.
    void prefix(const cummax_plan& plan, const cummax_slice& at, index n, const T* e, T* above) const {
        const index table = cummax_chunk * plan.pad;
        for (index h = 1; h < plan.group; ++h) {
            const in_rows in[] = {{h == 1 ? e : above + (h - 1) * table, plan.pad},
                                  {e + h * table, plan.pad}};
            const out_rows out[] = {{above + h * table, plan.pad}};
            io.leaf->later(in, out, nullptr, n, at.features);
        }
    }
    void output_gradients(const cummax_plan& plan, const cummax_slice& at, index h, index t, index n,
                          const T* p, T* dp, T* buffer) const {
        const index table = cummax_chunk * plan.pad;
        T* const a1_buffer = buffer + 3 * table;
        T* const a2_buffer = buffer + 4 * table;
        const in_rows in[] = {io.read(g, at, h, t, n, buffer),
                              io.read(a1, at, h, t, n, buffer + table),
                              io.read(a2, at, h, t, n, buffer + 2 * table),
                              {p, plan.pad}};
        const out_rows out[] = {
            io.write(d_a1, at, h, t, a1_buffer), io.write(d_a2, at, h, t, a2_buffer), {dp, plan.pad}};
        io.leaf->gradients(in, out, nullptr, n, at.features);
        io.finish(d_a1, at, h, t, n, a1_buffer);
        io.finish(d_a2, at, h, t, n, a2_buffer);
    }
    // From the last head to the first: what the maximum of a head collects goes to the head that set it.
    void route(const cummax_plan& plan, const cummax_slice& at, index n, const T* e, const T* above,
               const T* dp, T* de, T* sum) const {
        const index table = cummax_chunk * plan.pad;
        fill(sum, n * plan.pad, T(0));
        for (index h = plan.group; h-- > 0;) {
            const in_rows in[] = {{sum, plan.pad},
                                  {dp + h * table, plan.pad},
                                  {e + h * table, plan.pad},
                                  {h == 0 ? e : above + h * table, plan.pad}};
            const out_rows out[] = {{sum, plan.pad}, {de + h * table, plan.pad}};
            io.leaf->route(in, out, nullptr, n, at.features);
        }
    }
    out_rows target(const cummax_plan&, const cummax_slice& at, index h, index t, T* buffer) const {
        return io.write(d_o, at, h, t, buffer);
    }
    void routed(const cummax_plan&, const cummax_slice& at, index h, index t, index n, out_rows dx, T*,
                cummax_scratch<T>) const {
        io.finish(d_o, at, h, t, n, dx.data);
    }
};

}  // namespace heed::inline HEED_ABI::detail
