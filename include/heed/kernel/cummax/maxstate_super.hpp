// SPDX-License-Identifier: MIT
// heed/kernel/cummax/maxstate_super.hpp: maxstate_super as a form of the walk
//
//     e = cummax of c over positions
//     y = a b + k1 b + k2 d + a (k3 e + d) + b (c + e) + c e [+ w e]
//     w[h] = sum over the five u = (a, b, c, d, e) and heads g of mix[h][u heads + g] u[g]
#pragma once

#include <heed/kernel/cummax/backward.hpp>
#include <heed/kernel/cummax/maxstate_kernels.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
struct maxstate_super_form : cummax_form<E> {
    using T = typename cummax_leaves<E>::T;
    using in_rows = cummax_rows<const T>;
    using out_rows = cummax_rows<T>;
    using cummax_form<E>::io;

    const maxstate_leaves<T>* leaf = nullptr;
    strided<const E> u[4];  // a, b, c, d
    stored_or_sum<const E, const T> g;
    strided<E> y, du[4];
    T alphas[3] = {};
    const T* mix = nullptr;  // (head, 5 heads), its strides
    index mix_strides[2] = {};
    index mixed_heads = 0;
    index sums = 0;  // 3, and one for each number of the mix
    bool wants_mix = false;

    T mix_of(index head, index i) const { return mix[head * mix_strides[0] + i * mix_strides[1]]; }
    in_rows source(const cummax_slice& at, index head, index t, index n, T* buffer) const {
        return io.read(u[2], at, head, t, n, buffer);
    }

    // All five inputs of all heads of the group, where they stand or in [u][head] tables of the buffer.
    in_rows input(const cummax_plan& plan, const cummax_slice& at, index i, index h, index t, index n,
                  const T* e, T* buffer) const {
        const index table = cummax_chunk * plan.pad;
        if (i == 4) return {e + h * table, plan.pad};
        return io.read(u[i], at, h, t, n, buffer + (i * plan.group + h) * table);
    }
    // w of one head.
    void mixed(const cummax_plan& plan, const cummax_slice& at, index h, index t, index n, const T* e, T* w,
               T* buffer) const {
        fill(w, n * plan.pad, T(0));
        for (index i = 0; i < 5; ++i)
            for (index k = 0; k < plan.group; ++k) {
                const T factor = mix_of(at.head + h, i * mixed_heads + k);
                const in_rows in[] = {{w, plan.pad}, input(plan, at, i, k, t, n, e, buffer)};
                const out_rows out[] = {{w, plan.pad}};
                leaf->add(in, out, &factor, n, at.features);
            }
    }
    index forward_scratch(const cummax_plan& plan, index step_) const {
        return (5 * plan.group + 2) * step_ * plan.pad;
    }
    void forward(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* state,
                 cummax_scratch<T> mine) const {
        const index table = cummax_chunk * plan.pad;
        T* const e = mine.take(plan.group * table);
        T* const w = mine.take(table);
        T* const y_buffer = mine.take(table);
        T* const buffer = mine.take(4 * plan.group * table);
        for (index h = 0; h < plan.group; ++h)
            this->maxima(*this, plan, at, h, t, n, state, e + h * table, buffer);
        for (index h = 0; h < plan.group; ++h) {
            const in_rows in[] = {input(plan, at, 0, h, t, n, e, buffer),
                                  input(plan, at, 1, h, t, n, e, buffer),
                                  input(plan, at, 2, h, t, n, e, buffer),
                                  input(plan, at, 3, h, t, n, e, buffer),
                                  {e + h * table, plan.pad}};
            const out_rows out[] = {io.write(y, at, h, t, y_buffer)};
            leaf->super_output(in, out, alphas, n, at.features);
            if (mix != nullptr) {
                mixed(plan, at, h, t, n, e, w, buffer);
                const in_rows more[] = {out[0], {w, plan.pad}, in[4]};
                leaf->multiply_add(more, out, nullptr, n, at.features);
            }
            io.finish(y, at, h, t, n, y_buffer);
        }
    }

    static constexpr index buffers = 4;
    // The direct gradients of the five inputs, [u][head], then w or dw, the converted inputs, and sums.
    static index backward_scratch(const cummax_plan& plan) {
        return (9 * plan.group + 3) * cummax_chunk * plan.pad + 4 * plan.pad;
    }
    void gradients(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* e, T* de,
                   double* part, T*, cummax_scratch<T> mine) const {
        const index table = cummax_chunk * plan.pad;
        T* const direct = mine.take(5 * plan.group * table);
        T* const w = mine.take(table);
        T* const dw = mine.take(table);
        T* const g_buffer = mine.take(table);
        T* const buffer = mine.take(4 * plan.group * table);
        T* const sum = mine.take(4 * plan.pad);
        const auto direct_of = [&](index i, index h) {
            return out_rows{direct + (i * plan.group + h) * table, plan.pad};
        };
        for (index h = 0; h < plan.group; ++h) {
            const in_rows dy = io.read(g, at, h, t, n, g_buffer);
            const in_rows a = input(plan, at, 0, h, t, n, e, buffer);
            const in_rows b = input(plan, at, 1, h, t, n, e, buffer);
            const in_rows d = input(plan, at, 3, h, t, n, e, buffer);
            const in_rows top = {e + h * table, plan.pad};
            const in_rows in[] = {dy, a, b, input(plan, at, 2, h, t, n, e, buffer), d, top};
            const out_rows out[] = {direct_of(0, h), direct_of(1, h), direct_of(2, h), direct_of(3, h),
                                    direct_of(4, h)};
            leaf->super_gradients(in, out, alphas, n, at.features);
            fill(sum, 3 * plan.pad, T(0));
            const out_rows s[] = {{sum, 0}, {sum + plan.pad, 0}, {sum + 2 * plan.pad, 0}};
            const in_rows factors[] = {s[0], s[1], s[2], dy, a, b, d, top};
            leaf->super_alphas(factors, s, nullptr, n, at.features);
            for (index k = 0; k < 3; ++k)
                for (index f = 0; f < at.features; ++f) part[k] += static_cast<double>(sum[k * plan.pad + f]);
        }
        if (mix != nullptr)
            for (index h = 0; h < plan.group; ++h)
                mix_gradients(plan, at, h, t, n, e, direct, w, dw, g_buffer, buffer, sum, part);
        for (index h = 0; h < plan.group; ++h) {
            for (index i = 0; i < 4; ++i) {
                if (i == 2) continue;  // c also receives what the maximum collects: routed()
                T* const from = direct + (i * plan.group + h) * table;
                io.store(du[i], at, h, t, n, from);
            }
            for (index i = 0; i < n * plan.pad; ++i)
                de[h * table + i] = direct[(4 * plan.group + h) * table + i];
        }
    }
    // dw = g e goes to every input of every head; e itself also gets g w.
    void mix_gradients(const cummax_plan& plan, const cummax_slice& at, index h, index t, index n, T* e,
                       T* direct, T* w, T* dw, T* g_buffer, T* buffer, T* sum, double* part) const {
        const index table = cummax_chunk * plan.pad;
        const in_rows dy = io.read(g, at, h, t, n, g_buffer);
        mixed(plan, at, h, t, n, e, w, buffer);
        const out_rows de{direct + (4 * plan.group + h) * table, plan.pad};
        const in_rows in[] = {de, dy, {w, plan.pad}};
        leaf->multiply_add(in, &de, nullptr, n, at.features);
        const in_rows factors[] = {dy, {e + h * table, plan.pad}};
        const out_rows to{dw, plan.pad};
        leaf->multiply(factors, &to, nullptr, n, at.features);
        for (index i = 0; i < 5; ++i)
            for (index k = 0; k < plan.group; ++k) {
                const T factor = mix_of(at.head + h, i * mixed_heads + k);
                const out_rows d{direct + (i * plan.group + k) * table, plan.pad};
                const in_rows adds[] = {d, to};
                leaf->add(adds, &d, &factor, n, at.features);
                if (!wants_mix) continue;
                fill(sum, plan.pad, T(0));
                const out_rows s{sum, 0};
                const in_rows product[] = {s, to, input(plan, at, i, k, t, n, e, buffer)};
                leaf->multiply_add(product, &s, nullptr, n, at.features);
                double& total = part[3 + (at.head + h) * 5 * mixed_heads + i * mixed_heads + k];
                for (index f = 0; f < at.features; ++f) total += static_cast<double>(sum[f]);
            }
    }
    out_rows target(const cummax_plan& plan, const cummax_slice&, index, index, T* buffer) const {
        return {buffer, plan.pad};
    }
    void routed(const cummax_plan& plan, const cummax_slice& at, index h, index t, index n, out_rows dx, T*,
                cummax_scratch<T> mine) const {
        const index table = cummax_chunk * plan.pad;
        T* const direct = mine.take(5 * plan.group * table) + (2 * plan.group + h) * table;
        const in_rows in[] = {{direct, plan.pad}, dx};
        io.leaf->add(in, &dx, nullptr, n, at.features);
        io.store(du[2], at, h, t, n, dx.data);
    }
};

}  // namespace heed::inline HEED_ABI::detail
