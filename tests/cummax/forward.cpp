// SPDX-License-Identifier: MIT
// tests/cummax/forward.cpp: cummax attention, to the bit of a loop over single numbers
//
// The loop (support/cummax_reference.hpp) is compiled without regions; every target has to give its bits.
#include "support/cummax_problem.hpp"
#include "support/traps.hpp"

namespace {

using cummax_reference::shape;

template <class T>
void check_bits(const shape& s, std::uint64_t seed, bool across, bool special) {
    const heed_test::without_traps quiet(special);
    support::random r(seed);
    const auto p = support::cummax_problem<support::sum_of<T>>::template random<T>(r, s, across, special);
    const support::cummax_inputs<T> in(p);
    const auto want = support::rounded_to<T>(cummax_reference::forward(p));
    INFO(support::describe(s) << (across ? ", across" : ", apart"));
    const auto y = across ? heed::cummax_attention(in.o, in.a1, in.a2)
                          : heed::cummax_attention(in.o, in.a1, in.a2, heed::heads_apart);
    CHECK(support::same_numbers(support::elements(y), want));
}

}  // namespace

TEST_CASE("the bits of a plain loop, on every target") {
    support::random r(1);
    for (int round = 0; round < 120; ++round) {
        const shape s{r.between(1, 3), r.skewed(1, 9), r.skewed(1, 300), r.skewed(1, 150)};
        const std::uint64_t seed = r.bits();
        const bool across = r.chance(0.6), special = r.chance(0.5);
        check_bits<float>(s, seed, across, special);
        if (round % 4 == 0) check_bits<double>(s, seed, across, special);
        if (round % 4 == 1) check_bits<Eigen::half>(s, seed, across, special);
        if (round % 4 == 2) check_bits<Eigen::bfloat16>(s, seed, across, special);
    }
}
