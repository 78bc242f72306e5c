// SPDX-License-Identifier: MIT
// tests/support/catch.hpp: Catch2 v2 or v3, whichever is installed
//
// Both offer TEST_CASE, SECTION, GENERATE, CHECK, REQUIRE, INFO, CAPTURE. What differs stands here under
// one name: v2 has no SKIP, and the matcher for a part of a string was renamed. Never assert from a
// worker thread: neither version allows it.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace heed_test {

// For CHECK_THROWS_WITH(call(), contains("k has 640")).
inline auto contains(const std::string& text) {
#if __has_include(<catch2/catch_all.hpp>)
    return Catch::Matchers::ContainsSubstring(text);
#else
    return Catch::Matchers::Contains(text);
#endif
}

// Says why; a program that did nothing but skip is reported as "Skipped" by ctest (main.cpp).
void skip(const char* reason);

}  // namespace heed_test

// Leaves the test case.
#define HEED_SKIP(reason)          \
    do {                           \
        ::heed_test::skip(reason); \
        return;                    \
    } while (false)
