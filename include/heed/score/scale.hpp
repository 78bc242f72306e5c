// SPDX-License-Identifier: MIT
// heed/score/scale.hpp: the factor of the scores, s = x <q, k>
#pragma once

#include <cmath>
#include <string_view>

#include <heed/core/error.hpp>
#include <heed/core/option.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct scale_option : option<option_kind::scale> {
    double factor;
    explicit scale_option(double x) : factor(x) {}
    auto content() const { return std::tie(factor); }
};

// Without an option.
inline double usual_scale(index head_dim) { return 1 / std::sqrt(static_cast<double>(head_dim)); }

// The factor of a call in the type S of its scores: its option's, or `otherwise`.
template <class S>
S scale_of(std::string_view function, double otherwise, const auto&... options) {
    const auto& given = pick<option_kind::scale>(options...);
    if constexpr (is_absent<decltype(given)>) {
        return static_cast<S>(otherwise);
    } else {
        if (!((std::abs)(given.factor) <= 3e38))
            fail(function, {"scale is ", given.factor, ", needs a finite number"});
        return static_cast<S>(given.factor);
    }
}

}  // namespace detail

// Any number, zero and negative ones too; without it 1 / sqrt(head_dim).
inline auto scale(double factor) { return detail::scale_option(factor); }

}  // namespace heed::inline HEED_ABI
