// SPDX-License-Identifier: MIT
// tests/support/gradient_mask.hpp: the backward under a mask, by the oracle and by the same mask as a tensor
#pragma once

#include "attention_gradient_call.hpp"

namespace support {

// p.visible says what the options do. The tensor that says the same gives the same bits.
template <class... Options>
void check_mask_backward(const reference::problem& p, random& r, const Options&... options) {
    const backward_inputs<float> in(p, r, options...);
    const auto truth = reference::solve<double>(p);
    const auto got = in.gradients(p, options...);
    check_gradients<float>(p, truth, reference::differentiate(p, truth, in.from), got);
    tensor<bool> same(p.batch, p.heads, p.queries, p.keys);
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i)
                for (long j = 0; j < p.keys; ++j) same(b, h, i, j) = p.visible({b, h, i, j});
    INFO(describe(p));
    CHECK(in.gradients(p, heed::mask(same)) == got);
}

}  // namespace support
