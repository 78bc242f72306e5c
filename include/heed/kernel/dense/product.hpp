// SPDX-License-Identifier: MIT
// heed/kernel/dense/product.hpp: the dense product of two matrices of any strides
//
//     c = a b + bias,   or   c += a b + bias
//
// A sum runs over its terms in their order, in blocks of depth_block: each block from zero, and the blocks
// are added to what stands in c, first to last. So its bits depend on the depth alone.
#pragma once

#include <type_traits>

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/dense/kernels.hpp>
#include <heed/kernel/room.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// Panels of b that are packed at a time: what a second-level cache holds.
inline constexpr index strip_panels = 8;

// c = a b, or c += a b when `add`; with `bias` (c.columns numbers, or null) added to every row. c overlaps
// none of the others. On `device`, or on this thread where it is null or one_thread; scratch memory comes
// from `memory`.
template <class T, class D>
void multiply(const matrix<T>& c, const std::type_identity_t<matrix<const T>>& a,
              const std::type_identity_t<matrix<const T>>& b, const std::type_identity_t<T>* bias, bool add,
              const D* device, workspace& memory) {
    if (c.rows == 0 || c.columns == 0) return;
    if (a.columns == 0) {
        for (index i = 0; i < c.rows; ++i)
            for (index j = 0; j < c.columns; ++j) {
                T& to = c.data[i * c.row_stride + j * c.column_stride];
                if (bias != nullptr)
                    to = add ? to + bias[j] : bias[j];
                else if (!add)
                    to = 0;
            }
        return;
    }
    const dense_leaves<T>& leaf = dense_leaves_on_target<T>();
    const index lanes = device == nullptr ? 1 : lanes_of(device);
    const index strip = strip_panels * leaf.column_panel;
    const index strips = (c.columns + strip - 1) / strip;
    room<T> counting;
    counting.take(depth_block * strip), counting.take(depth_block * leaf.row_panel);
    const std::size_t each = cache_lines(counting.bytes());
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, strips, [&](index lane, index task) {
        room<T> here(base + each * static_cast<std::size_t>(lane));
        T* const b_panels = here.take(depth_block * strip);
        T* const a_panels = here.take(depth_block * leaf.row_panel);
        const index j = task * strip;
        const index columns = least(strip, c.columns - j);
        for (index k = 0; k < a.columns; k += depth_block) {
            const index terms = least(depth_block, a.columns - k);
            leaf.pack_columns(b.data + k * b.row_stride + j * b.column_stride, b.column_stride, b.row_stride,
                              columns, terms, b_panels);
            for (index i = 0; i < c.rows; i += leaf.row_panel) {
                const index rows = least(leaf.row_panel, c.rows - i);
                leaf.pack_rows(a.data + i * a.row_stride + k * a.column_stride, a.row_stride, a.column_stride,
                               rows, terms, a_panels);
                leaf.multiply({a_panels, b_panels, terms, c.data + i * c.row_stride + j * c.column_stride,
                               c.row_stride, c.column_stride, rows, columns,
                               k == 0 && bias != nullptr ? bias + j : nullptr, add || k > 0});
            }
        }
    });
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
