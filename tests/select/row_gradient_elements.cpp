// SPDX-License-Identifier: MIT
// tests/select/row_gradient_elements.cpp: gradients of the kept keys in the other element types
#include "support/kept_gradient.hpp"

namespace {

template <class T>
void check_element(std::uint64_t seed) {
    support::for_gradient_problems<T>(seed, 24, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r, 1);
        support::make_causal(p);
        support::keep_only(p, support::best_share(0.25));
        support::check_kept<T>(p, r, heed::top_fraction(0.25));
    });
}

}  // namespace

TEST_CASE("double") { check_element<double>(3311); }
TEST_CASE("half") { check_element<Eigen::half>(3312); }
TEST_CASE("bfloat16") { check_element<Eigen::bfloat16>(3313); }
