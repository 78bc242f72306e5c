// SPDX-License-Identifier: MIT
// heed/kernel/elementwise/blend.hpp: y = s a + (1 - s) b with one weight for each head, and its backward
//
//     da = s g,   db = (1 - s) g,   ds = <g, a - b>
//
// All views are (batch, head, position, feature), their features side by side; y may be a or b itself. A
// task is 64 positions of one batch entry, so that ds is summed the same way by any number of threads: over
// a task's positions in T, then over features and tasks in double.
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/elementwise/kernels.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr index blend_positions = 64;

template <class T>
element_rows<T> head_rows(const view<T>& x, index batch, index head, index position) {
    return {x.data + batch * x.strides[0] + head * x.strides[1] + position * x.strides[2], x.strides[2]};
}

// body(lane, task, batch, first position, positions) for all tasks; returns how many there are.
template <class T, class Body>
void for_each_blend_task(const view<T>& x, device_ref device, const Body& body) {
    const index blocks = (x.positions() + blend_positions - 1) / blend_positions;
    for_each_task(device, device.lanes(), x.batch() * blocks, [&](index lane, index task) {
        const index first = task % blocks * blend_positions;
        const index rest = x.positions() - first;
        body(lane, task, task / blocks, first, least(rest, blend_positions));
    });
}

// weight_of(head) is s, a double.
template <class T, class Weight>
void blend(const view<T>& y, const view<const T>& a, const view<const T>& b, const Weight& weight_of,
           device_ref device) {
    const auto& leaf = elementwise_leaves_on_target<T>();
    for_each_blend_task(y, device, [&](index, index, index batch, index first, index n) {
        for (index h = 0; h < y.heads(); ++h) {
            const double s = weight_of(h);
            const T numbers[] = {static_cast<T>(s), static_cast<T>(1 - s)};
            const element_rows<const T> in[] = {head_rows(a, batch, h, first), head_rows(b, batch, h, first)};
            const element_rows<T> out[] = {head_rows(y, batch, h, first)};
            leaf.blend(in, out, numbers, n, y.features());
        }
    });
}

// Writes da, db and, for each head, ds.
template <class T, class Weight>
void blend_backward(const view<T>& da, const view<T>& db, double* ds, const view<const T>& g,
                    const view<const T>& a, const view<const T>& b, const Weight& weight_of,
                    device_ref device, workspace& scratch) {
    const auto& leaf = elementwise_leaves_on_target<T>();
    const index tasks = g.batch() * ((g.positions() + blend_positions - 1) / blend_positions);
    const std::size_t parts_bytes = cache_lines(static_cast<std::size_t>(tasks * g.heads()) * sizeof(double));
    const std::size_t row_bytes = cache_lines(static_cast<std::size_t>(g.features()) * sizeof(T));
    char* const base = static_cast<char*>(
        scratch.reserve(parts_bytes + row_bytes * static_cast<std::size_t>(device.lanes())));
    double* const parts = reinterpret_cast<double*>(base);
    for_each_blend_task(g, device, [&](index lane, index task, index batch, index first, index n) {
        T* const row = reinterpret_cast<T*>(base + parts_bytes + row_bytes * static_cast<std::size_t>(lane));
        for (index h = 0; h < g.heads(); ++h) {
            const double s = weight_of(h);
            const T numbers[] = {static_cast<T>(s), static_cast<T>(1 - s)};
            clear(row, g.features());
            const element_rows<const T> in[] = {{row, 0},
                                                head_rows(g, batch, h, first),
                                                head_rows(a, batch, h, first),
                                                head_rows(b, batch, h, first)};
            const element_rows<T> out[] = {
                {row, 0}, head_rows(da, batch, h, first), head_rows(db, batch, h, first)};
            leaf.blend_gradients(in, out, numbers, n, g.features());
            double sum = 0;
            for (index f = 0; f < g.features(); ++f) sum += static_cast<double>(row[f]);
            parts[task * g.heads() + h] = sum;
        }
    });
    for (index h = 0; h < g.heads(); ++h) {
        ds[h] = 0;
        for (index task = 0; task < tasks; ++task) ds[h] += parts[task * g.heads() + h];
    }
}

}  // namespace heed::inline HEED_ABI::detail
