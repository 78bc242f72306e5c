// SPDX-License-Identifier: MIT
// heed/simd/lane_bits-inl.hpp: comparisons as one bit a lane, and packs with some of their lanes left out
//
// What a vector unit does with irregular data: find, count and close up. AVX-512 has instructions for all of
// it, written as builtins (the functions of immintrin.h do not inline into a region of a debug build) and to
// a register first, since closing up straight into memory takes 100 cycles and more on some processors. The
// others get a bit mask where there is an instruction, and go lane by lane without a branch.

#ifndef HEED_SIMD_LANE_BITS_INL
#define HEED_SIMD_LANE_BITS_INL

#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/simd/lane_bits-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

using lane_bits = std::uint32_t;
template <class T>
inline constexpr lane_bits all_bits = (lane_bits{1} << lanes_of<T>)-1;

HEED_INLINE int count_bits(lane_bits bits) {
#if HEED_SIMD_BYTES >= 32
    return __builtin_popcount(bits);
#else
    return static_cast<int>(0x4332322132212110u >> (4 * bits) & 7);  // up to four lanes
#endif
}

// The same for any 32 bits.
HEED_INLINE int count_all_bits(lane_bits bits) {
#if HEED_SIMD_BYTES >= 32
    return __builtin_popcount(bits);
#else
    bits = bits - (bits >> 1 & 0x55555555u);
    bits = (bits & 0x33333333u) + (bits >> 2 & 0x33333333u);
    return static_cast<int>(((bits + (bits >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24);
#endif
}

// Lanes where x < c, where x <= c, and where they are not; NaN is in the latter two. Of these lanes alone
// in within_bits: those where x is in [low, high], given those where it is not above high.
#if HEED_REGION == HEED_LEVEL_avx512
template <int Predicate>
HEED_INLINE lane_bits compared(pack<float> x, pack<float> c, lane_bits among) {
    return __builtin_ia32_cmpps512_mask(x, c, Predicate, static_cast<unsigned short>(among), 4);
}
template <int Predicate>
HEED_INLINE lane_bits compared(pack<double> x, pack<double> c, lane_bits among) {
    return __builtin_ia32_cmppd512_mask(x, c, Predicate, static_cast<unsigned char>(among), 4);
}
template <class V>
HEED_INLINE lane_bits below(V x, V c) {
    return compared<0x11>(x, c, ~lane_bits{0});
}
template <class V>
HEED_INLINE lane_bits up_to(V x, V c) {
    return compared<0x12>(x, c, ~lane_bits{0});
}
template <class V>
HEED_INLINE lane_bits not_below(V x, V c) {
    return compared<0x15>(x, c, ~lane_bits{0});
}
template <class V>
HEED_INLINE lane_bits above(V x, V c) {
    return compared<0x16>(x, c, ~lane_bits{0});
}
template <class V>
HEED_INLINE lane_bits within_bits(V x, V low, lane_bits not_above) {
    return compared<0x1d>(x, low, not_above);
}
#elif HEED_SIMD_VECTORS
template <class M>
HEED_INLINE lane_bits bits_of_mask(M mask) {
#if defined(__x86_64__) && HEED_SIMD_BYTES == 32
    if constexpr (sizeof(mask[0]) == 4)
        return static_cast<lane_bits>(__builtin_ia32_movmskps256(reinterpret_cast<pack<float>>(mask)));
    else
        return static_cast<lane_bits>(__builtin_ia32_movmskpd256(reinterpret_cast<pack<double>>(mask)));
#elif defined(__x86_64__)
    if constexpr (sizeof(mask[0]) == 4)
        return static_cast<lane_bits>(__builtin_ia32_movmskps(reinterpret_cast<pack<float>>(mask)));
    else
        return static_cast<lane_bits>(__builtin_ia32_movmskpd(reinterpret_cast<pack<double>>(mask)));
#else
    lane_bits bits = 0;
    HEED_UNROLL
    for (int l = 0; l < static_cast<int>(sizeof(M) / sizeof(mask[0])); ++l)
        bits |= static_cast<lane_bits>(mask[l] & 1) << l;
    return bits;
#endif
}
template <class V>
HEED_INLINE lane_bits below(V x, V c) {
    return bits_of_mask(x < c);
}
template <class V>
HEED_INLINE lane_bits up_to(V x, V c) {
    return bits_of_mask(x <= c);
}
#else
template <class T>
HEED_INLINE lane_bits below(T x, T c) {
    return x < c ? 1 : 0;
}
template <class T>
HEED_INLINE lane_bits up_to(T x, T c) {
    return x <= c ? 1 : 0;
}
#endif

#if HEED_REGION != HEED_LEVEL_avx512
template <class V>
HEED_INLINE lane_bits not_below(V x, V c) {
    return ~below(x, c) & all_bits<element_of<V>>;
}
template <class V>
HEED_INLINE lane_bits above(V x, V c) {
    return ~up_to(x, c) & all_bits<element_of<V>>;
}
template <class V>
HEED_INLINE lane_bits within_bits(V x, V low, lane_bits not_above) {
    return not_above & ~below(x, low);
}
#endif

// The chosen lanes of x, one behind the other; a whole pack is written.
// The same for their indices, those of x being first, first + 1, …
#if HEED_REGION == HEED_LEVEL_avx512
typedef std::int32_t int_lanes __attribute__((vector_size(64)));
typedef std::int32_t loose_int_lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::int32_t half_int_lanes __attribute__((vector_size(32)));
typedef std::int32_t loose_half_int_lanes __attribute__((vector_size(32), aligned(4), may_alias));
HEED_INLINE void store_chosen(float* to, pack<float> x, lane_bits bits) {
    store(to, __builtin_ia32_compresssf512_mask(x, x, static_cast<unsigned short>(bits)));
}
HEED_INLINE void store_chosen(double* to, pack<double> x, lane_bits bits) {
    store(to, __builtin_ia32_compressdf512_mask(x, x, static_cast<unsigned char>(bits)));
}
template <class T>
HEED_INLINE void store_indices(std::int32_t* to, std::int32_t first, lane_bits bits) {
    if constexpr (sizeof(T) == 4) {
        const int_lanes at = first + int_lanes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        *reinterpret_cast<loose_int_lanes*>(to) =
            __builtin_ia32_compresssi512_mask(at, at, static_cast<unsigned short>(bits));
    } else {
        const half_int_lanes at = first + half_int_lanes{0, 1, 2, 3, 4, 5, 6, 7};
        *reinterpret_cast<loose_half_int_lanes*>(to) =
            __builtin_ia32_compresssi256_mask(at, at, static_cast<unsigned char>(bits));
    }
}
#else
template <class T>
HEED_INLINE void store_chosen(T* to, pack<T> x, lane_bits bits) {
    T lane[lanes_of<T>];
    store(lane, x);
    int n = 0;
    HEED_UNROLL
    for (int l = 0; l < lanes_of<T>; ++l) {
        to[n] = lane[l];
        n += static_cast<int>(bits >> l & 1);
    }
}
template <class T>
HEED_INLINE void store_indices(std::int32_t* to, std::int32_t first, lane_bits bits) {
    int n = 0;
    HEED_UNROLL
    for (int l = 0; l < lanes_of<T>; ++l) {
        to[n] = first + l;
        n += static_cast<int>(bits >> l & 1);
    }
}
#endif

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
