// SPDX-License-Identifier: MIT
// heed/kernel/cummax/maxstate.hpp: maxstate as a form of the walk
//
//     u = (o + a1) / sqrt(features),   e = cummax of u over positions,   y = (e + a2) e + a1
#pragma once

#include <heed/kernel/cummax/backward.hpp>
#include <heed/kernel/cummax/maxstate_kernels.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
struct maxstate_form : cummax_form<E> {
    using T = typename cummax_leaves<E>::T;
    using in_rows = cummax_rows<const T>;
    using out_rows = cummax_rows<T>;
    using cummax_form<E>::io;

    const maxstate_leaves<T>* leaf = nullptr;
    strided<const E> o, a1, a2;
    stored_or_sum<const E, const T> g;
    strided<E> y, d_o, d_a1, d_a2;
    T factor = 1;

    // In the first three tables of the room.
    in_rows source(const cummax_place& at, index head, index t, index n, T* room) const {
        T* const u = room + 2 * n * io.pad;
        const in_rows in[] = {io.read(o, at, head, t, n, room),
                              io.read(a1, at, head, t, n, room + n * io.pad)};
        const out_rows out[] = {{u, io.pad}};
        leaf->source(in, out, &factor, n, at.features);
        return {u, io.pad};
    }
    void largest(const cummax_plan& plan, const cummax_place& at, index first, index last, index step_,
                 T* most, T* room) const {
        this->largest_of(*this, plan, at, first, last, step_, most, room);
    }
    static index step(const cummax_plan&) { return cummax_chunk; }
    static index forward_scratch(const cummax_plan& plan, index step_) { return 7 * step_ * plan.pad; }
    void forward(const cummax_plan& plan, const cummax_place& at, index t, index n, T* state,
                 cummax_scratch<T> mine) const {
        const index table = n * plan.pad;
        T* const room = mine.take(3 * table);
        T* const e = mine.take(table);
        T* const room_a1 = mine.take(table);
        T* const room_a2 = mine.take(table);
        T* const room_y = mine.take(table);
        this->maxima(*this, plan, at, 0, t, n, state, e, room);
        const in_rows in[] = {
            {e, plan.pad}, io.read(a1, at, 0, t, n, room_a1), io.read(a2, at, 0, t, n, room_a2)};
        const out_rows out[] = {io.write(y, at, 0, t, room_y)};
        leaf->output(in, out, nullptr, n, at.features);
        io.finish(y, at, 0, t, n, room_y);
    }

    static constexpr index rooms = 5;
    static constexpr index sums = 0;
    static index backward_scratch(const cummax_plan&) { return 0; }
    void gradients(const cummax_plan& plan, const cummax_place& at, index t, index n, T* e, T* de, double*,
                   T* room, cummax_scratch<T>) const {
        const index table = n * plan.pad;
        const in_rows in[] = {
            io.read(g, at, 0, t, n, room), {e, plan.pad}, io.read(a2, at, 0, t, n, room + table)};
        const out_rows out[] = {io.write(d_a2, at, 0, t, room + 2 * table), {de, plan.pad}};
        leaf->gradients(in, out, nullptr, n, at.features);
        io.finish(d_a2, at, 0, t, n, room + 2 * table);
    }
    out_rows target(const cummax_plan& plan, const cummax_place&, index, index, T* room) const {
        return {room, plan.pad};
    }
    void routed(const cummax_plan& plan, const cummax_place& at, index, index t, index n, out_rows du,
                T* room, cummax_scratch<T>) const {
        const index table = n * plan.pad;
        const in_rows in[] = {du, io.read(g, at, 0, t, n, room)};
        const out_rows out[] = {io.write(d_o, at, 0, t, room + table),
                                io.write(d_a1, at, 0, t, room + 2 * table)};
        leaf->routed(in, out, &factor, n, at.features);
        io.finish(d_o, at, 0, t, n, room + table);
        io.finish(d_a1, at, 0, t, n, room + 2 * table);
    }
};

}  // namespace heed::inline HEED_ABI::detail
