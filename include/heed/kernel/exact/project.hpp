// SPDX-License-Identifier: MIT
// heed/kernel/exact/project.hpp: keys or values mixed along their positions, x' = P x
//
// P is (rank, positions), x (positions, features). Positions go in tiles whose sums start at zero and are
// added once, and so are those of groups of tiles. Rows of the result are tasks of a fixed size, so that its
// bits depend on no thread.
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/linear/matrix.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

// Rows of the result in a task.
inline constexpr index project_rows = 64;

template <class E>
struct projection {
    using T = typename exact_problem<E>::T;

    strided<const E> by;    // (1, kv_head, rank, position)
    strided<const E> from;  // (batch, kv_head, position, feature)
    E* to = nullptr;        // (batch, kv_head, rank, feature), dense
    index heads = 0;
    index rank = 0;
    index positions = 0;
    index features = 0;

    index row_tasks() const { return (rank + project_rows - 1) / project_rows; }
    index row(const exact_leaves<E>& leaf) const { return rounded_up(features, leaf.pack_lanes); }

    void take(arena& r, const exact_leaves<E>& leaf, T*& sums, T*& upper, T*& numbers, T*& rows) const {
        sums = r.take<T>(project_rows * row(leaf));
        upper = r.take<T>(positions > group_keys ? project_rows * row(leaf) : 0);
        numbers = r.take<T>(project_rows * tile_keys);
        rows = r.take<T>(tile_keys * row(leaf));
    }
    std::size_t bytes(const exact_leaves<E>& leaf) const {
        arena count;
        T* piece;
        take(count, leaf, piece, piece, piece, piece);
        return count.bytes();
    }

    // Rows [task * project_rows, …) of one head.
    void run(const exact_leaves<E>& leaf, index b, index h, index task, void* memory) const {
        arena r(memory);
        T* sums;
        T* upper;
        T* numbers;
        T* rows;
        take(r, leaf, sums, upper, numbers, rows);
        const bool grouped = positions > group_keys;
        if (grouped) clear(upper, project_rows * row(leaf));
        const index first = task * project_rows;
        const index count = least(rank - first, project_rows);
        // Rows of whole packs are read where they stand; others are copied, zeros behind them.
        const bool direct = std::is_same_v<E, T> && from.stride[3] == 1 && row(leaf) == features;
        if (!direct) clear(rows, tile_keys * row(leaf));
        for (index p = 0; p < positions; p += tile_keys) {
            const index length = least(tile_keys, positions - p);
            if (!direct)
                leaf.widen(from.row(b, h, p), from.stride[2], from.stride[3], length, features, rows,
                           row(leaf));
            leaf.widen(by.row(0, h, first) + p * by.stride[3], by.stride[2], by.stride[3], count, length,
                       numbers, tile_keys);
            matrix_product<T> product{};
            product.a = numbers;
            product.a_row = tile_keys;
            product.a_step = 1;
            product.b = direct ? reinterpret_cast<const T*>(from.row(b, h, p)) : rows;
            product.b_row = direct ? from.stride[2] : row(leaf);
            product.c = sums;
            product.c_row = row(leaf);
            product.rows = count;
            product.count = length;
            product.columns = row(leaf) / leaf.pack_lanes;
            product.add = p > 0 ? 1 : 0;
            multiply_on_target(product);
            const index done = p + length;
            if (grouped && (done % group_keys == 0 || done == positions))
                leaf.carry(upper, sums, 1, 0, count * row(leaf), nullptr);
        }
        const T* const result = grouped ? upper : sums;
        for (index i = 0; i < count; ++i)
            leaf.narrow(result + i * row(leaf), features,
                        to + ((b * heads + h) * rank + first + i) * features, 1);
    }
};

// Keys and values, projected side by side on the lanes of a device.
template <class E>
void project(const projection<E>& keys, const projection<E>& values, index batch, device_ref device,
             workspace& memory) {
    const exact_leaves<E>& leaf = leaves_on_target<E>();
    const index tasks = batch * keys.heads * keys.row_tasks() * 2;
    index lanes = device.lanes();
    if (lanes > tasks) lanes = tasks;
    const std::size_t one = keys.bytes(leaf);
    const std::size_t other = values.bytes(leaf);
    const std::size_t each = cache_lines(one > other ? one : other);
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        const projection<E>& p = task % 2 == 0 ? keys : values;
        const index rows = task / 2 % p.row_tasks();
        const index head = task / 2 / p.row_tasks();
        p.run(leaf, head / p.heads, head % p.heads, rows, base + each * static_cast<std::size_t>(lane));
    });
}

}  // namespace heed::inline HEED_ABI::detail
