// SPDX-License-Identifier: MIT
// heed/kernel/exact/row-inl.hpp: the leaves of the decode kernel, on single rows of queries
//
// Lanes run over features. Four rows, or one, are multiplied with a few keys at a time and their sums are
// reduced together.
//
// Rows in front are fetched to the second-level cache, not the first, whose few miss buffers would bound
// the speed (measured: 11 GB/s into the first, 17 into the second, of 19 for plain reading).

#ifndef HEED_KERNEL_EXACT_ROW_INL
#define HEED_KERNEL_EXACT_ROW_INL

#include <heed/core/fetch.hpp>
#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/lanes-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/row-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Only rows that are known to exist: to look up an address without a page takes longer than a call over one
// key.
template <class T>
HEED_INLINE index fetched_ahead(const detail::number_rows<T>& x, index count) {
    constexpr index rows_ahead = 32;
    return count + rows_ahead <= x.there ? rows_ahead * x.stride : 0;
}

// Dots of Rows query rows with Keys keys, reduced together; out[r * detail::decode_keys + i]. Keys past the
// end repeat the last; of one row a whole pack is written.
template <int Rows, int Keys, class T>
HEED_INLINE void dots(const T* q, index q_stride, const detail::number_rows<T>& k, index ahead, index key,
                      index end, index features, T* out) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    const T* at_key[Keys];
    HEED_UNROLL
    for (int i = 0; i < Keys; ++i) at_key[i] = k.data + (key + i < end ? key + i : end - 1) * k.stride;
    const index whole = features / w * w;
    V sums[Rows * Keys];
    HEED_UNROLL
    for (int i = 0; i < Rows * Keys; ++i) sums[i] = set<V>(0);
    for (index f = 0; f < whole; f += w) {
        V x[Keys];
        HEED_UNROLL
        for (int i = 0; i < Keys; ++i) {
            x[i] = load(at_key[i] + f);
            detail::fetch_line(at_key[i] + f + ahead);
        }
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            const V y = load(q + r * q_stride + f);
            HEED_UNROLL
            for (int i = 0; i < Keys; ++i) sums[r * Keys + i] = y * x[i] + sums[r * Keys + i];
        }
    }
    V all;
    if constexpr (Rows * Keys == w)
        all = lane_sums<T>(sums);
    else
        all = lane_sums_of_few<T>(sums);
    if constexpr (Rows == 1) {
        if (whole == features) return store(out, all);
    }
    T reduced[w];
    store(reduced, all);
    const index there = end - key < Keys ? end - key : Keys;
    for (int r = 0; r < Rows; ++r) {
        T s = 0;
        for (index i = 0; i < (Rows == 1 ? w : Keys); ++i) {
            if (i < there) s = reduced[r * Keys + i];
            for (index f = whole; f < features && i < there; ++f)
                s = multiply_add(q[r * q_stride + f], at_key[i][f], s);
            out[r * detail::decode_keys + i] = s;
        }
    }
}

// All keys of a step against Rows rows. The last few get a narrower reduction, with the same bits.
template <int Rows, class T>
HEED_NOINLINE void row_scores(const T* q, index q_stride, const detail::number_rows<T>& k, index count,
                              index features, T* out) {
    constexpr int together = Rows < lanes_of<T> ? Rows : lanes_of<T>;
    constexpr int n = lanes_of<T> / together;
    constexpr int few_keys = 4;
    const index ahead = fetched_ahead(k, count);
    for (index key = 0; key < count; key += n) {
        if constexpr (n > few_keys) {
            if (count - key <= few_keys) {
                dots<together, few_keys>(q, q_stride, k, ahead, key, count, features, out + key);
                return;
            }
        }
        HEED_UNROLL
        for (int r = 0; r < Rows; r += together)
            dots<together, n>(q + r * q_stride, q_stride, k, ahead, key, count, features,
                              out + r * detail::decode_keys + key);
    }
}

// to[j] = p x[j] + from[j], or p x[j] + 0, for the packs of `count` keys.
template <bool First, class T>
HEED_INLINE void add_feature(T p, const T* x, index count, pack<T>* sums) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    const V y = set<V>(p);
    index key = 0;
    for (; key + w <= count; key += w, ++sums) *sums = y * load(x + key) + (First ? set<V>(0) : *sums);
    if (key < count) *sums = y * load_or(x + key, count - key, T(0)) + (First ? set<V>(0) : *sums);
}

// Keys as (feature, key), up to four rows: lanes are keys, in the order of dots() and so with its bits. What
// dots() keeps in lane l is a sum of its own here, and the lanes are added as lane_sums() adds them. A line
// is read once: of features that are pages apart, few fit a cache set, and what is fetched in front would be
// gone.
template <class T>
HEED_NOINLINE void transposed_scores(const T* q, index q_stride, index rows, const T* k, index feature_stride,
                                     index count, index features, T* out) {
    constexpr int w = lanes_of<T>;
    constexpr int packs = static_cast<int>(detail::decode_keys) / w;
    constexpr index page = 4096 / static_cast<index>(sizeof(T));
    using V = pack<T>;
    const index whole = features / w * w;
    const bool fetch = feature_stride % page != 0;
    V sums[4][w][packs];
    for (index f = 0; f < whole; ++f) {
        const T* const x = k + f * feature_stride;
        for (index key = 0; fetch && key < detail::decode_keys; key += 64 / static_cast<index>(sizeof(T)))
            detail::fetch_line(x + detail::decode_keys + key);
        for (index r = 0; r < rows; ++r) {
            if (f < w)
                add_feature<true>(q[r * q_stride + f], x, count, sums[r][f % w]);
            else
                add_feature<false>(q[r * q_stride + f], x, count, sums[r][f % w]);
        }
    }
    for (index r = 0; r < rows; ++r) {
        V total[packs];
        for (int j = 0; j * w < count; ++j) {
            total[j] = set<V>(0);
            if (whole == 0) continue;
            HEED_UNROLL
            for (int step = 1; step < w; step *= 2) {
                HEED_UNROLL
                for (int l = 0; l < w; l += 2 * step) sums[r][l][j] = sums[r][l][j] + sums[r][l + step][j];
            }
            total[j] = sums[r][0][j];
        }
        for (index f = whole; f < features; ++f)
            add_feature<false>(q[r * q_stride + f], k + f * feature_stride, count, total);
        for (int j = 0; j * w < count; ++j) store(out + r * detail::decode_keys + j * w, total[j]);
    }
}

// o = keep o + p v for Rows rows and Packs packs of value features from f on.
template <int Rows, int Packs, class T>
HEED_INLINE void pack_outputs(const T* p, const detail::number_rows<T>& v, index count, index f, T* output,
                              index output_stride, const T* keep) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    const index ahead = fetched_ahead(v, count);
    V sums[Rows][Packs];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = set<V>(0);
    }
    for (index i = 0; i < count; ++i) {
        const T* const row = v.data + i * v.stride + f;
        V x[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            detail::fetch_line(row + ahead + j * w);
            x[j] = load(row + j * w);
        }
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            const V s = set<V>(p[r * detail::decode_keys + i]);
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) sums[r][j] = s * x[j] + sums[r][j];
        }
    }
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            T* const o = output + r * output_stride + f + j * w;
            store(o, set<V>(keep[r]) * load(o) + sums[r][j]);
        }
    }
}

// Value features [f, columns) of one row, one by one: those that fill no pack, or all of them where a
// hidden value may be infinite or NaN and is not multiplied.
template <class T>
HEED_NOINLINE void single_outputs(const T* p, const T* hidden, const detail::number_rows<T>& v, index count,
                                  index f, index columns, T* output, T keep) {
    for (; f < columns; ++f) {
        T s = 0;
        for (index i = 0; i < count; ++i) {
            const T added = multiply_add(p[i], v.data[i * v.stride + f], s);
            s = hidden != nullptr && detail::is_minus_infinity(hidden[i]) ? s : added;
        }
        output[f] = keep * output[f] + s;
    }
}

// All value features of Rows rows: four packs at a time, then one pack and one row, then single ones.
template <int Rows, class T>
HEED_NOINLINE void row_outputs(const T* p, const detail::number_rows<T>& v, index count, index columns,
                               T* output, const T* keep) {
    constexpr int w = lanes_of<T>;
    index f = 0;
    for (; f + 4 * w <= columns; f += 4 * w) pack_outputs<Rows, 4>(p, v, count, f, output, columns, keep);
    for (; f + w <= columns; f += w)
        for (int r = 0; r < Rows; ++r)
            pack_outputs<1, 1>(p + r * detail::decode_keys, v, count, f, output + r * columns, columns,
                               keep + r);
    for (int r = 0; r < Rows && f < columns; ++r)
        single_outputs<T>(p + r * detail::decode_keys, nullptr, v, count, f, columns, output + r * columns,
                          keep[r]);
}

// Scores of one row to e^(s - m) in place; lanes past count up to a whole pack are hidden first. Bounded as
// in panel_max.
template <class T>
HEED_NOINLINE void row_softmax(T* s, index count, bool bounded, T& most, T& sum, T& keep) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    const V lowest = set<V>(bounded ? constants<T>::lowest : detail::minus_infinity<T>());
    V largest = set<V>(detail::minus_infinity<T>());
    for (index i = 0; i < count; i += w) {
        const V x = first_lanes(larger(lowest, load(s + i)), count - i, detail::minus_infinity<T>());
        store(s + i, x);
        largest = larger(x, largest);
    }
    const T found = largest_of_lanes<T>(largest);
    const T m = found > most ? found : most;
    const T safe = detail::is_minus_infinity(m) ? T(0) : m;
    V total = set<V>(0);
    for (index i = 0; i < count; i += w) {
        const V e = exp_of_negative(load(s + i) - set<V>(safe));
        total = total + e;
        store(s + i, e);
    }
    const T added = sum_of_lanes<T>(total);
    keep = detail::scalar::exp_of_negative(most - safe);
    most = m;
    sum = sum * keep + added;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
