// SPDX-License-Identifier: MIT
// tests/support/call.hpp: solve one random problem with heed and check it
#pragma once

#include <heed/attention.hpp>

#include "check.hpp"

namespace support {

// Calls heed with the problem's tensors and these options, plus the log-sum-exp.
template <class T, class... Options>
void check_call(const reference::problem& p, const Options&... options) {
    const inputs<T> in(p);
    tensor<T> y(p.batch, p.heads, p.queries, p.d_v);
    tensor<sum_type<T>, 3> lse(p.batch, p.heads, p.queries);
    y.setConstant(static_cast<T>(-77.0f));
    lse.setConstant(sum_type<T>(-77));
    heed::attention_into(y, in.q, in.k, in.v, options..., heed::logsumexp(lse));
    check<T>(p, y, &lse);
}

}  // namespace support
