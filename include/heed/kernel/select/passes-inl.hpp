// SPDX-License-Identifier: MIT
// heed/kernel/select/passes-inl.hpp: the passes over a row of numbers that selection is made of

#ifndef HEED_KERNEL_SELECT_PASSES_INL
#define HEED_KERNEL_SELECT_PASSES_INL

#include <heed/kernel/select/problem.hpp>
#include <heed/simd/lane_bits-inl.hpp>

#define HEED_FOREACH <heed/kernel/select/passes-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Lanes from n on are left out.
template <class T>
HEED_INLINE lane_bits first_bits(index n) {
    return n >= lanes_of<T> ? all_bits<T> : (lane_bits{1} << n) - 1;
}
// The last n numbers, fewer than a pack; the lanes behind them repeat the first.
template <class T>
HEED_INLINE pack<T> load_some(const T* x, index n) {
    T lane[lanes_of<T>];
    for (int l = 0; l < lanes_of<T>; ++l) lane[l] = x[l < n ? l : 0];
    return load(static_cast<const T*>(lane));
}

template <class T>
HEED_NOINLINE void count_from(const T* x, index n, T c, index& above, index& from) {
    constexpr int w = lanes_of<T>;
    const pack<T> limit = set<pack<T>>(c);
    index low[2] = {0, 0};
    index not_above[2] = {0, 0};
    index i = 0;
    for (; i + 2 * w <= n; i += 2 * w) {
        HEED_UNROLL
        for (int j = 0; j < 2; ++j) {
            const pack<T> y = load(x + i + j * w);
            low[j] += count_bits(below(y, limit));
            not_above[j] += count_bits(up_to(y, limit));
        }
    }
    for (; i < n; i += w) {
        const pack<T> y = i + w <= n ? load(x + i) : load_some(x + i, n - i);
        low[0] += count_bits(below(y, limit) & first_bits<T>(n - i));
        not_above[0] += count_bits(up_to(y, limit) & first_bits<T>(n - i));
    }
    above = n - not_above[0] - not_above[1];
    from = n - low[0] - low[1];
}

template <class T>
HEED_NOINLINE index count_not_below(const T* x, index n, T c) {
    constexpr int w = lanes_of<T>;
    constexpr int together = lanes_of<T> >= 4 ? 32 / lanes_of<T> : 1;
    const pack<T> limit = set<pack<T>>(c);
    index low = 0;
    index i = 0;
    for (; lanes_of<T> >= 4 && i + together * w <= n; i += together * w) {
        lane_bits bits = 0;
        HEED_UNROLL
        for (int j = 0; j < together; ++j) bits |= below(load(x + i + j * w), limit) << (j * w);
        low += count_all_bits(bits);
    }
    for (; i < n; i += w) {
        const pack<T> y = i + w <= n ? load(x + i) : load_some(x + i, n - i);
        low += count_bits(below(y, limit) & first_bits<T>(n - i));
    }
    return n - low;
}

template <class T>
HEED_NOINLINE void range_of(const T* x, index n, T& low, T& high) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V max = set<V>(detail::minus_infinity<T>());
    V min = max;  // of the numbers with the other sign
    for (index i = 0; i < n; i += w) {
        const V y = i + w <= n ? load(x + i) : load_some(x + i, n - i);
        max = larger(y, max);
        min = larger(-y, min);
    }
    T lane[w];
    T other[w];
    store(lane, max);
    store(other, min);
    high = lane[0];
    low = other[0];
    for (int l = 1; l < w; ++l) {
        high = lane[l] > high ? lane[l] : high;
        low = other[l] > low ? other[l] : low;
    }
    low = -low;
}

template <class T>
HEED_NOINLINE index within(const T* x, index n, T low, T high, T* to, index& above_high) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    const V bottom = set<V>(low);
    const V top = set<V>(high);
    index found = 0;
    index not_above = 0;
    index i = 0;
    for (; i + w <= n; i += w) {
        const V y = load(x + i);
        const lane_bits fits = up_to(y, top);
        const lane_bits chosen = within_bits(y, bottom, fits);
        store_chosen(to + found, y, chosen);
        not_above += count_bits(fits);
        found += count_bits(chosen);
    }
    if (i < n) {
        const V y = load_some(x + i, n - i);
        const lane_bits fits = up_to(y, top) & first_bits<T>(n - i);
        const lane_bits chosen = within_bits(y, bottom, fits);
        store_chosen(to + found, y, chosen);
        not_above += count_bits(fits);
        found += count_bits(chosen);
    }
    above_high = n - not_above;
    return found;
}

template <class T>
HEED_NOINLINE void sample(const T* x, index step, index runs, T* to) {
    for (index i = 0; i < runs; ++i)
        for (index j = 0; j < detail::sample_run; ++j) to[i * detail::sample_run + j] = x[i * step + j];
}

template <class T>
HEED_NOINLINE T largest(const T* x, index n, index rank, index& above, index& equal) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    T c = x[0];
    for (index candidate = 0; candidate < n; ++candidate) {
        c = x[candidate];
        const V limit = set<V>(c);
        index low = 0;
        index not_above = 0;
        index i = 0;
        for (; i + w <= n; i += w) {
            low += count_bits(below(load(x + i), limit));
            not_above += count_bits(up_to(load(x + i), limit));
        }
        if (i < n) {
            const V y = load_some(x + i, n - i);
            low += count_bits(below(y, limit) & first_bits<T>(n - i));
            not_above += count_bits(up_to(y, limit) & first_bits<T>(n - i));
        }
        above = n - not_above;
        equal = not_above - low;
        if (above < rank && rank <= above + equal) break;
    }
    return c;
}

template <class T>
HEED_NOINLINE index behind_equal(const T* x, index n, T c, index count) {
    constexpr int w = lanes_of<T>;
    const pack<T> limit = set<pack<T>>(c);
    index i = 0;
    for (; i + w <= n; i += w) {
        const pack<T> y = load(x + i);
        const index here = count_bits(up_to(y, limit) & ~below(y, limit));
        if (here >= count) break;
        count -= here;
    }
    for (; i < n && count > 0; ++i) count -= x[i] == c ? 1 : 0;
    return i;
}

template <bool Greater, bool Values, class T>
HEED_INLINE index emit_where(const T* x, index n, pack<T> limit, std::int32_t first, std::int32_t* indices,
                             T* values, index capacity) {
    constexpr int w = lanes_of<T>;
    index found = 0;
    index i = 0;
    for (; i + w <= n && found + w <= capacity; i += w) {
        const pack<T> y = load(x + i);
        const lane_bits chosen = Greater ? above(y, limit) : not_below(y, limit);
        store_indices<T>(indices + found, first + static_cast<std::int32_t>(i), chosen);
        if constexpr (Values) store_chosen(values + found, y, chosen);
        found += count_bits(chosen);
    }
    for (; i < n && found < capacity; i += w) {
        const pack<T> y = i + w <= n ? load(x + i) : load_some(x + i, n - i);
        const lane_bits chosen = (Greater ? above(y, limit) : not_below(y, limit)) & first_bits<T>(n - i);
        T lane[w];
        store(lane, y);
        for (int l = 0; l < w && found < capacity; ++l) {
            if ((chosen >> l & 1) == 0) continue;
            indices[found] = first + static_cast<std::int32_t>(i) + l;
            if constexpr (Values) values[found] = lane[l];
            ++found;
        }
    }
    return found;
}

template <class T>
HEED_NOINLINE index write_chosen(const T* x, index n, T c, bool above, std::int32_t first,
                                 std::int32_t* indices, T* values, index capacity) {
    const pack<T> limit = set<pack<T>>(c);
    if (values == nullptr)
        return above ? emit_where<true, false>(x, n, limit, first, indices, values, capacity)
                     : emit_where<false, false>(x, n, limit, first, indices, values, capacity);
    return above ? emit_where<true, true>(x, n, limit, first, indices, values, capacity)
                 : emit_where<false, true>(x, n, limit, first, indices, values, capacity);
}

template <class T>
const detail::select_leaves<T>& select_leaves() {
    static constexpr detail::select_leaves<T> table{
        .pack_lanes = lanes_of<T>,
        .count = &count_from<T>,
        .count_not_below = &count_not_below<T>,
        .range = &range_of<T>,
        .within = &within<T>,
        .sample = &sample<T>,
        .largest = &largest<T>,
        .behind_equal = &behind_equal<T>,
        .write_chosen = &write_chosen<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
