// SPDX-License-Identifier: MIT
// heed/score/scale.hpp: the factor of the scores, s = x <q, k>
#pragma once

#include <heed/core/option.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

struct scale_option : option<option_kind::scale> {
    double factor;
    explicit scale_option(double x) : factor(x) {}
};

}  // namespace detail

// Any number, zero and negative ones too; without it 1 / sqrt(head_dim).
inline auto scale(double factor) { return detail::scale_option(factor); }

}  // namespace HEED_ABI
}  // namespace heed
