// SPDX-License-Identifier: MIT
// heed/kernel/cummax/lanes-inl.hpp: the running maximum of rows whose positions are neighbours in memory
//
// A pack holds as many positions as it has lanes. log2(lanes) steps, each joining a lane with the one 1, 2,
// 4, … lanes before it, make it the running maximum of the pack, and the last lane of the pack before joins
// all of them. later() is associative to the bit, so this is what going one by one gives. Every line of
// memory is touched once, in the order that it lies in, whatever the distance between rows: columns of rows a
// power of two apart would all fall into the same few cache lines.

#ifndef HEED_KERNEL_CUMMAX_LANES_INL
#define HEED_KERNEL_CUMMAX_LANES_INL

#include <heed/kernel/cummax/leaves-inl.hpp>
#include <heed/kernel/lanes-inl.hpp>
#include <heed/simd/lane_bits-inl.hpp>

#define HEED_FOREACH <heed/kernel/cummax/lanes-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Which lanes are a NaN; and is larger() what later() is where none is?
#if defined(__x86_64__) && HEED_SIMD_VECTORS
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
inline constexpr bool larger_is_later = false;  // g++ then exchanges the two of its maximum: -0 and +0
#else
inline constexpr bool larger_is_later = true;
#endif
template <class V>
HEED_INLINE lane_bits nan_lanes(V x) {
#if HEED_REGION == HEED_LEVEL_avx512
    return compared<3>(x, x, ~lane_bits{0});
#else
    using C = constants<element_of<V>>;
    return bits_of_mask((bits_of(x) & ~C::sign_bit) > C::infinity_bits);
#endif
}
#else
inline constexpr bool larger_is_later = false;  // a build that assumes no zero has a sign may take either
template <class V>
HEED_INLINE lane_bits nan_lanes(V) {
    return 1;
}
#endif

// Of two numbers the larger, of equal ones the last.
template <bool MayBeNan>
struct later_number {
    template <class V>
    static HEED_INLINE V of(V a, V b) {
        if constexpr (MayBeNan || !larger_is_later)
            return cummax_later(a, b);
        else
            return larger(a, b);  // later() where neither is a NaN: of equal ones it is b
    }
};
// Of two indices the last, the larger.
struct later_index {
    template <class M>
    static HEED_INLINE M of(M a, M b) {
        return a > b ? a : b;
    }
};
#if HEED_SIMD_VECTORS
// The lanes of x moved up by some; `none` comes in below.
template <int By, class V, std::size_t... N>
HEED_INLINE V lanes_up(V none, V x, std::index_sequence<N...>) {
    constexpr int w = static_cast<int>(sizeof...(N));
    return __builtin_shufflevector(
        none, x, (static_cast<int>(N) < By ? static_cast<int>(N) : w + static_cast<int>(N) - By)...);
}
template <class V, std::size_t... N>
HEED_INLINE V lanes_reversed(V x, std::index_sequence<N...>) {
    return __builtin_shufflevector(x, x, (static_cast<int>(sizeof...(N) - 1 - N))...);
}
template <class V, std::size_t... N>
HEED_INLINE V last_lane(V x, std::index_sequence<N...>) {
    return __builtin_shufflevector(x, x, (static_cast<int>(sizeof...(N)) - 1 + 0 * static_cast<int>(N))...);
}
template <class V>
using lanes_in = std::make_index_sequence<sizeof(V) / sizeof(V{}[0])>;

template <class Later, int By = 1, class V>
HEED_INLINE V running(V x, V none) {
    if constexpr (By < static_cast<int>(lanes_in<V>::size()))
        return running<Later, 2 * By>(Later::of(lanes_up<By>(none, x, lanes_in<V>{}), x), none);
    else
        return x;
}
template <class V>
HEED_INLINE V reversed_lanes(V x) {
    return lanes_reversed(x, lanes_in<V>{});
}
template <class V>
HEED_INLINE V last_of_lanes(V x) {
    return last_lane(x, lanes_in<V>{});
}
#else
template <class Later, class V>
HEED_INLINE V running(V x, V) {
    return x;
}
template <class V>
HEED_INLINE V reversed_lanes(V x) {
    return x;
}
template <class V>
HEED_INLINE V last_of_lanes(V x) {
    return x;
}
#endif
// A pack of indices, integers in the bits of T, as integers of the caller's.
template <class T, class Int>
HEED_INLINE void store_indices(Int* to, pack<T> indices) {
    constexpr int w = lanes_of<T>;
    T bits[w];
    store(bits, indices);
    HEED_KEEP_LOOP
    for (int l = 0; l < w; ++l) to[l] = static_cast<Int>(detail::scalar::bits_of(bits[l]));
}

// Some rows side by side, so that one waits while another works. Int is the integer that indices are written
// as, or void.
template <class T, int Rows, class Int>
struct cummax_lane_walk {
    static constexpr int w = lanes_of<T>;
    static constexpr bool indices = detail::writes_indices<Int>;
    using V = pack<T>;
    using M = decltype(bits_of(V{}));
    using integer = typename constants<T>::integer;

    const detail::cummax_lanes<T>& all;
    const T* from[Rows];
    T* to[Rows];
    V max[Rows];
    Int* index_to[Rows];
    M argmax[Rows];
    M lane;              // 0, 1, 2, …
    lane_bits nans = 0;  // has any row met one?

    // From an index to the distance walked from the first one of this call, and from that to an index.
    HEED_INLINE integer walked(integer number) const {
        const integer first = static_cast<integer>(all.first);
        return all.back ? first - number : number - first;
    }
    HEED_INLINE integer walked_to(integer distance) const {
        const integer first = static_cast<integer>(all.first);
        return all.back ? first - distance : first + distance;
    }
    HEED_INLINE cummax_lane_walk(const detail::cummax_lanes<T>& a, index row) : all(a) {
        T counted[w];
        for (int l = 0; l < w; ++l) counted[l] = detail::scalar::float_of(static_cast<integer>(l));
        lane = bits_of(load(counted));
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            from[r] = a.from + (row + r) * a.from_stride;
            to[r] = a.to == nullptr ? nullptr : a.to + (row + r) * a.to_stride;
            max[r] = set<V>(a.max[row + r]);
            nans |= nan_lanes(max[r]);
            if constexpr (indices) {
                index_to[r] = static_cast<Int*>(a.indices) + (row + r) * a.index_stride;
                const integer number = detail::scalar::bits_of(a.argmax[row + r]);
                argmax[r] = lane - lane + walked(number);
            }
        }
    }
    HEED_INLINE void leave(index row) const {
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            T number[w];
            store(number, max[r]);
            all.max[row + r] = number[0];
            if constexpr (indices) {
                store(number, float_of(argmax[r]));
                all.argmax[row + r] = detail::scalar::float_of(walked_to(detail::scalar::bits_of(number[0])));
            }
        }
    }
    // `left` positions from the i-th on: a whole pack, or fewer. Those of a row that goes backwards are
    // reversed, and fewer then stand in the last lanes.
    template <bool Whole, bool Back>
    HEED_INLINE void step(index i, index left) {
        const index at = Back ? -i - left + 1 : i;
        V x[Rows];
        lane_bits nan = nans;
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            x[r] = load_part<Whole>(from[r] + at, left, detail::minus_infinity<T>());
            if constexpr (Back) x[r] = reversed_lanes(x[r]);
            nan |= nan_lanes(x[r]);
        }
        nans = nan;  // a NaN stays
        if (larger_is_later && nan == 0)
            scan<Whole, Back, false>(x, i, left);
        else
            scan<Whole, Back, true>(x, i, left);
    }
    template <bool Whole, bool Back, bool MayBeNan>
    HEED_INLINE void scan(const V* x, index i, index left) {
        using number = later_number<MayBeNan>;
        const index at = Back ? -i - left + 1 : i;
        const V none = set<V>(detail::minus_infinity<T>());
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            const V e = number::of(max[r], running<number>(x[r], none));
            max[r] = last_of_lanes(e);
            if (to[r] != nullptr) store_part<Whole>(to[r] + at, left, Back ? reversed_lanes(e) : e);
            if constexpr (indices) {
                // Counted in the direction of the walk, so that later ones are larger.
                constexpr integer lowest = constants<T>::sign_bit;
                const M nowhere = lane - lane + lowest;
                const integer before = Back ? static_cast<integer>(w - left) : 0;
                const M now = lane + (static_cast<integer>(i) - before);
                M p = bits_of(x[r]) == bits_of(e) ? now : nowhere;
                if constexpr (!Whole && Back) p = lane >= before ? p : nowhere;
                if constexpr (!Whole && !Back) p = lane < static_cast<integer>(left) ? p : nowhere;
                p = later_index::of(argmax[r], running<later_index>(p, nowhere));
                argmax[r] = last_of_lanes(p);
                p = static_cast<integer>(all.first) + (Back ? -p : p);
                write_indices<Whole>(index_to[r] + at, left, float_of(Back ? reversed_lanes(p) : p));
            }
        }
    }
    template <bool Whole>
    static HEED_INLINE void write_indices(Int* home, index left, V p) {
        if constexpr (Whole) return store_indices<T>(home, p);
        T number[w];
        store(number, p);
        for (index l = 0; l < left; ++l) home[l] = static_cast<Int>(detail::scalar::bits_of(number[l]));
    }
    template <bool Back>
    HEED_INLINE void run() {
        index i = 0;
        for (; i + w <= all.count; i += w) step<true, Back>(i, w);
        if (i < all.count) step<false, Back>(i, all.count - i);
    }
};

template <int Rows, class Int, class T>
HEED_INLINE void scan_lane_rows(const detail::cummax_lanes<T>& all, index row) {
    cummax_lane_walk<T, Rows, Int> walk(all, row);
    if (all.back)
        walk.template run<true>();
    else
        walk.template run<false>();
    walk.leave(row);
}
template <class T, class Int>
HEED_NOINLINE void scan_lanes(const detail::cummax_lanes<T>& all) {
    constexpr int together = HEED_SIMD_REGISTERS == 32 ? 4 : 2;
    index row = 0;
    for (; row + together <= all.rows; row += together) scan_lane_rows<together, Int>(all, row);
    for (; row < all.rows; ++row) scan_lane_rows<1, Int>(all, row);
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
