// SPDX-License-Identifier: MIT
// heed/kernel/layers/kernels.hpp: the leaves of the layers around attention, compiled for every target
#pragma once

#include <heed/kernel/layers/activation-inl.hpp>
#include <heed/kernel/layers/batch_norm-inl.hpp>
#include <heed/kernel/layers/branch-inl.hpp>
#include <heed/kernel/layers/leaves.hpp>
#include <heed/kernel/layers/loss-inl.hpp>
#include <heed/kernel/layers/norm-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const norm_leaves<T>& norm_leaves_on_target() {
    HEED_RETURN_ON_TARGET(norm_leaves<T>());
}
HEED_ONCE_FOR_SUMS(norm_leaves_on_target);

template <class T>
const batch_norm_leaves<T>& batch_norm_leaves_on_target() {
    HEED_RETURN_ON_TARGET(batch_norm_leaves<T>());
}
HEED_ONCE_FOR_SUMS(batch_norm_leaves_on_target);

template <class T>
sum_rows_leaf<T> sum_rows_on_target() {
    HEED_RETURN_ON_TARGET(sum_rows_of<T>());
}
HEED_ONCE_FOR_SUMS(sum_rows_on_target);

template <class T>
const activation_leaves<T>& activation_leaves_on_target() {
    HEED_RETURN_ON_TARGET(activation_leaves<T>());
}
HEED_ONCE_FOR_SUMS(activation_leaves_on_target);

template <class T>
const branch_leaves<T>& branch_leaves_on_target() {
    HEED_RETURN_ON_TARGET(branch_leaves<T>());
}
HEED_ONCE_FOR_SUMS(branch_leaves_on_target);

template <class T>
softmax_loss_leaf<T> softmax_loss_on_target() {
    HEED_RETURN_ON_TARGET(softmax_loss_of<T>());
}
HEED_ONCE_FOR_SUMS(softmax_loss_on_target);

}  // namespace heed::inline HEED_ABI::detail
