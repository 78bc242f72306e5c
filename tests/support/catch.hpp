// SPDX-License-Identifier: MIT
// tests/support/catch.hpp: Catch2 v2 or v3, whichever is installed
//
// Both offer TEST_CASE, SECTION, GENERATE, CHECK, REQUIRE, INFO, CAPTURE, Approx. v2 has no SKIP and v3
// moved Approx into Catch::, so HEED_SKIP and heed_test::Approx stand for them. Never assert from a
// worker thread: neither version allows it.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

namespace heed_test {
using Catch::Matchers::Contains;
void skip(const char* reason);  // main.cpp: says so; a program that only skipped reports "Skipped" to ctest
}  // namespace heed_test

// Leaves the test case or section.
#define HEED_SKIP(reason)      \
  do {                         \
    ::heed_test::skip(reason); \
    return;                    \
  } while (false)
