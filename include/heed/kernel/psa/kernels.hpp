// SPDX-License-Identifier: MIT
// heed/kernel/psa/kernels.hpp: the leaves of progressive sparse attention, compiled for every target
#pragma once

#include <heed/kernel/psa/leaves-inl.hpp>
#include <heed/kernel/rows/run.hpp>
#include <heed/kernel/select/threshold.hpp>
#include <heed/kernel/sparse/polynomial.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const psa_leaves<T>& psa_leaves_on_target() {
    HEED_RETURN_ON_TARGET(psa_leaves<T>());
}
HEED_ONCE_FOR_SUMS(psa_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
