// SPDX-License-Identifier: MIT
// heed/kernel/gates/gates.hpp: the numbers that steer an attention, in place: sigmoid(x), and the logarithm
// of a decay -softplus(x) = -ln(1 + e^x), whose derivative is -sigmoid(x)
#pragma once

#include <heed/core/tensor.hpp>
#include <heed/kernel/gates/gates-inl.hpp>
#include <heed/kernel/sparse/rows.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const gate_leaves<T>& gate_leaves_on_target() {
    HEED_RETURN_ON_TARGET(gate_leaves<T>());
}
HEED_ONCE_FOR_SUMS(gate_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
