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
#include <heed/kernel/dense/matrix.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

inline constexpr index depth_block = 256;

// c = a b, or c += a b when `add`; with `bias` (c.columns numbers, or null) added to every row. c overlaps
// none of the others. On `device`, or on this thread where it is null or one_thread; scratch memory comes
// from `memory`.
template <class T, class D>
void multiply(const matrix<T>& c, const std::type_identity_t<matrix<const T>>& a,
              const std::type_identity_t<matrix<const T>>& b, const std::type_identity_t<T>* bias, bool add,
              const D* device, workspace& memory) {
    (void)memory;
    const index lanes = device == nullptr ? 1 : lanes_of(device);
    for_each_task(device, lanes, c.rows, [&](index, index i) {
        for (index j = 0; j < c.columns; ++j) {
            T& to = c.data[i * c.row_stride + j * c.column_stride];
            T total = add ? to : T(0);
            if (bias != nullptr) total += bias[j];
            for (index first = 0; first < a.columns; first += depth_block) {
                const index end = a.columns - first < depth_block ? a.columns : first + depth_block;
                T sum = 0;
                for (index k = first; k < end; ++k)
                    sum += a.data[i * a.row_stride + k * a.column_stride] *
                           b.data[k * b.row_stride + j * b.column_stride];
                total += sum;
            }
            to = total;
        }
    });
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
