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

// o = rescale o + p v for Rows rows and Packs packs of value features from f on.
template <int Rows, int Packs, class T, class R>
HEED_INLINE void pack_outputs(const T* p, const R& v, index count, index f, T* output, index output_stride,
                              const T* rescale) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V sums[Rows][Packs];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = set<V>(0);
    }
    for (index i = 0; i < count; ++i) {
        const auto* const row = v.row(i);
        V x[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            v.fetch(i, f + j * w);
            x[j] = stored_pack(row, f + j * w);
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
            store(o, set<V>(rescale[r]) * load(o) + sums[r][j]);
        }
    }
}

// Value features [f, columns) of one row, one by one, where a hidden value may be infinite or NaN and is not
// multiplied.
template <class T>
HEED_NOINLINE void single_outputs(const T* p, const T* hidden, const detail::number_rows<T>& v, index count,
                                  index f, index columns, T* output, T rescale) {
    for (; f < columns; ++f) {
        T s = 0;
        for (index i = 0; i < count; ++i) {
            const T added = multiply_add(p[i], v.data[i * v.stride + f], s);
            s = detail::is_minus_infinity(hidden[i]) ? s : added;
        }
        output[f] = rescale * output[f] + s;
    }
}

// All value features of Rows rows: four packs at a time, then one pack and one row, then single ones.
template <int Rows, class T, class R>
HEED_INLINE void outputs_of_rows(const T* p, const R& v, index count, index columns, T* output,
                                 const T* rescale) {
    constexpr int w = lanes_of<T>;
    index f = 0;
    for (; f + 4 * w <= columns; f += 4 * w) pack_outputs<Rows, 4>(p, v, count, f, output, columns, rescale);
    for (; f + w <= columns; f += w)
        for (int r = 0; r < Rows; ++r)
            pack_outputs<1, 1>(p + r * detail::decode_keys, v, count, f, output + r * columns, columns,
                               rescale + r);
    for (; f < columns; ++f)
        for (int r = 0; r < Rows; ++r) {
            T s = 0;
            for (index i = 0; i < count; ++i)
                s = multiply_add(p[r * detail::decode_keys + i], stored_number(v.row(i), f), s);
            output[r * columns + f] = rescale[r] * output[r * columns + f] + s;
        }
}
template <int Rows, class T>
HEED_NOINLINE void row_outputs(const T* p, const detail::number_rows<T>& v, index count, index columns,
                               T* output, const T* rescale) {
    outputs_of_rows<Rows>(p, rows_to_read(v, count), count, columns, output, rescale);
}
template <int Rows, class S, class T>
HEED_NOINLINE void stored_outputs(const T* p, const detail::stored_rows& v, index count, index columns,
                                  T* output, const T* rescale) {
    T scaled[Rows * detail::decode_keys];
    if (v.scales != nullptr) {
        for (int r = 0; r < Rows; ++r)
            for (index i = 0; i < count; ++i)
                scaled[r * detail::decode_keys + i] =
                    p[r * detail::decode_keys + i] * static_cast<T>(v.scales[i]);
        p = scaled;
    }
    outputs_of_rows<Rows>(p, rows_to_read<S>(v), count, columns, output, rescale);
}
template <class S, class T>
HEED_NOINLINE void widen_stored(const detail::stored_rows& rows, index count, index features, T* to,
                                index to_stride) {
    constexpr int w = lanes_of<T>;
    const auto from = rows_to_read<S>(rows);
    for (index r = 0; r < count; ++r, to += to_stride) {
        const T scale = rows.scales == nullptr ? T(1) : static_cast<T>(rows.scales[r]);
        index f = 0;
        for (; f + w <= features; f += w) store(to + f, stored_pack(from.row(r), f) * set<pack<T>>(scale));
        for (; f < features; ++f) to[f] = stored_number(from.row(r), f) * scale;
    }
}
template <class S, class T>
inline constexpr detail::stored_leaves<T> stored_leaves_of{
    .scores = {&stored_scores<1, S, T>, &stored_scores<4, S, T>},
    .outputs = {&stored_outputs<1, S, T>, &stored_outputs<4, S, T>},
    .widen = &widen_stored<S, T>,
};

// Scores of Rows rows to e^(s - m) in place; lanes past count up to a whole pack are hidden first. Bounded as
// in panel_max. The rows' maxima and sums are reduced together, each with the bits it has alone.
template <int Rows, class T>
HEED_INLINE void softmax_of_rows(T* s, index count, bool bounded, T* row_max, T* row_sum, T* rescale) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    const V lowest = set<V>(bounded ? constants<T>::lowest : detail::minus_infinity<T>());
    V reduced[Rows];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) reduced[r] = set<V>(detail::minus_infinity<T>());
    for (index i = 0; i < count; i += w) {
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            T* const at = s + r * detail::decode_keys + i;
            const V x = first_lanes(larger(lowest, load(at)), count - i, detail::minus_infinity<T>());
            store(at, x);
            reduced[r] = larger(x, reduced[r]);
        }
    }
    T found[w];
    store(found, lanes_reduced<largest_lanes, T>(reduced));
    T safe[Rows];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        const T m = found[r] > row_max[r] ? found[r] : row_max[r];
        safe[r] = detail::is_minus_infinity(m) ? T(0) : m;
        rescale[r] = row_max[r] == m ? T(1) : detail::scalar::exp_of_negative(row_max[r] - safe[r]);
        row_max[r] = m;
        reduced[r] = set<V>(0);
    }
    for (index i = 0; i < count; i += w) {
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            T* const at = s + r * detail::decode_keys + i;
            const V e = exp_of_negative(load(at) - set<V>(safe[r]));
            reduced[r] = reduced[r] + e;
            store(at, e);
        }
    }
    store(found, lanes_reduced<summed_lanes, T>(reduced));
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) row_sum[r] = row_sum[r] * rescale[r] + found[r];
}
// Rows a row of decode_keys apart.
template <class T>
HEED_NOINLINE void rows_softmax(T* s, index rows, index count, bool bounded, T* row_max, T* row_sum,
                                T* rescale) {
    constexpr int together = lanes_of<T> < 4 ? 1 : 4;
    index r = 0;
    for (; r + together <= rows; r += together)
        softmax_of_rows<together>(s + r * detail::decode_keys, count, bounded, row_max + r, row_sum + r,
                                  rescale + r);
    for (; r < rows; ++r)
        softmax_of_rows<1>(s + r * detail::decode_keys, count, bounded, row_max + r, row_sum + r,
                           rescale + r);
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
