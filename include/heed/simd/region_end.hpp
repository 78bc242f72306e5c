// SPDX-License-Identifier: MIT
// heed/simd/region_end.hpp: ends what region_begin.hpp began; the last line of an *-inl.hpp

#if defined(__clang__)
#if HEED_REGION == HEED_LEVEL_avx512 || HEED_REGION == HEED_LEVEL_avx2
#pragma clang attribute pop
#endif
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#undef HEED_REGION
#undef HEED_SIMD
#undef HEED_SIMD_BYTES
#undef HEED_SIMD_REGISTERS
#undef HEED_SIMD_VECTORS
