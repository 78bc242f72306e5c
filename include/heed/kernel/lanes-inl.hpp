// SPDX-License-Identifier: MIT
// heed/kernel/lanes-inl.hpp: packs that are filled in part, and the sum of a pack's lanes

#ifndef HEED_KERNEL_LANES_INL
#define HEED_KERNEL_LANES_INL

#include <heed/core/index.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/lanes-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// A pack, filled up with `rest` where fewer than a pack's numbers are left.
template <class T>
HEED_INLINE pack<T> load_or(const T* p, index left, T rest) {
    if (left >= lanes_of<T>) return load(p);
    T t[lanes_of<T>];
    for (int l = 0; l < lanes_of<T>; ++l) t[l] = l < left ? p[l] : rest;
    return load(t);
}
template <class T>
HEED_INLINE void store_some(T* p, index left, pack<T> x) {
    if (left >= lanes_of<T>) return store(p, x);
    T t[lanes_of<T>];
    store(t, x);
    for (index l = 0; l < left; ++l) p[l] = t[l];
}
// The same where it is known whether the pack is whole.
template <bool Whole, class T>
HEED_INLINE pack<T> load_part(const T* p, index left, T rest = 0) {
    if constexpr (Whole)
        return load(p);
    else
        return load_or(p, left, rest);
}
template <bool Whole, class T>
HEED_INLINE void store_part(T* p, index left, pack<T> x) {
    if constexpr (Whole)
        store(p, x);
    else
        store_some(p, left, x);
}

// Halves are added to each other until one lane is left.
#if HEED_SIMD_VECTORS
template <int By, class V, std::size_t... Int>
HEED_INLINE V lanes_moved(V x, std::index_sequence<Int...>) {
    return __builtin_shufflevector(x, x, (static_cast<int>(Int) + By) % static_cast<int>(sizeof...(Int))...);
}
template <int Half, class V>
HEED_INLINE V folded(V x) {
    using lanes = std::make_index_sequence<sizeof(V) / sizeof(element_of<V>)>;
    const V sum = x + lanes_moved<Half>(x, lanes{});
    if constexpr (Half > 1)
        return folded<Half / 2>(sum);
    else
        return sum;
}
template <class T>
HEED_INLINE T sum_of_lanes(pack<T> x) {
    return folded<lanes_of<T> / 2>(x)[0];
}
// The largest lane; NaN where there is one, or the largest of the others.
template <class T, int Half = lanes_of<T> / 2>
HEED_INLINE T largest_of_lanes(pack<T> x) {
    using lanes = std::make_index_sequence<static_cast<std::size_t>(lanes_of<T>)>;
    const pack<T> y = larger(x, lanes_moved<Half>(x, lanes{}));
    if constexpr (Half > 1)
        return largest_of_lanes<T, Half / 2>(y);
    else
        return y[0];
}
#else
template <class T>
HEED_INLINE T sum_of_lanes(T x) {
    return x;
}
template <class T>
HEED_INLINE T largest_of_lanes(T x) {
    return x;
}
#endif

// The lanes of Count packs, a power of two, reduced by an operation on two packs: lane i is that of pack i,
// in an order that does not depend on how many there are. The lanes behind repeat them.
struct summed_lanes {
    template <class V>
    HEED_INLINE V operator()(V a, V b) const {
        return a + b;
    }
};
struct largest_lanes {
    template <class V>
    HEED_INLINE V operator()(V a, V b) const {
        return larger(a, b);
    }
};
template <class Operation, class T, int Count>
HEED_INLINE pack<T> lanes_reduced(pack<T> (&r)[Count]) {
    if constexpr (lanes_of<T> == 1) {
        return r[0];
    } else {
        using lanes = std::make_index_sequence<static_cast<std::size_t>(lanes_of<T>)>;
        const Operation operation;
        HEED_UNROLL
        for (int n = Count; n > 1; n /= 2) {
            HEED_UNROLL
            for (int i = 0; i < n / 2; ++i)
                r[i] = operation(even_lanes(r[2 * i], r[2 * i + 1], lanes{}),
                                 odd_lanes(r[2 * i], r[2 * i + 1], lanes{}));
        }
        pack<T> x = r[0];
        HEED_UNROLL
        for (int n = Count; n < lanes_of<T>; n *= 2)
            x = operation(even_lanes(x, x, lanes{}), odd_lanes(x, x, lanes{}));
        return x;
    }
}

// The first `left` lanes of a pack, `rest` in the others.
template <class T>
HEED_INLINE pack<T> first_lanes(pack<T> x, index left, T rest) {
    if (left >= lanes_of<T>) return x;
    static constexpr T number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return choose(load(number) < set<pack<T>>(static_cast<T>(left)), x, set<pack<T>>(rest));
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
