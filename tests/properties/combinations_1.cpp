// SPDX-License-Identifier: MIT
// tests/properties/combinations_1.cpp: the first third of the option sets (see combinations-inl.hpp)
#include "properties/combinations-inl.hpp"

using namespace combinations;

TEST_CASE("option set 1") {
    check<causal | predicate | scaled | capped | distance | biased | dropped | scratch>(50);
}
TEST_CASE("option set 2") { check<dense | prefix | scored | sunk | scratch>(50); }
TEST_CASE("option set 3") {
    check<causal | window | dense | inverted | scaled | capped | scored | distance | biased | sunk | staged |
          threaded>(50);
}
TEST_CASE("option set 4") {
    check<lengths | dense | prefix | documents | inverted | scaled | scored | dropped | staged | scratch,
          double>(50);
}
TEST_CASE("option set 5") {
    check<window | dense | predicate | documents | inverted | scored | distance | sunk | dropped | weighted |
          staged | threaded>(50);
}
