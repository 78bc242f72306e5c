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
                  index n, T* room) {
    const E* const row = x.row(b, h, p);
    if constexpr (std::is_same_v<E, T>)
        if (x.stride[3] == 1) return row;
    convert.widen(row, 0, x.stride[3], 1, n, room, 0);
    return room;
}
template <class E, class T = typename row_conversions<E>::T>
const T* read_row(const row_conversions<E>& convert, const either_tensor<const E, const T>& x, index b,
                  index h, index p, index n, T* room) {
    if (x.sums.data == nullptr) return read_row(convert, x.stored, b, h, p, n, room);
    if (x.sums.stride[3] == 1) return x.sums.row(b, h, p);
    read_rows(x, convert.widen, b, h, p, 1, n, room, 0);
    return room;
}
// Where a row is to be written: in place, or into the room; put_row brings it from there.
template <class E, class T = typename row_conversions<E>::T>
T* row_to_write(const strided<E>& y, index b, index h, index p, T* room) {
    if constexpr (std::is_same_v<E, T>)
        if (y.stride[3] == 1) return y.row(b, h, p);
    return room;
}
template <class E, class T = typename row_conversions<E>::T>
void put_row(const row_conversions<E>& convert, const strided<E>& y, index b, index h, index p, index n,
             const T* room) {
    if constexpr (std::is_same_v<E, T>)
        if (y.stride[3] == 1) return;
    convert.narrow(room, n, y.row(b, h, p), y.stride[3]);
}

// body(batch, head, position, room) for every row of these extents, with room for `rooms` rows of T.
template <class T, class Body, class... Options>
void for_each_row(const std::array<index, 4>& extents, index rooms, const Body& body,
                  const Options&... options) {
    const index n = extents[3];
    const index rows = extents[0] * extents[1] * extents[2];
    if (rows == 0 || n == 0) return;
    workspace own;
    workspace& memory = workspace_of(own, options...);
    const device_ref device_ = device_of(options...);
    const index together = n >= 4096 ? 1 : 4096 / n;
    const index tasks = (rows + together - 1) / together;
    index lanes = device_.lanes();
    if (lanes > tasks) lanes = tasks;
    const index row_room = rounded_up(n, 64 / static_cast<index>(sizeof(T)));
    T* const room =
        static_cast<T*>(memory.reserve(static_cast<std::size_t>(lanes * rooms * row_room) * sizeof(T)));
    for_each_task(device_, lanes, tasks, [&](index lane, index task) {
        const index end = least((task + 1) * together, rows);
        for (index r = task * together; r < end; ++r)
            body(r / extents[2] / extents[1], r / extents[2] % extents[1], r % extents[2],
                 room + lane * rooms * row_room);
    });
}

}  // namespace heed::inline HEED_ABI::detail
