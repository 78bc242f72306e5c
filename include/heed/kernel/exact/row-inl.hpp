// SPDX-License-Identifier: MIT
// heed/kernel/exact/row-inl.hpp: the leaves of the decode kernel, on single rows of queries
//
// Lanes run over features. Four rows, or one, are multiplied with a few keys at a time and their sums are
// reduced together. Keys and values are read as they are stored (exact/stored-inl.hpp).
//
// What is read next is fetched meanwhile: rows further on to the second-level cache, since the first has too
// few miss buffers for a stream that waits for nothing else; or, where a step reads few keys and then their
// values, those of the step to the first-level cache while keys are multiplied, and the next keys while
// values are added, so that neither stream pauses.

#ifndef HEED_KERNEL_EXACT_ROW_INL
#define HEED_KERNEL_EXACT_ROW_INL

#include <heed/core/fetch.hpp>
#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/exact/stored-inl.hpp>
#include <heed/kernel/lanes-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/row-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Rows of S, and what is fetched while they are read.
template <class S>
struct rows_ahead {
    const S* data;
    index stride;
    index ahead;  // elements

    HEED_INLINE const S* row(index i) const { return data + i * stride; }
    HEED_INLINE void fetch(index i, index f) const { detail::fetch_line(row(i) + f + ahead); }
};
template <class T>
HEED_INLINE rows_ahead<T> rows_to_read(const detail::number_rows<T>& x, index count) {
    // Only rows that are known to exist: to look up an address without a page takes longer than a call over
    // one key.
    constexpr index rows = 32;
    return {x.data, x.stride, count + rows <= x.there ? rows * x.stride : 0};
}
template <class S>
struct rows_beside {
    const S* data;
    index stride;  // bytes, as the other
    const S* soon;
    index soon_stride;

    HEED_INLINE const S* row(index i) const { return row_of(data, i * stride); }
    HEED_INLINE void fetch(index i, index f) const {
        detail::fetch_near(stored_place(row_of(soon, i * soon_stride), f));
    }

private:
    static HEED_INLINE const S* row_of(const S* from, index bytes) {
        return reinterpret_cast<const S*>(reinterpret_cast<const char*>(from) + bytes);
    }
};
template <class S>
HEED_INLINE rows_beside<S> rows_to_read(const detail::stored_rows& x) {
    const auto* const data = reinterpret_cast<const S*>(x.data);
    if (x.soon == nullptr) return {data, x.stride, data, x.stride};
    return {data, x.stride, reinterpret_cast<const S*>(x.soon), x.soon_stride};
}

// Dots of Rows query rows with Keys keys, reduced together; out[r * detail::decode_keys + i]. Keys past the
// end repeat the last; of one row a whole pack is written.
template <int Rows, int Keys, class T, class K>
HEED_INLINE void dots(const T* q, index q_stride, const K& k, index key, index end, index features, T* out) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    decltype(k.row(0)) at_key[Keys];
    HEED_UNROLL
    for (int i = 0; i < Keys; ++i) at_key[i] = k.row(key + i < end ? key + i : end - 1);
    const index whole = features / w * w;
    V sums[Rows * Keys];
    HEED_UNROLL
    for (int i = 0; i < Rows * Keys; ++i) sums[i] = set<V>(0);
    for (index f = 0; f < whole; f += w) {
        V x[Keys];
        HEED_UNROLL
        for (int i = 0; i < Keys; ++i) {
            x[i] = stored_pack(at_key[i], f);
            k.fetch(key + i, f);
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
    if (Rows > 1 && there == Keys && whole == features) {
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            HEED_UNROLL
            for (int i = 0; i < Keys; ++i) out[r * detail::decode_keys + i] = reduced[r * Keys + i];
        }
        return;
    }
    for (int r = 0; r < Rows; ++r) {
        T s = 0;
        for (index i = 0; i < (Rows == 1 ? w : Keys); ++i) {
            if (i < there) s = reduced[r * Keys + i];
            for (index f = whole; f < features && i < there; ++f)
                s = multiply_add(q[r * q_stride + f], stored_number(at_key[i], f), s);
            out[r * detail::decode_keys + i] = s;
        }
    }
}

// All keys of a step against Rows rows. The last few get a narrower reduction, with the same bits.
template <int Rows, class T, class K>
HEED_INLINE void scores_of_rows(const T* q, index q_stride, const K& k, index count, index features, T* out) {
    constexpr int together = Rows < lanes_of<T> ? Rows : lanes_of<T>;
    constexpr int n = lanes_of<T> / together;
    constexpr int few_keys = 4;
    for (index key = 0; key < count; key += n) {
        if constexpr (n > few_keys) {
            if (count - key <= few_keys) {
                dots<together, few_keys>(q, q_stride, k, key, count, features, out + key);
                return;
            }
        }
        HEED_UNROLL
        for (int r = 0; r < Rows; r += together)
            dots<together, n>(q + r * q_stride, q_stride, k, key, count, features,
                              out + r * detail::decode_keys + key);
    }
}
template <int Rows, class T>
HEED_NOINLINE void row_scores(const T* q, index q_stride, const detail::number_rows<T>& k, index count,
                              index features, T* out) {
    scores_of_rows<Rows>(q, q_stride, rows_to_read(k, count), count, features, out);
}
template <int Rows, class S, class T>
HEED_NOINLINE void stored_scores(const T* q, index q_stride, const detail::stored_rows& k, index count,
                                 index features, T* out) {
    scores_of_rows<Rows>(q, q_stride, rows_to_read<S>(k), count, features, out);
    if (k.scales == nullptr) return;
    for (int r = 0; r < Rows; ++r)
        for (index i = 0; i < count; ++i) out[r * detail::decode_keys + i] *= static_cast<T>(k.scales[i]);
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

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
