// SPDX-License-Identifier: MIT
// tests/smoke/cummax.cpp: cummax attention, to the bit: does it run here?
#include "support/cummax_problem.hpp"

TEST_CASE("cummax attention") {
    for (const long length : {3L, 200L}) {
        support::random r(1);
        const auto p = support::cummax_problem<float>::random<float>(r, {2, 3, length, 33}, true, false);
        const support::cummax_inputs<float> in(p);
        CHECK(support::same_numbers(support::elements(heed::cummax_attention(in.o, in.a1, in.a2)),
                                    support::rounded_to<float>(cummax_reference::forward(p))));
    }
}
