// SPDX-License-Identifier: MIT
// tests/smoke/linear.cpp: linear attention with decay and delta rule, with its state: does it run here?
#include "support/linear_call.hpp"

TEST_CASE("linear attention") {
    support::random r(1);
    for (const long length : {5L, 150L}) {
        support::linear_shape s;
        s.heads = 4, s.kv_heads = 2, s.queries = s.keys = length, s.d_k = 17, s.d_v = 20;
        auto p = support::linear<float>(r, s, support::rule::gated_delta);
        p.causal = true;
        const support::linear_inputs<float> in(p);
        support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
        support::tensor<float> state(p.batch, p.kv_heads, p.feature_count(), p.columns());
        heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, heed::decay(in.decay),
                                    heed::delta(in.beta), heed::final_state(state));
        const auto last = support::values(state);
        support::check_linear<float>(p, support::values(y), &last);
    }
}
