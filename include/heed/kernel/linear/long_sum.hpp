// SPDX-License-Identifier: MIT
// heed/kernel/linear/long_sum.hpp: a sum of logarithms that keeps the digits of its last step
#pragma once

#include <heed/kernel/linear/problem.hpp>

namespace heed::inline HEED_ABI::detail {

// In two doubles, the second what rounding the first has lost: behind a step of -1e4 the next ones keep
// their digits, for double too.
class long_sum {
public:
    // Adds a step and gives the sum as two numbers of T.
    template <class T>
    void add(double step, T& high, T& low) {
        step = step < min_log_decay ? min_log_decay : step;
        const double before = high_;
        high_ = before + step;
        const double moved = high_ - before;
        low_ += (before - (high_ - moved)) + (step - moved);
        high = static_cast<T>(high_);
        low = static_cast<T>((high_ - static_cast<double>(high)) + low_);
    }

private:
    double high_ = 0;
    double low_ = 0;
};

}  // namespace heed::inline HEED_ABI::detail
