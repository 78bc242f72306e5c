// SPDX-License-Identifier: MIT
// heed/simd/region_begin.hpp: from here to region_end.hpp, code is compiled for the target HEED_REGION
//
// No include guard: included once for each target (foreach_target.hpp). Only a plain level may stand in the
// optimize pragma; floating-point flags there stop g++ from inlining callables that come from outside the
// region. With it, kernels run at full speed in a debug build as well. Kernels spell out their vectors and
// take O2, which compiles faster and, measured, runs 1 % faster; rows of callables (HEED_REGION_OF_CALLABLES)
// are for the vectoriser to find and take O3. Kernels take no -mtune either: for znver2 and 3 g++ 12 breaks
// up chains of multiply-adds, a quarter of the speed, and with -march=native the bits would change. Callables
// keep it, for g++ inlines none that are tuned otherwise.

#if HEED_REGION == HEED_LEVEL_avx512
#define HEED_SIMD avx512
#define HEED_SIMD_BYTES 64
#define HEED_SIMD_REGISTERS 32
#elif HEED_REGION == HEED_LEVEL_avx2
#define HEED_SIMD avx2
#define HEED_SIMD_BYTES 32
#define HEED_SIMD_REGISTERS 16
#elif HEED_REGION == HEED_LEVEL_baseline
#define HEED_SIMD baseline
#define HEED_SIMD_BYTES 16
#if defined(__aarch64__)
#define HEED_SIMD_REGISTERS 32
#else
#define HEED_SIMD_REGISTERS 16
#endif
#else
#define HEED_SIMD portable
#define HEED_SIMD_BYTES 1
#define HEED_SIMD_REGISTERS 16
#endif

#if HEED_REGION == HEED_LEVEL_portable
#define HEED_SIMD_VECTORS 0
#else
#define HEED_SIMD_VECTORS 1
#endif

#if defined(__clang__)
#if HEED_REGION == HEED_LEVEL_avx512
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#elif HEED_REGION == HEED_LEVEL_avx2
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#endif
#elif defined(__GNUC__)
#pragma GCC push_options
#ifdef HEED_REGION_OF_CALLABLES
#pragma GCC optimize("O3")
#else
#pragma GCC optimize("O2")
#if HEED_REGION == HEED_LEVEL_avx512 || HEED_REGION == HEED_LEVEL_avx2
#pragma GCC target("tune=generic")
#endif
#endif
#if HEED_REGION == HEED_LEVEL_avx512
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#elif HEED_REGION == HEED_LEVEL_avx2
#pragma GCC target("avx2,fma,f16c")
#endif
#endif
