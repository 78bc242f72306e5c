// SPDX-License-Identifier: MIT
// heed/kernel/elementwise/l2_normalize.hpp: rows of length 1, y = x / sqrt(<x, x> + added), and their
// gradient
//
// With r = 1 / sqrt(<x, x> + added): dx = r (dy - y <y, dy>). `added` keeps rows of zeros at zero, and those
// far shorter than its root short. A row whose square overflows is scaled by a power of two first, so that
// any finite row has its length. A row's bits depend on nothing but the row.
//
// Cost: two passes over a row that stays in the cache.
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/tensor.hpp>
#include <heed/kernel/elementwise/kernels.hpp>

namespace heed::inline HEED_ABI::detail {

// Rows of x (batch, head, position, feature; features are neighbours) and what they were multiplied by.
template <class T>
struct l2_normalized {
    Eigen::Tensor<T, 4, Eigen::RowMajor> y;
    Eigen::Tensor<T, 3, Eigen::RowMajor> r;

    void forward(const view<const T>& x, T added, device_ref device) {
        y.resize(x.batch(), x.heads(), x.positions(), x.features());
        r.resize(x.batch(), x.heads(), x.positions());
        if (x.positions() == 0) return;
        const elementwise_leaves<T>& leaf = elementwise_leaves_on_target<T>();
        const view<T> to = as_view(y);
        for_each_task(device, device.lanes(), x.batch() * x.heads(), [&](index, index task) {
            const index b = task / x.heads();
            const index h = task % x.heads();
            leaf.l2_normalize(&x(b, h, 0, 0), x.strides[2], &to(b, h, 0, 0), to.strides[2],
                              r.data() + task * x.positions(), added, x.positions(), x.features());
        });
    }
    // From the gradient of y to that of x, in place.
    void backward(const view<T>& d, device_ref device) const {
        if (d.positions() == 0) return;
        const elementwise_leaves<T>& leaf = elementwise_leaves_on_target<T>();
        const view<const T> from(as_view(y));
        for_each_task(device, device.lanes(), d.batch() * d.heads(), [&](index, index task) {
            const index b = task / d.heads();
            const index h = task % d.heads();
            leaf.l2_normalize_gradient(&d(b, h, 0, 0), d.strides[2], &from(b, h, 0, 0), from.strides[2],
                                       r.data() + task * d.positions(), d.positions(), d.features());
        });
    }
};

}  // namespace heed::inline HEED_ABI::detail
