// SPDX-License-Identifier: MIT
// heed/kernel/layers/row_blocks.hpp: rows cut into blocks for the threads, and sums over all rows
//
// A sum over rows is cut by the number of rows alone, into at most 64 splits; within a split, runs of 64
// rows are summed from zero and then added. Splits are added first to last. So its bits do not depend on the
// threads, and its rounding grows with a few hundred terms rather than with all rows.
#pragma once

#include <heed/core/resources.hpp>
#include <heed/kernel/layers/kernels.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

// body(first, count) for blocks of rows that stay in the first-level cache.
template <class Body>
void for_each_row_block(device_ref device, index rows, index width, const Body& body) {
    const index each = width >= 8192 ? 1 : 8192 / (width > 0 ? width : 1);
    for_each_task(device, device.lanes(), (rows + each - 1) / each, [&](index, index task) {
        const index first = task * each;
        body(first, least(each, rows - first));
    });
}

struct row_splits {
    static constexpr index run = 64;
    static constexpr index most = 64;
    index rows;
    index each;
    index count;

    explicit row_splits(index n) : rows(n) {
        each = rounded_up((rows + most - 1) / most, run);
        count = each == 0 ? 0 : (rows + each - 1) / each;
    }
};

// Adds to sums[0], …, each `width` long, what body(first, count, to) adds up in to[0], … over runs of rows.
template <int Sums, class T, class Body>
void add_over_rows(T* const (&sums)[Sums], index rows, index width, device_ref device, workspace& scratch,
                   const Body& body) {
    const row_splits splits(rows);
    const index pad = rounded_up(width, 16);
    const index each = 2 * Sums * pad;  // the sums of a split, and those of a run
    T* const partial =
        static_cast<T*>(scratch.reserve(static_cast<std::size_t>(splits.count * each) * sizeof(T)));
    const sum_rows_leaf<T> add = sum_rows_on_target<T>();
    for_each_task(device, device.lanes(), splits.count, [&](index, index split) {
        T* const total = partial + split * each;
        clear(total, each / 2);
        const index last = least((split + 1) * splits.each, rows);
        for (index first = split * splits.each; first < last; first += row_splits::run) {
            T* to[Sums];
            for (int i = 0; i < Sums; ++i) to[i] = total + (Sums + i) * pad;
            clear(to[0], each / 2);
            body(first, least(row_splits::run, last - first), to);
            add(to[0], 1, 0, each / 2, total);
        }
    });
    for (int i = 0; i < Sums; ++i) add(partial + i * pad, splits.count, each, width, sums[i]);
}

}  // namespace heed::inline HEED_ABI::detail
