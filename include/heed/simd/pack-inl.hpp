// SPDX-License-Identifier: MIT
// heed/simd/pack-inl.hpp: the vector type of a target, about a dozen operations
//
// pack<T> holds lanes_of<T> floats or doubles: a compiler vector, or for the portable target a plain
// number. Operators act lane by lane; a comparison gives a mask for choose(). Everything is
// always_inline and free of std::, so that a debug build has no calls in here.

#ifndef HEED_SIMD_PACK_INL
#define HEED_SIMD_PACK_INL

#include <cstddef>
#include <cstdint>
#include <utility>

#include <heed/simd/scalar.hpp>

#define HEED_FOREACH <heed/simd/pack-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

using detail::constants;

template <class T>
inline constexpr int lanes_of = HEED_SIMD_VECTORS ? HEED_SIMD_BYTES / static_cast<int>(sizeof(T)) : 1;

#if HEED_SIMD_VECTORS

template <class T>
struct vectors;
template <>
struct vectors<float> {
    typedef float type __attribute__((vector_size(HEED_SIMD_BYTES)));
    typedef float loose __attribute__((vector_size(HEED_SIMD_BYTES), aligned(4), may_alias));
    typedef std::int32_t integers __attribute__((vector_size(HEED_SIMD_BYTES)));
};
template <>
struct vectors<double> {
    typedef double type __attribute__((vector_size(HEED_SIMD_BYTES)));
    typedef double loose __attribute__((vector_size(HEED_SIMD_BYTES), aligned(8), may_alias));
    typedef std::int64_t integers __attribute__((vector_size(HEED_SIMD_BYTES)));
    typedef std::int32_t narrow __attribute__((vector_size(HEED_SIMD_BYTES / 2)));
};
template <class T>
using pack = typename vectors<T>::type;

template <class V>
struct element_of_pack;
template <>
struct element_of_pack<vectors<float>::type> {
    using type = float;
};
template <>
struct element_of_pack<vectors<double>::type> {
    using type = double;
};
template <class V>
using element_of = typename element_of_pack<V>::type;

template <class T>
HEED_INLINE pack<T> load(const T* p) {
    return *reinterpret_cast<const typename vectors<T>::loose*>(p);
}
template <class T>
HEED_INLINE void store(T* p, pack<T> v) {
    *reinterpret_cast<typename vectors<T>::loose*>(p) = v;
}
template <class V>
HEED_INLINE V set(element_of<V> x) {
    return x - V{};  // x - 0 is x for every x, -0 and NaN included
}
template <class M, class V>
HEED_INLINE V choose(M condition, V a, V b) {
    return condition ? a : b;
}
// The larger; where b is not a number it is b. x86 has an instruction that does just this, which g++ does
// not find by itself when an operand is constant (measured: 2 % of the whole kernel). As a builtin, since
// the functions of immintrin.h do not inline into a region of a debug build.
#if defined(__x86_64__)
#if HEED_SIMD_BYTES == 64 && defined(__clang__)
#define HEED_LARGER_FLOAT(a, b) __builtin_ia32_maxps512(a, b, 4)
#define HEED_LARGER_DOUBLE(a, b) __builtin_ia32_maxpd512(a, b, 4)
#elif HEED_SIMD_BYTES == 64
#define HEED_LARGER_FLOAT(a, b) __builtin_ia32_maxps512_mask(a, b, a, -1, 4)
#define HEED_LARGER_DOUBLE(a, b) __builtin_ia32_maxpd512_mask(a, b, a, -1, 4)
#elif HEED_SIMD_BYTES == 32
#define HEED_LARGER_FLOAT(a, b) __builtin_ia32_maxps256(a, b)
#define HEED_LARGER_DOUBLE(a, b) __builtin_ia32_maxpd256(a, b)
#else
#define HEED_LARGER_FLOAT(a, b) __builtin_ia32_maxps(a, b)
#define HEED_LARGER_DOUBLE(a, b) __builtin_ia32_maxpd(a, b)
#endif
HEED_INLINE pack<float> larger(pack<float> a, pack<float> b) { return HEED_LARGER_FLOAT(a, b); }
HEED_INLINE pack<double> larger(pack<double> a, pack<double> b) { return HEED_LARGER_DOUBLE(a, b); }
#undef HEED_LARGER_FLOAT
#undef HEED_LARGER_DOUBLE
#else
template <class V>
HEED_INLINE V larger(V a, V b) {
    return a > b ? a : b;
}
#endif
HEED_INLINE vectors<float>::integers to_int(pack<float> x) {
    return __builtin_convertvector(x, vectors<float>::integers);
}
HEED_INLINE pack<float> to_float(vectors<float>::integers n) {
    return __builtin_convertvector(n, pack<float>);
}
// Doubles by way of 32 bits, which hold every exponent: before AVX-512 there is no other conversion. g++ 12
// splits __builtin_convertvector into halves there, so it gets the instructions (measured: a fifth of the
// time of gelu).
#if HEED_SIMD_BYTES == 64
HEED_INLINE vectors<double>::integers to_int(pack<double> x) {
    return __builtin_convertvector(x, vectors<double>::integers);
}
HEED_INLINE pack<double> to_float(vectors<double>::integers n) {
    return __builtin_convertvector(n, pack<double>);
}
#elif HEED_SIMD_BYTES == 32 && !defined(__clang__)
HEED_INLINE vectors<double>::integers to_int(pack<double> x) {
    return reinterpret_cast<vectors<double>::integers>(
        __builtin_ia32_pmovsxdq256(__builtin_ia32_cvttpd2dq256(x)));
}
HEED_INLINE pack<double> to_float(vectors<double>::integers n) {
    const auto halves = reinterpret_cast<vectors<float>::integers>(n);
    return __builtin_ia32_cvtdq2pd256(__builtin_shufflevector(halves, halves, 0, 2, 4, 6));
}
#elif HEED_SIMD_BYTES == 16 && defined(__x86_64__) && !defined(__clang__)
HEED_INLINE vectors<double>::integers to_int(pack<double> x) {
    const vectors<float>::integers n = __builtin_ia32_cvttpd2dq(x);
    return reinterpret_cast<vectors<double>::integers>(__builtin_shufflevector(n, n >> 31, 0, 4, 1, 5));
}
HEED_INLINE pack<double> to_float(vectors<double>::integers n) {
    const auto halves = reinterpret_cast<vectors<float>::integers>(n);
    return __builtin_ia32_cvtdq2pd(__builtin_shufflevector(halves, halves, 0, 2, 0, 2));
}
#elif HEED_SIMD_BYTES == 16
// Two doubles: a detour over 32-bit lanes would need 64-bit vectors.
HEED_INLINE vectors<double>::integers to_int(pack<double> x) {
    return vectors<double>::integers{static_cast<std::int64_t>(x[0]), static_cast<std::int64_t>(x[1])};
}
HEED_INLINE pack<double> to_float(vectors<double>::integers n) {
    return pack<double>{static_cast<double>(n[0]), static_cast<double>(n[1])};
}
#else
HEED_INLINE vectors<double>::integers to_int(pack<double> x) {
    return __builtin_convertvector(__builtin_convertvector(x, vectors<double>::narrow),
                                   vectors<double>::integers);
}
HEED_INLINE pack<double> to_float(vectors<double>::integers n) {
    return __builtin_convertvector(__builtin_convertvector(n, vectors<double>::narrow), pack<double>);
}
#endif
HEED_INLINE vectors<float>::integers bits_of(pack<float> x) {
    return reinterpret_cast<vectors<float>::integers>(x);
}
HEED_INLINE vectors<double>::integers bits_of(pack<double> x) {
    return reinterpret_cast<vectors<double>::integers>(x);
}
HEED_INLINE pack<float> float_of(vectors<float>::integers n) { return reinterpret_cast<pack<float>>(n); }
HEED_INLINE pack<double> float_of(vectors<double>::integers n) { return reinterpret_cast<pack<double>>(n); }

// a0 b0 a1 b1 … of the lower halves, and of the upper halves.
template <class V, std::size_t... Int>
HEED_INLINE V interleave_low(V a, V b, std::index_sequence<Int...>) {
    constexpr int w = static_cast<int>(sizeof...(Int));
    return __builtin_shufflevector(a, b, (static_cast<int>(Int) / 2 + (Int % 2 == 0 ? 0 : w))...);
}
template <class V, std::size_t... Int>
HEED_INLINE V interleave_high(V a, V b, std::index_sequence<Int...>) {
    constexpr int w = static_cast<int>(sizeof...(Int));
    return __builtin_shufflevector(a, b, (w / 2 + static_cast<int>(Int) / 2 + (Int % 2 == 0 ? 0 : w))...);
}

// Square of packs, rows to columns: log2(lanes) rounds of perfect interleaving.
template <class T>
HEED_INLINE void transpose(pack<T> (&r)[lanes_of<T>]) {
    constexpr int w = lanes_of<T>;
    using lanes = std::make_index_sequence<static_cast<std::size_t>(w)>;
    HEED_UNROLL
    for (int round = 1; round < w; round *= 2) {
        pack<T> t[w];
        HEED_UNROLL
        for (int i = 0; i < w / 2; ++i) {
            t[2 * i] = interleave_low(r[i], r[i + w / 2], lanes{});
            t[2 * i + 1] = interleave_high(r[i], r[i + w / 2], lanes{});
        }
        HEED_UNROLL
        for (int i = 0; i < w; ++i) r[i] = t[i];
    }
}

// The lane sums of `lanes` packs, as one pack. Lanes of one pack are added in an order that does not
// depend on its place among the packs.
template <class V, std::size_t... Int>
HEED_INLINE V even_lanes(V a, V b, std::index_sequence<Int...>) {
    return __builtin_shufflevector(a, b, static_cast<int>(2 * Int)...);
}
template <class V, std::size_t... Int>
HEED_INLINE V odd_lanes(V a, V b, std::index_sequence<Int...>) {
    return __builtin_shufflevector(a, b, static_cast<int>(2 * Int + 1)...);
}
template <int Count, class V>
HEED_INLINE void fold_sums(V* r) {
    using lanes = std::make_index_sequence<sizeof(V) / sizeof(element_of<V>)>;
    HEED_UNROLL
    for (int i = 0; i < Count / 2; ++i)
        r[i] = even_lanes(r[2 * i], r[2 * i + 1], lanes{}) + odd_lanes(r[2 * i], r[2 * i + 1], lanes{});
    if constexpr (Count > 2) fold_sums<Count / 2>(r);
}
template <class T>
HEED_INLINE pack<T> lane_sums(pack<T> (&r)[lanes_of<T>]) {
    fold_sums<lanes_of<T>>(r);
    return r[0];
}
// Of fewer packs, a power of two: the same bits, over and over in the lanes that are left.
template <class T, int Count>
HEED_INLINE pack<T> lane_sums_of_few(pack<T> (&r)[Count]) {
    using lanes = std::make_index_sequence<static_cast<std::size_t>(lanes_of<T>)>;
    if constexpr (Count > 1) fold_sums<Count>(r);
    pack<T> x = r[0];
    HEED_UNROLL
    for (int n = Count; n < lanes_of<T>; n *= 2) x = even_lanes(x, x, lanes{}) + odd_lanes(x, x, lanes{});
    return x;
}

template <class M>
HEED_INLINE bool any(M mask) {
    auto found = mask[0];
    HEED_UNROLL
    for (int l = 1; l < static_cast<int>(sizeof(M) / sizeof(found)); ++l) found |= mask[l];
    return found != 0;
}

#else

// One lane: a pack is a number.
template <class T>
using pack = T;
template <class V>
using element_of = V;
using detail::scalar::bits_of;
using detail::scalar::choose;
using detail::scalar::float_of;
using detail::scalar::larger;
using detail::scalar::set;
using detail::scalar::to_float;
using detail::scalar::to_int;

template <class T>
HEED_INLINE T load(const T* p) {
    return *p;
}
template <class T>
HEED_INLINE void store(T* p, T v) {
    *p = v;
}
HEED_INLINE bool any(bool mask) { return mask; }
template <class T>
HEED_INLINE void transpose(T (&)[1]) {}
template <class T>
HEED_INLINE T lane_sums(T (&r)[1]) {
    return r[0];
}

#endif

// a b + c for single numbers as the packs' a * b + c does it, rounded once where the target has the
// instruction: left to itself, g++ splits a reduction into vector products and ordered single sums.
HEED_INLINE float multiply_add(float a, float b, float c) {
#if HEED_REGION >= HEED_LEVEL_avx2 || defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}
HEED_INLINE double multiply_add(double a, double b, double c) {
#if HEED_REGION >= HEED_LEVEL_avx2 || defined(__FMA__) || defined(__aarch64__)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD

#include <heed/simd/math-inl.hpp>

namespace heed::inline HEED_ABI::HEED_SIMD {

template <class V>
HEED_INLINE auto is_minus_infinity(V x) {
    return bits_of(x) == constants<element_of<V>>::minus_infinity_bits;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
