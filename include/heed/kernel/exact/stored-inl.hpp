// SPDX-License-Identifier: MIT
// heed/kernel/exact/stored-inl.hpp: packs of numbers as they are stored, in the type sums are kept in
//
// Reading converts: half precision by the processor's own instruction where it has one, the others by a shift
// or from integers. So a row is read once, and nothing converted is written.

#ifndef HEED_KERNEL_EXACT_STORED_INL
#define HEED_KERNEL_EXACT_STORED_INL

#include <heed/kernel/convert-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/stored-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Number f of a row.
template <class S>
HEED_INLINE auto stored_number(const S* row, index f) {
    return widen(row[f]);
}
HEED_INLINE float stored_number(const int8* row, index f) { return static_cast<float>(row[f].bits); }
HEED_INLINE float stored_number(const int4* row, index f) {
    const int both = row[f / 32 * 16 + f % 16].bits;
    return static_cast<float>((f % 32 < 16 ? both & 15 : both >> 4) - 8);
}
// Where number f of a row stands, to fetch it.
template <class S>
HEED_INLINE const void* stored_place(const S* row, index f) {
    return row + f;
}
HEED_INLINE const void* stored_place(const int4* row, index f) { return row + f / 2; }

// Numbers f, f + 1, … of a row, a pack of them; f is a multiple of the pack.
HEED_INLINE pack<float> stored_pack(const float* row, index f) { return load(row + f); }
HEED_INLINE pack<double> stored_pack(const double* row, index f) { return load(row + f); }

#if HEED_SIMD_VECTORS
template <class X, int Bytes>
struct some_numbers {
    typedef X type __attribute__((vector_size(Bytes), aligned(1), may_alias));
};
// As many numbers of X as a pack of floats has, each to 32 bits.
template <class X, class S>
HEED_INLINE auto stored_integers(const S* at) {
    using loose = typename some_numbers<X, lanes_of<float>* static_cast<int>(sizeof(X))>::type;
    return __builtin_convertvector(*reinterpret_cast<const loose*>(at), vectors<float>::integers);
}
// Bytes, by the instruction: g++ 12 takes a conversion to four times the size apart, number by number.
#if defined(__x86_64__) && !defined(__clang__) && HEED_SIMD_BYTES == 64
typedef char sixteen_bytes __attribute__((vector_size(16)));
template <class S>
HEED_INLINE sixteen_bytes bytes_at(const S* at) {
    return static_cast<sixteen_bytes>(*reinterpret_cast<const some_numbers<char, 16>::type*>(at));
}
HEED_INLINE vectors<float>::integers stored_bytes(const int8* at) {
    return __builtin_ia32_pmovsxbd512_mask(bytes_at(at), vectors<float>::integers{},
                                           static_cast<unsigned short>(-1));
}
HEED_INLINE vectors<float>::integers stored_bytes(const int4* at) {
    return __builtin_ia32_pmovzxbd512_mask(bytes_at(at), vectors<float>::integers{},
                                           static_cast<unsigned short>(-1));
}
#elif defined(__x86_64__) && !defined(__clang__) && HEED_SIMD_BYTES == 32
typedef char sixteen_bytes __attribute__((vector_size(16)));
typedef long long two_words __attribute__((vector_size(16)));
template <class S>
HEED_INLINE sixteen_bytes bytes_at(const S* at) {
    typedef long long word __attribute__((aligned(1), may_alias));
    return reinterpret_cast<sixteen_bytes>(two_words{*reinterpret_cast<const word*>(at), 0});
}
HEED_INLINE vectors<float>::integers stored_bytes(const int8* at) {
    return __builtin_ia32_pmovsxbd256(bytes_at(at));
}
HEED_INLINE vectors<float>::integers stored_bytes(const int4* at) {
    return __builtin_ia32_pmovzxbd256(bytes_at(at));
}
#else
HEED_INLINE vectors<float>::integers stored_bytes(const int8* at) { return stored_integers<std::int8_t>(at); }
HEED_INLINE vectors<float>::integers stored_bytes(const int4* at) {
    return stored_integers<std::uint8_t>(at);
}
#endif
HEED_INLINE pack<float> stored_pack(const bfloat16_bits* row, index f) {
    return float_of(stored_integers<std::uint16_t>(row + f) << 16);
}
HEED_INLINE pack<float> stored_pack(const half_bits* row, index f) {
#if HEED_REGION == HEED_LEVEL_avx512
    using loose = some_numbers<short, 32>::type;
    typedef short shorts __attribute__((vector_size(32)));
    return __builtin_ia32_vcvtph2ps512_mask(static_cast<shorts>(*reinterpret_cast<const loose*>(row + f)),
                                            pack<float>{}, static_cast<unsigned short>(-1), 4);
#elif HEED_REGION == HEED_LEVEL_avx2
    using loose = some_numbers<short, 16>::type;
    typedef short shorts __attribute__((vector_size(16)));
    return __builtin_ia32_vcvtph2ps256(static_cast<shorts>(*reinterpret_cast<const loose*>(row + f)));
#else
    const auto h = stored_integers<std::uint16_t>(row + f);
    const auto magnitude = bits_of(float_of((h & 0x7fff) << 13) * 0x1p112f);
    const auto infinite = ((h & 0x7c00) == 0x7c00) & 0x7f800000;
    return float_of(magnitude | infinite | ((h & 0x8000) << 16));
#endif
}
HEED_INLINE pack<float> stored_pack(const int8* row, index f) { return to_float(stored_bytes(row + f)); }
HEED_INLINE pack<float> stored_pack(const int4* row, index f) {
    const auto both = stored_bytes(row + f / 32 * 16 + f % 16);
    return to_float((f % 32 < 16 ? both & 15 : both >> 4) - 8);
}
#else
template <class S>
HEED_INLINE float stored_pack(const S* row, index f) {
    return stored_number(row, f);
}
#endif

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
