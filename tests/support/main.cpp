// SPDX-License-Identifier: MIT
// tests/support/main.cpp: main of every test program, compiled once
//
// Our own rather than Catch2's, to know that a program did nothing but skip, and to turn floating-point
// traps on (HEED_FPE=1 in the environment, where the C library can) before the first test case.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_RUNNER
#endif
#include "support/catch.hpp"
#include "support/traps.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#if defined(__GLIBC__)
#include <cfenv>
#endif

namespace {
int skipped = 0;
std::size_t assertions = 0;

#if defined(CATCH_VERSION_MAJOR) && CATCH_VERSION_MAJOR >= 3
using listener_base = Catch::EventListenerBase;
#else
using listener_base = Catch::TestEventListenerBase;
#endif

struct assertion_counter : listener_base {
    using listener_base::listener_base;
    void testRunEnded(const Catch::TestRunStats& stats) override {
        assertions = static_cast<std::size_t>(stats.totals.assertions.total());
    }
};
}  // namespace
CATCH_REGISTER_LISTENER(assertion_counter)

void heed_test::skip(const char* reason) {
    std::fprintf(stderr, "SKIPPED: %s\n", reason);
    ++skipped;
}

#if defined(__GLIBC__)
heed_test::without_traps::without_traps(bool wanted) : kept_(wanted ? fedisableexcept(FE_ALL_EXCEPT) : 0) {}
heed_test::without_traps::~without_traps() {
    if (kept_ == 0) return;
    feclearexcept(FE_ALL_EXCEPT);  // what was raised meanwhile is not the next operation's
    feenableexcept(kept_);
}
#else
heed_test::without_traps::without_traps(bool) {}
heed_test::without_traps::~without_traps() { (void)kept_; }
#endif

int main(int argc, char** argv) {
#if defined(__GLIBC__)
    const char* const traps = std::getenv("HEED_FPE");
    if (traps != nullptr && std::strcmp(traps, "1") == 0)
        feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW);
#endif
    const int result = Catch::Session().run(argc, argv);
    const bool only_skipped = result == 0 && skipped > 0 && assertions == 0;
    return only_skipped ? HEED_SKIPPED : result;
}
