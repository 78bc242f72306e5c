// SPDX-License-Identifier: MIT
// tests/properties/combinations_3.cpp: the third third of the option sets (see combinations-inl.hpp)
#include "properties/combinations-inl.hpp"

using namespace combinations;

TEST_CASE("option set 11") {
    check<causal | window | lengths | dense | predicate | prefix | documents | scaled | capped | biased |
          staged | scratch>(50);
}
TEST_CASE("option set 12") {
    check<causal | window | capped | distance | sunk | weighted, Eigen::bfloat16>(50);
}
TEST_CASE("option set 13") {
    check<lengths | inverted | scored | distance | sunk | dropped | weighted | threaded | scratch>(50);
}
TEST_CASE("option set 14") {
    check<lengths | dense | predicate | inverted | scaled | capped | scored | distance | biased | dropped |
          weighted | staged>(50);
}
