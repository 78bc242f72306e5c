// SPDX-License-Identifier: MIT
// tests/properties/combinations_2.cpp: the second third of the option sets (see combinations-inl.hpp)
#include "properties/combinations-inl.hpp"

using namespace combinations;

TEST_CASE("option set 6") {
    check<lengths | dense | prefix | documents | capped | distance | dropped | weighted | threaded | scratch>(
        50);
}
TEST_CASE("option set 7") {
    check<window | documents | scaled | capped | scored | biased | dropped | weighted | staged | threaded |
          scratch>(50);
}
TEST_CASE("option set 8") {
    check<prefix | documents | inverted | capped | scored | distance | dropped | weighted | staged |
          threaded | scratch>(50);
}
TEST_CASE("option set 9") {
    check<causal | predicate | prefix | documents | scaled | biased | scratch, Eigen::half>(50);
}
TEST_CASE("option set 10") {
    check<causal | window | lengths | dense | prefix | documents | inverted | biased | dropped | weighted |
          threaded>(50);
}
