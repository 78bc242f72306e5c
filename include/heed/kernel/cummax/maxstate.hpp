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

    // In the first three tables of the buffer.
    in_rows source(const cummax_slice& at, index head, index t, index n, T* buffer) const {
        T* const u = buffer + 2 * n * io.pad;
        const in_rows in[] = {io.read(o, at, head, t, n, buffer),
                              io.read(a1, at, head, t, n, buffer + n * io.pad)};
        const out_rows out[] = {{u, io.pad}};
        leaf->source(in, out, &factor, n, at.features);
        return {u, io.pad};
    }
    static index forward_scratch(const cummax_plan& plan, index step_) { return 7 * step_ * plan.pad; }
    void forward(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* state,
                 cummax_scratch<T> mine) const {
        const index table = n * plan.pad;
        T* const buffer = mine.take(3 * table);
        T* const e = mine.take(table);
        T* const a1_buffer = mine.take(table);
        T* const a2_buffer = mine.take(table);
        T* const y_buffer = mine.take(table);
        this->maxima(*this, plan, at, 0, t, n, state, e, buffer);
        const in_rows in[] = {
            {e, plan.pad}, io.read(a1, at, 0, t, n, a1_buffer), io.read(a2, at, 0, t, n, a2_buffer)};
        const out_rows out[] = {io.write(y, at, 0, t, y_buffer)};
        leaf->output(in, out, nullptr, n, at.features);
        io.finish(y, at, 0, t, n, y_buffer);
    }

    static constexpr index buffers = 5;
    void gradients(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* e, T* de, double*,
                   T* buffer, cummax_scratch<T>) const {
        const index table = n * plan.pad;
        const in_rows in[] = {
            io.read(g, at, 0, t, n, buffer), {e, plan.pad}, io.read(a2, at, 0, t, n, buffer + table)};
        const out_rows out[] = {io.write(d_a2, at, 0, t, buffer + 2 * table), {de, plan.pad}};
        leaf->gradients(in, out, nullptr, n, at.features);
        io.finish(d_a2, at, 0, t, n, buffer + 2 * table);
    }
    out_rows target(const cummax_plan& plan, const cummax_slice&, index, index, T* buffer) const {
        return {buffer, plan.pad};
    }
    void routed(const cummax_plan& plan, const cummax_slice& at, index, index t, index n, out_rows du,
                T* buffer, cummax_scratch<T>) const {
        const index table = n * plan.pad;
        const in_rows in[] = {du, io.read(g, at, 0, t, n, buffer)};
        const out_rows out[] = {io.write(d_o, at, 0, t, buffer + table),
                                io.write(d_a1, at, 0, t, buffer + 2 * table)};
        leaf->routed(in, out, &factor, n, at.features);
        io.finish(d_o, at, 0, t, n, buffer + table);
        io.finish(d_a1, at, 0, t, n, buffer + 2 * table);
    }
};

}  // namespace heed::inline HEED_ABI::detail
