// SPDX-License-Identifier: MIT
// heed/simd/foreach_target.hpp: includes the file HEED_FOREACH once for each target, inside its region
//
//     #define HEED_FOREACH <heed/kernel/exact/all-inl.hpp>
//     #include <heed/simd/foreach_target.hpp>
//
// The file puts its code into heed::HEED_SIMD. Everything it needs from outside is included before: a
// header included inside a region would be compiled for that target alone. No include guard.

#if HEED_COMPILES_AVX512
#define HEED_REGION HEED_RANK_avx512
#include <heed/simd/region_begin.hpp>
#include HEED_FOREACH
#include <heed/simd/region_end.hpp>
#undef HEED_REGION
#endif
#if HEED_COMPILES_AVX2
#define HEED_REGION HEED_RANK_avx2
#include <heed/simd/region_begin.hpp>
#include HEED_FOREACH
#include <heed/simd/region_end.hpp>
#undef HEED_REGION
#endif
#if HEED_COMPILES_BASELINE
#define HEED_REGION HEED_RANK_baseline
#include <heed/simd/region_begin.hpp>
#include HEED_FOREACH
#include <heed/simd/region_end.hpp>
#undef HEED_REGION
#endif
#if HEED_COMPILES_PORTABLE
#define HEED_REGION HEED_RANK_portable
#include <heed/simd/region_begin.hpp>
#include HEED_FOREACH
#include <heed/simd/region_end.hpp>
#undef HEED_REGION
#endif
#undef HEED_FOREACH
#undef HEED_REGION_OF_CALLABLES
