// SPDX-License-Identifier: MIT
// heed/kernel/rows/rows-inl.hpp: the leaves of attention over whole rows of scores

#ifndef HEED_KERNEL_ROWS_ROWS_INL
#define HEED_KERNEL_ROWS_ROWS_INL

#include <heed/core/fetch.hpp>
#include <heed/kernel/rows/problem.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/rows/rows-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class T>
HEED_NOINLINE void to_rows(const T* scores, index keys, index lanes, bool bounded, T* rows,
                           index row_stride) {
    constexpr int w = lanes_of<T>;
    constexpr index next = detail::panel_packs * w;
    using V = pack<T>;
    const V lowest = set<V>(bounded ? constants<T>::lowest : detail::minus_infinity<T>());
    for (index lane = 0; lane < lanes; lane += w)
        for (index key = 0; key < keys; key += w) {
            V square[w];
            HEED_UNROLL
            for (int i = 0; i < w; ++i) square[i] = load(scores + (key + i) * next + lane);
            transpose<T>(square);
            HEED_UNROLL
            for (int i = 0; i < w; ++i)
                store(rows + (lane + i) * row_stride + key, larger(lowest, square[i]));
        }
}

template <class T>
HEED_NOINLINE T row_max_of(const T* x, index n) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V row_max = set<V>(detail::minus_infinity<T>());
    index i = 0;
    for (; i + w <= n; i += w) row_max = larger(load(x + i), row_max);
    T lane[w];
    store(lane, row_max);
    T largest = lane[0];
    for (int l = 1; l < w; ++l) largest = lane[l] > largest ? lane[l] : largest;
    for (; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
    return largest;
}

// The lanes behind the last number, up to a whole pack, become 0. Sums of this many packs are added to
// sums, and as many of those to others, so that rounding does not grow with the length.
inline constexpr index packs_of_sum = 32;

template <class T>
HEED_NOINLINE T exponentials(T* x, index n, T row_max) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    index whole = n;
    for (; whole % w != 0; ++whole) x[whole] = detail::minus_infinity<T>();
    V total = set<V>(0);
    V group = total;
    index added = 0;
    for (index i = 0; i < whole;) {
        const index end = i + packs_of_sum * w < whole ? i + packs_of_sum * w : whole;
        V sum = set<V>(0);
        for (; i < end; i += w) {
            const V e = exp_of_negative(load(x + i) - set<V>(row_max));
            store(x + i, e);
            sum = e + sum;
        }
        group = sum + group;
        if (++added % packs_of_sum != 0 && i < whole) continue;
        total = group + total;
        group = set<V>(0);
    }
    T lane[w];
    store(lane, total);
    T sum = lane[0];
    for (int l = 1; l < w; ++l) sum += lane[l];
    return sum;
}

template <int Packs, class T>
HEED_INLINE void add_kept(T weight, const T* row, pack<T> (&sums)[Packs]) {
    const pack<T> p = set<pack<T>>(weight);
    HEED_UNROLL
    for (int j = 0; j < Packs; ++j) sums[j] = p * load(row + j * lanes_of<T>) + sums[j];
}

// One row: o += the sum of the kept values of a tile, for Packs packs of value features. Every second key
// goes to sums of its own: one chain of multiply-adds alone is as slow as its latency.
template <int Packs, class T>
HEED_INLINE index kept_packs(const T* weights, const std::int32_t* keys, index i, std::int32_t first,
                             std::int32_t end, const T* v, index stride, T* output) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V sums[2][Packs];
    HEED_UNROLL
    for (int j = 0; j < Packs; ++j) sums[0][j] = sums[1][j] = set<V>(0);
    // Behind a kept key there is another, or the end of the list.
    for (; keys[i] < end; i += 2) {
        add_kept(weights[i], v + (keys[i] - first) * stride, sums[0]);
        if (keys[i + 1] >= end) {
            ++i;
            break;
        }
        add_kept(weights[i + 1], v + (keys[i + 1] - first) * stride, sums[1]);
    }
    HEED_UNROLL
    for (int j = 0; j < Packs; ++j) store(output + j * w, load(output + j * w) + (sums[1][j] + sums[0][j]));
    return i;
}

template <class T>
HEED_NOINLINE void kept_outputs(const T* weights, const std::int32_t* keys, index row_stride, index rows,
                                index* next, std::int32_t first, std::int32_t end,
                                const detail::number_rows<T>& v, const T* ahead, index columns, T* output) {
    constexpr int w = lanes_of<T>;
    constexpr index line = 64 / static_cast<index>(sizeof(T));
    const index lines = ((end - first) * columns / line + rows - 1) / rows;
    for (index r = 0; r < rows; ++r) {
        if (r + 2 < rows) {
            detail::fetch_near(weights + 2 * row_stride + next[r + 2]);
            detail::fetch_near(keys + 2 * row_stride + next[r + 2]);
        }
        // The next tile to the second cache: beside this one it does not fit into the first.
        for (index i = 0; ahead != nullptr && i < lines; ++i, ahead += line) detail::fetch_line(ahead);
        const index begin = next[r];
        index f = 0;
        index i = begin;
        for (; f + 4 * w <= columns; f += 4 * w)
            i = kept_packs<4>(weights, keys, begin, first, end, v.data + f, v.stride, output + f);
        for (; f + w <= columns; f += w)
            i = kept_packs<1>(weights, keys, begin, first, end, v.data + f, v.stride, output + f);
        for (; f < columns; ++f) {
            T sum = 0;
            for (i = begin; keys[i] < end; ++i)
                sum = multiply_add(weights[i], v.data[(keys[i] - first) * v.stride + f], sum);
            output[f] += sum;
        }
        next[r] = i;
        weights += row_stride;
        keys += row_stride;
        output += columns;
    }
}

template <class T>
const detail::row_leaves<T>& row_leaves() {
    static constexpr detail::row_leaves<T> table{
        .to_rows = &to_rows<T>,
        .row_max = &row_max_of<T>,
        .exponentials = &exponentials<T>,
        .outputs = &kept_outputs<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
