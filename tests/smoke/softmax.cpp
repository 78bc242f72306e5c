// SPDX-License-Identifier: MIT
// tests/smoke/softmax.cpp: softmax attention, whole, with patterns, chosen keys and backward: does it run
// here?
#include <heed/select/top_k.hpp>

#include "support/attention_gradient_call.hpp"
#include "support/call.hpp"

TEST_CASE("softmax attention") {
    support::random r(1);
    for (const long queries : {1L, 70L}) {
        auto p = support::problem<float>(r, 2, 4, 2, queries, 150, 33, 20);
        support::check_call<float>(p);
        p.visible = [queries](reference::place i) { return i.key <= i.query + 150 - queries; };
        const support::inputs<float> in(p);
        support::check<float>(p, heed::attention(in.q, in.k, in.v, heed::causal));
        // No key is left out where the best of all are taken.
        support::check<float>(p, heed::attention(in.q, in.k, in.v, heed::causal, heed::top_k(150)));
    }
}

TEST_CASE("its gradients") {
    support::random r(2);
    support::check_backward<float>(support::problem<float>(r, 1, 4, 2, 40, 70, 17, 9), r);
}
