// SPDX-License-Identifier: MIT
// tests/smoke/native.cpp: native sparse attention: does it run here?
#include "support/native_call.hpp"

TEST_CASE("native sparse attention") {
    support::random r(1);
    for (int i = 0; i < 8; ++i) {
        const auto p = support::native_problem<float>(r);
        const support::native_inputs<float> in(p);
        support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
        heed::native_sparse_attention_into(y, in.q, in.k, in.v, in.gates, support::sizes_of(p));
        long close = 0;
        support::check_native<float>(p, y, close);
    }
}
