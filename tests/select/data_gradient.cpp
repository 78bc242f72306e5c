// SPDX-License-Identifier: MIT
// tests/select/data_gradient.cpp: a selector's mask is a mask like others, forward and backward
//
// The backward chooses once more from the same q and k, and takes the choice for constant.
#include <heed/sparse.hpp>

#include "support/check.hpp"

TEST_CASE("y and the gradients are those under the same mask written out, to the bit") {
    support::random r(961);
    for (const auto& [queries, keys] : {std::pair{200L, 300L}, {130L, 130L}, {2L, 300L}}) {
        const auto p = support::problem<float>(r, 1, 4, 2, queries, keys, 12, 12);
        const support::inputs<float> in(p);
        const auto selector = heed::vertical_slash(40, 105);
        support::tensor<float> y(1, 4, queries, 12), weights(1, 4, queries, keys), masked(y.dimensions());
        support::tensor<float> dq(in.q.dimensions()), dk(in.k.dimensions()), dv(in.v.dimensions());
        support::tensor<float> dq_masked(dq.dimensions()), dk_masked(dk.dimensions()),
            dv_masked(dv.dimensions());
        support::tensor<float, 3> lse(1, 4, queries);
        heed::attention_into(y, in.q, in.k, in.v, heed::causal, selector, heed::weights(weights));
        const support::tensor<bool> kept = weights > weights.constant(0);
        heed::attention_into(y, in.q, in.k, in.v, heed::causal, selector, heed::logsumexp(lse));
        heed::attention_into(masked, in.q, in.k, in.v, heed::causal, heed::mask(kept));
        CHECK(support::same_bits(support::elements(y), support::elements(masked)));

        const support::tensor<float> dy = y + in.q;
        heed::attention_backward_into(dq, dk, dv, dy, in.q, in.k, in.v, y, lse, heed::causal, selector);
        heed::attention_backward_into(dq_masked, dk_masked, dv_masked, dy, in.q, in.k, in.v, y, lse,
                                      heed::causal, heed::mask(kept));
        CHECK(support::same_bits(support::elements(dq), support::elements(dq_masked)));
        CHECK(support::same_bits(support::elements(dk), support::elements(dk_masked)));
        CHECK(support::same_bits(support::elements(dv), support::elements(dv_masked)));
    }
}
