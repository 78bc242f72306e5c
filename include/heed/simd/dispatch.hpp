// SPDX-License-Identifier: MIT
// heed/simd/dispatch.hpp: from the active target to the code compiled for it
#pragma once

#include <heed/simd/compile_once.hpp>
#include <heed/simd/target.hpp>

#if HEED_COMPILES_AVX512
#define HEED_CASE_AVX512(...)    \
    case ::heed::target::avx512: \
        return ::heed::HEED_ABI::avx512::__VA_ARGS__;
#else
#define HEED_CASE_AVX512(...)
#endif
#if HEED_COMPILES_AVX2
#define HEED_CASE_AVX2(...)    \
    case ::heed::target::avx2: \
        return ::heed::HEED_ABI::avx2::__VA_ARGS__;
#else
#define HEED_CASE_AVX2(...)
#endif
#if HEED_COMPILES_BASELINE
#define HEED_CASE_BASELINE(...)    \
    case ::heed::target::baseline: \
        return ::heed::HEED_ABI::baseline::__VA_ARGS__;
#else
#define HEED_CASE_BASELINE(...)
#endif
#if HEED_COMPILES_PORTABLE
#define HEED_CASE_PORTABLE(...)    \
    case ::heed::target::portable: \
        return ::heed::HEED_ABI::portable::__VA_ARGS__;
#else
#define HEED_CASE_PORTABLE(...)
#endif

// HEED_RETURN_ON_TARGET(…); as the last statement of a function: returns the expression, looked up in the
// active target's namespace.
#define HEED_RETURN_ON_TARGET(...)                                                      \
    switch (::heed::active_target()) {                                                  \
        HEED_CASE_AVX512(__VA_ARGS__)                                                   \
        HEED_CASE_AVX2(__VA_ARGS__)                                                     \
        HEED_CASE_BASELINE(__VA_ARGS__)                                                 \
        HEED_CASE_PORTABLE(__VA_ARGS__)                                                 \
        default:                                                                        \
            ::heed::detail::fail("active_target", {"this target was not compiled in"}); \
    }
