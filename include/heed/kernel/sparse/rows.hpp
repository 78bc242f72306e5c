// SPDX-License-Identifier: MIT
// heed/kernel/sparse/rows.hpp: functions of the last axis of a tensor, row by row over threads
//
// A row whose elements are neighbours of the type sums are kept in is worked on where it stands; any other
// goes through scratch. Rows are cut into tasks; a row's bits do not depend on its task.
#pragma once

#include <heed/core/check.hpp>
#include <heed/core/resources.hpp>
#include <heed/kernel/scratch.hpp>
#include <heed/kernel/sparse/rows-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
row_conversions<E> row_conversions_on_target() {
    HEED_RETURN_ON_TARGET(row_conversions<E>());
}
HEED_ONCE_FOR_ELEMENTS(row_conversions_on_target);

template <class E, class T = typename row_conversions<E>::T>
const T* read_row(const row_conversions<E>& convert, const strided<const E>& x, index b, index h, index p,
                  index n, T* scratch) {
    const E* const row = x.row(b, h, p);
    if constexpr (std::is_same_v<E, T>)
        if (x.stride[3] == 1) return row;
    convert.widen(row, 0, x.stride[3], 1, n, scratch, 0);
    return scratch;
}
template <class E, class T = typename row_conversions<E>::T>
const T* read_row(const row_conversions<E>& convert, const stored_or_sum<const E, const T>& x, index b,
                  index h, index p, index n, T* scratch) {
    if (x.sums.data == nullptr) return read_row(convert, x.stored, b, h, p, n, scratch);
    if (x.sums.stride[3] == 1) return x.sums.row(b, h, p);
    read_rows(x, convert.widen, b, h, p, 1, n, scratch, 0);
    return scratch;
}
// Where a row is to be written: in place, or into the scratch; put_row copies it from there.
template <class E, class T = typename row_conversions<E>::T>
T* row_to_write(const strided<E>& y, index b, index h, index p, T* scratch) {
    if constexpr (std::is_same_v<E, T>)
        if (y.stride[3] == 1) return y.row(b, h, p);
    return scratch;
}
template <class E, class T = typename row_conversions<E>::T>
void put_row(const row_conversions<E>& convert, const strided<E>& y, index b, index h, index p, index n,
             const T* scratch) {
    if constexpr (std::is_same_v<E, T>)
        if (y.stride[3] == 1) return;
    convert.narrow(scratch, n, y.row(b, h, p), y.stride[3]);
}

// body(batch, head, position, scratch) for every row of these extents, with scratch for `scratch_rows` rows
// of T.
template <class T, class Body, class... Options>
void for_each_row(const std::array<index, 4>& extents, index scratch_rows, const Body& body,
                  const Options&... options) {
    const index n = extents[3];
    const index rows = extents[0] * extents[1] * extents[2];
    if (rows == 0 || n == 0) return;
    workspace own;
    workspace& memory = workspace_of(own, options...);
    const device_ref device = device_of(options...);
    const index together = n >= 4096 ? 1 : 4096 / n;
    const index tasks = (rows + together - 1) / together;
    index lanes = device.lanes();
    if (lanes > tasks) lanes = tasks;
    const index row_size = rounded_up(n, 64 / static_cast<index>(sizeof(T)));
    T* const scratch = static_cast<T*>(
        memory.reserve(static_cast<std::size_t>(lanes * scratch_rows * row_size) * sizeof(T)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        const index end = least((task + 1) * together, rows);
        for (index r = task * together; r < end; ++r)
            body(r / extents[2] / extents[1], r / extents[2] % extents[1], r % extents[2],
                 scratch + lane * scratch_rows * row_size);
    });
}

}  // namespace heed::inline HEED_ABI::detail
