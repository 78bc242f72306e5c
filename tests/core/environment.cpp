// SPDX-License-Identifier: MIT
// tests/core/environment.cpp: a call leaves the floating-point environment as it found it
//
// Rounding mode, exception masks and, on x86, the flush-to-zero bits; and a caller who has changed
// them gets sane results, since nothing in the kernels relies on rounding to nearest.
#include <cfenv>

#include "support/call.hpp"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace {

unsigned control() {
#if defined(__SSE__)
    return _mm_getcsr() & ~0x3Fu;  // without the sticky flags
#else
    return 0;
#endif
}

}  // namespace

TEST_CASE("rounding mode and control bits survive a call, and the call survives them") {
    support::random r(1301);
    const auto p = support::problem<float>(r, 1, 2, 1, 30, 300, 17, 9);
    const auto few = support::problem<float>(r, 1, 2, 1, 2, 300, 17, 9);
    const support::inputs<float> in(p), in_few(few);
    const auto want = reference::solve<double>(p).y, want_few = reference::solve<double>(few).y;
    for (const int mode : {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
        std::fesetround(mode);
        const unsigned before = control();
        const auto y = heed::attention(in.q, in.k, in.v);
        const auto y_few = heed::attention(in_few.q, in_few.k, in_few.v);
        const unsigned after = control();
        const int mode_after = std::fegetround();
        std::fesetround(FE_TONEAREST);
        CHECK(before == after);
        CHECK(mode_after == mode);
        // Directed rounding costs a factor, not correctness.
        CHECK(support::max_error(support::values(y), want) < 1e-4);
        CHECK(support::max_error(support::values(y_few), want_few) < 1e-4);
    }
}

TEST_CASE("denormal inputs are numbers like any other") {
    support::random r(1302);
    for (const long queries : {2L, 40L}) {
        auto p = support::problem<float>(r, 1, 2, 1, queries, 100, 8, 8);
        for (double& x : p.v) x = static_cast<double>(static_cast<float>(x * 1e-41));
        const support::inputs<float> in(p);
        const auto y = heed::attention(in.q, in.k, in.v);
        // a handful of the smallest steps, 2^-149
        CHECK(support::max_error(support::values(y), reference::solve<double>(p).y) < 64 * 0x1p-149);
    }
}
