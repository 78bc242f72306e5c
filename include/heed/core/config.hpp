// SPDX-License-Identifier: MIT
// heed/core/config.hpp: the inline namespace, and the few words the compilers spell differently
//
// Everything heed defines lives in heed::HEED_ABI, an inline namespace named after the version and the
// flags of this translation unit. Two units built with different -m flags then never share a weak
// symbol, so the linker cannot hand a machine without AVX the copy that was compiled with it.
#pragma once

#include <heed/version.hpp>

#define HEED_JOIN_(a, b) a##b
#define HEED_JOIN(a, b) HEED_JOIN_(a, b)
#define HEED_TEXT_(a) #a
#define HEED_TEXT(a) HEED_TEXT_(a)

#if defined(__AVX512F__)
#define HEED_ABI_ISA _avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define HEED_ABI_ISA _avx2fma
#elif defined(__AVX2__)
#define HEED_ABI_ISA _avx2
#elif defined(__AVX__)
#define HEED_ABI_ISA _avx
#elif defined(__SSE4_1__)
#define HEED_ABI_ISA _sse4
#elif defined(__SSE3__)
#define HEED_ABI_ISA _sse3
#elif defined(__ARM_FEATURE_SVE)
#define HEED_ABI_ISA _sve
#else
#define HEED_ABI_ISA _base
#endif

#if defined(__FAST_MATH__)
#define HEED_ABI_MATH _fast
#elif defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#define HEED_ABI_MATH _finite
#else
#define HEED_ABI_MATH _ieee
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define HEED_EXCEPTIONS 1
#define HEED_ABI_THROW _throws
#else
#define HEED_EXCEPTIONS 0
#define HEED_ABI_THROW _aborts
#endif

#ifdef HEED_STATIC_TARGET
#define HEED_ABI_STATIC HEED_JOIN(_only_, HEED_STATIC_TARGET)
#else
#define HEED_ABI_STATIC _all
#endif

#define HEED_ABI_1 HEED_JOIN(HEED_JOIN(v, HEED_VERSION_MAJOR), HEED_JOIN(_, HEED_VERSION_MINOR))
#define HEED_ABI_2 HEED_JOIN(HEED_JOIN(HEED_ABI_1, _), HEED_VERSION_PATCH)
#define HEED_ABI_3 HEED_JOIN(HEED_ABI_2, HEED_ABI_ISA)
#define HEED_ABI_4 HEED_JOIN(HEED_ABI_3, HEED_ABI_MATH)
#define HEED_ABI_5 HEED_JOIN(HEED_ABI_4, HEED_ABI_THROW)
#define HEED_ABI HEED_JOIN(HEED_ABI_5, HEED_ABI_STATIC)

#if defined(__GNUC__) || defined(__clang__)
#define HEED_INLINE inline __attribute__((always_inline))
#define HEED_NOINLINE __attribute__((noinline))
#define HEED_FLATTEN __attribute__((flatten))
#define HEED_VECTOR_EXTENSIONS 1
#else
#define HEED_INLINE inline
#define HEED_NOINLINE
#define HEED_FLATTEN
#define HEED_VECTOR_EXTENSIONS 0
#endif
