// SPDX-License-Identifier: MIT
// heed/sparse/schedule.hpp: how sparse to be at a step of training
//
//     rho(t) = 1                                for t <= warmup_steps
//     rho(t) = end + (1 - end) (1 - u)^p        u = (t - warmup_steps) / steps, 1 at most
//
// p is 1 for the linear ramp and 3 for the cubic one, which thins out early, while there is much to spare,
// and slowly at the end. rho is what top_fraction and psa take:
//
//     const heed::sparsity_schedule fraction{.end = 0.1, .steps = 10000, .ramp = heed::ramp::cubic};
//     y = heed::attention(q, k, v, heed::psa(fraction(step)));
//
// Source of the cubic ramp: Zhu & Gupta (arXiv 1710.01878).
#pragma once

#include <heed/core/error.hpp>

namespace heed::inline HEED_ABI {

enum class ramp { linear, cubic };

struct sparsity_schedule {
    double end = 0.1;  // the fraction of the keys that is kept in the end, above 0 and at most 1
    index steps = 1;   // from 1 to the end
    index warmup_steps = 0;
    heed::ramp ramp = heed::ramp::linear;

    // The fraction at a step, counted from 0. Throws heed::error where a number is out of range.
    double operator()(index step) const {
        if (!(end > 0 && end <= 1))
            detail::fail("sparsity_schedule", {"end is ", end, ", needs a number above 0, at most 1"});
        if (steps < 1) detail::fail("sparsity_schedule", {"steps is ", steps, ", needs at least 1"});
        if (warmup_steps < 0)
            detail::fail("sparsity_schedule", {"warmup_steps is ", warmup_steps, ", needs at least 0"});
        if (step < 0) detail::fail("sparsity_schedule", {"step is ", step, ", needs at least 0"});
        detail::check_enumerator("sparsity_schedule", "ramp", ramp, 2);
        if (step <= warmup_steps) return 1;
        const index past = step - warmup_steps;
        if (past >= steps) return end;
        const double left = 1 - static_cast<double>(past) / static_cast<double>(steps);
        return end + (1 - end) * (ramp == heed::ramp::linear ? left : left * left * left);
    }
};

}  // namespace heed::inline HEED_ABI
