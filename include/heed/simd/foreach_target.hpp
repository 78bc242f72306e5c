// SPDX-License-Identifier: MIT
// heed/simd/foreach_target.hpp: compiles the file that includes it once for each target
//
//     #ifndef HEED_KERNEL_CARRY_INL
//     #define HEED_KERNEL_CARRY_INL
//     #include …                                                 all that the file needs
//     #define HEED_FOREACH <heed/kernel/carry-inl.hpp>           itself
//     #include <heed/simd/foreach_target.hpp>
//     #endif
//     #ifdef HEED_REGION
//     namespace heed::inline HEED_ABI::HEED_SIMD { … }           the code of a target
//     #include <heed/simd/region_end.hpp>
//     #endif
//
// Such an *-inl.hpp is a header like any other: alone it compiles, a second time it is empty. The first time,
// every target but the best includes it again, in its region, where the guard leaves nothing but the code;
// the best one's region stays open for the code below. Headers are thus included outside of regions, in which
// they would be compiled for one target alone. HEED_REGION_OF_CALLABLES, defined before: see
// region_begin.hpp. A file may not include itself in an editor that runs clangd: .clangd names a static
// target, so that it does not.
#include <heed/simd/target.hpp>

#ifdef HEED_REGION
#error "heed: an *-inl.hpp is included inside of a region; include it before"
#endif

#if HEED_COMPILES_PORTABLE && HEED_BEST_LEVEL > HEED_LEVEL_portable
#define HEED_REGION HEED_LEVEL_portable
#include <heed/simd/region_begin.hpp>
#include HEED_FOREACH
#endif
#if HEED_COMPILES_BASELINE && HEED_BEST_LEVEL > HEED_LEVEL_baseline
#define HEED_REGION HEED_LEVEL_baseline
#include <heed/simd/region_begin.hpp>
#include HEED_FOREACH
#endif
#if HEED_COMPILES_AVX2 && HEED_BEST_LEVEL > HEED_LEVEL_avx2
#define HEED_REGION HEED_LEVEL_avx2
#include <heed/simd/region_begin.hpp>
#include HEED_FOREACH
#endif
#define HEED_REGION HEED_BEST_LEVEL
#include <heed/simd/region_begin.hpp>
#undef HEED_FOREACH
#undef HEED_REGION_OF_CALLABLES
