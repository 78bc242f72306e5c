// SPDX-License-Identifier: MIT
// heed/kernel/rounded-inl.hpp: a value as it was computed, which the compiler looks no further into

#ifndef HEED_KERNEL_ROUNDED_INL
#define HEED_KERNEL_ROUNDED_INL

#include <heed/core/config.hpp>

#define HEED_FOREACH <heed/kernel/rounded-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// The value as rounded: the compiler may not contract the product that made it into a multiply-add. Targets
// with and without that instruction then give the same bits.
#if HEED_VECTOR_EXTENSIONS
template <class V>
HEED_INLINE V rounded(V x) {
#if defined(__x86_64__) && HEED_REGION == HEED_LEVEL_avx512
    __asm__("" : "+v"(x));
#elif defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#else
    __asm__("" : "+m"(x));
#endif
    return x;
}
#else
template <class V>
HEED_INLINE V rounded(V x) {
    return x;
}
#endif

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
