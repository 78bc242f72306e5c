// SPDX-License-Identifier: MIT
// heed/kernel/exact/panel-inl.hpp: the leaves of the tiled kernel, on panels of up to three packs of queries
//
// Scores are (key, lane), outputs (value feature, lane), lanes being queries. Only the products are
// written for each number of packs; everything else takes one pack at a time.

#ifndef HEED_KERNEL_EXACT_PANEL_INL
#define HEED_KERNEL_EXACT_PANEL_INL

#include <heed/kernel/exact/product-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/panel-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Scores of keys [first, end) against a strip; row_max[lane] becomes the largest of it and them.
template <int Packs, class T>
HEED_NOINLINE void panel_scores(const detail::key_tile<T>& kv, index first, index end, index features,
                                const T* query, T* row_max) {
    constexpr int n = product_rows<Packs>;
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    for (index key = first; key < end; key += n) {
        const T* a = kv.keys.data + key * kv.keys.stride;
        index stride = kv.keys.stride;
        const index rows = end - key < n ? end - key : index{n};
        if (rows < n) {
            for (index r = 0; r < n; ++r)
                for (index f = 0; f < features; ++f)
                    kv.padded[r * features + f] = a[(r < rows ? r : 0) * stride + f];
            a = kv.padded;
            stride = features;
        }
        V sums[n][Packs];
        product_of_chains(a, stride, index{1}, query, index{0}, features, (features + 3) / 4, sums);
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            // Rows of padding repeat the first key, so they change no maximum.
            V largest = load(row_max + j * w);
            HEED_UNROLL
            for (int r = 0; r < n; ++r) {
                store(kv.scores + (key + r) * panel_lanes<T> + j * w, sums[r][j]);
                largest = larger(sums[r][j], largest);
            }
            store(row_max + j * w, largest);
        }
    }
}

// Output of keys [first, end), added to the strip's: o = rescale o + p v.
template <int Packs, class T>
HEED_NOINLINE void panel_outputs(const detail::key_tile<T>& kv, index first, index end, index columns,
                                 T* output, const T* rescale) {
    constexpr int n = product_rows<Packs>;
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    const index whole = columns / detail::row_group * detail::row_group;
    for (index f = 0; f < columns; f += n) {
        const detail::number_rows<T>& from = f < whole ? kv.values : kv.value_tail;
        const T* a = from.data + first * from.stride + (f < whole ? f : f - whole);
        V sums[n][Packs];
        product_of_chains(a, index{1}, from.stride, kv.scores + first * panel_lanes<T>, first, end - first,
                          output_chain, sums);
        HEED_UNROLL
        for (int r = 0; r < n; ++r) {
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) {
                T* const o = output + (f + r) * panel_lanes<T> + j * w;
                store(o, load(rescale + j * w) * load(o) + sums[r][j]);
            }
        }
    }
}

// The same where a hidden value may be infinite or NaN: what is hidden is not multiplied.
template <class T>
HEED_NOINLINE void visible_outputs(const detail::key_tile<T>& kv, index first, index end, index columns,
                                   T* output, const T* rescale, int packs) {
    using V = pack<T>;
    for (index f = 0; f < columns; ++f)
        for (int j = 0; j < packs * lanes_of<T>; j += lanes_of<T>) {
            V sums = set<V>(0);
            V chains[2] = {sums, sums};
            for (index key = first; key < end; ++key) {
                const index x = key * panel_lanes<T> + j;
                V& chain = chains[side_by_side ? (key - first) % 2 : 0];
                const V added =
                    load(kv.scores + x) * set<V>(kv.values.data[key * kv.values.stride + f]) + chain;
                chain = choose(is_minus_infinity(load(kv.hidden + x)), chain, added);
                if (!side_by_side && ((key + 1) % output_chain == 0 || key + 1 == end)) {
                    sums = chain + sums;
                    chain = set<V>(0);
                }
            }
            if (side_by_side) sums = chains[1] + chains[0];
            T* const o = output + f * panel_lanes<T> + j;
            store(o, load(rescale + j) * load(o) + sums);
        }
}

template <class T>
HEED_INLINE pack<T> exponential_in_place(T* x, pack<T> row_max) {
    const pack<T> e = exp_of_negative(load(x) - row_max);
    store(x, e);
    return e;
}

// Scores of `packs` packs to e^(s - m) in place, and the running sums: with rescale = e^(before - m) row_sum
// becomes rescale row_sum + the sum of the exponentials, which is added up in the same chains as the output,
// so that values of 1 give 1.
template <class T>
HEED_NOINLINE void panel_softmax(T* s, index begin, index rows, int packs, const T* before, const T* row_max,
                                 T* row_sum, T* rescale) {
    using V = pack<T>;
    constexpr index next = panel_lanes<T>;
    for (int j = 0; j < packs * lanes_of<T>; j += lanes_of<T>) {
        const V m = load(row_max + j);
        const V safe = choose(is_minus_infinity(m), set<V>(0), m);
        V added = set<V>(0);
        V chain = added;
        T* x = s + j;
        T* const end = x + rows * next;
        if constexpr (side_by_side) {
            for (; x + next < end; x += 2 * next) {
                added = added + exponential_in_place(x, safe);
                chain = chain + exponential_in_place(x + next, safe);
            }
            if (x < end) added = added + exponential_in_place(x, safe);
            added = chain + added;
        } else {
            for (index r = begin; x < end; ++r, x += next) {
                chain = chain + exponential_in_place(x, safe);
                if ((r + 1) % output_chain == 0 || x + next >= end) {
                    added = chain + added;
                    chain = set<V>(0);
                }
            }
        }
        const V k = exp_of_negative(load(before + j) - safe);
        store(rescale + j, k);
        store(row_sum + j, k * load(row_sum + j) + added);
    }
}

// The largest of `before` and of the scores of each lane. Scores that overflowed to -inf are small, not
// hidden: with `bounded` they become the lowest number.
template <class T>
HEED_NOINLINE void panel_max(T* s, index rows, int packs, const T* before, T* row_max, bool bounded) {
    using V = pack<T>;
    const V lowest = set<V>(bounded ? constants<T>::lowest : detail::minus_infinity<T>());
    for (int j = 0; j < packs * lanes_of<T>; j += lanes_of<T>) {
        V largest = load(before + j);
        for (index r = 0; r < rows; ++r) {
            T* const x = s + r * panel_lanes<T> + j;
            const V y = larger(lowest, load(x));
            store(x, y);
            largest = larger(y, largest);
        }
        store(row_max + j, largest);
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
