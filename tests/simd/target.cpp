// SPDX-License-Identifier: MIT
// tests/simd/target.cpp: which target is chosen, and what HEED_TARGET may say
#include <cstdlib>
#include <string>

#include <heed/simd/target.hpp>

#include "support/catch.hpp"

#if !defined(HEED_STATIC_TARGET)  // which leaves nothing to choose
namespace {

// The choice for a value of HEED_TARGET; the program's own was made before and does not change.
heed::target chosen(const char* value) {
    if (value)
        ::setenv("HEED_TARGET", value, 1);
    else
        ::unsetenv("HEED_TARGET");
    return heed::detail::capped_target();
}

}  // namespace

TEST_CASE("HEED_TARGET caps the choice") {
    const char* before = std::getenv("HEED_TARGET");
    const std::string kept = before ? before : "";
    const heed::target active = heed::active_target();
    if (before && *before) CHECK(static_cast<int>(active) <= static_cast<int>(heed::detail::best_target()));

    const heed::target best = heed::detail::best_target();
    CHECK(chosen(nullptr) == best);
    CHECK(chosen("") == best);
    CHECK(chosen("portable") == heed::target::portable);
    for (const auto t : {heed::target::baseline, heed::target::avx2, heed::target::avx512})
        CHECK(chosen(std::string(heed::name(t)).c_str()) == (t < best ? t : best));
#if defined(__cpp_exceptions)
    for (const char* wrong : {"AVX2", "avx", "native", " avx2"}) {
        std::string text;
        try {
            (void)chosen(wrong);
        } catch (const heed::error& e) {
            text = e.what();
        }
        CHECK(text == std::string("heed::active_target: HEED_TARGET is '") + wrong +
                          "', needs one of avx512, avx2, baseline, portable");
    }
#endif
    // Fixed at the first call.
    CHECK(heed::active_target() == active);
    if (before)
        ::setenv("HEED_TARGET", kept.c_str(), 1);
    else
        ::unsetenv("HEED_TARGET");
}
#endif

TEST_CASE("the run is on the target its name says, if the processor has it") {
    const char* wanted = std::getenv("HEED_TARGET");
    for (const auto t :
         {heed::target::portable, heed::target::baseline, heed::target::avx2, heed::target::avx512})
        if (wanted && heed::name(t) == wanted && t <= heed::detail::best_target())
            CHECK(heed::active_target() == t);
    CHECK(heed::active_target() <= heed::detail::best_target());
}
