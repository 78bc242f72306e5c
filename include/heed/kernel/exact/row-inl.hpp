// SPDX-License-Identifier: MIT
// heed/kernel/exact/row-inl.hpp: the leaves of the decode kernel, on single rows of queries
//
// Lanes run over features. Four rows, or one, are multiplied with a few keys at a time and their sums are
// reduced together.
//
// Rows in front are fetched to the second-level cache, not the first, whose few miss buffers would bound
// the speed (measured: 11 GB/s into the first, 17 into the second, of 19 for plain reading).

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

inline constexpr index rows_ahead = 32;

// Dots of Rows query rows with w / Rows keys, reduced together; out[r * detail::decode_keys + i].
template <int Rows, class T>
HEED_INLINE void dots(const T* q, index q_stride, const detail::number_rows<T>& k, index key, index end,
                      index features, T* out) {
    constexpr int w = lanes_of<T>;
    constexpr int n = w / Rows;
    using V = pack<T>;
    const T* at_key[n];
    HEED_UNROLL
    for (int i = 0; i < n; ++i) at_key[i] = k.data + (key + i < end ? key + i : end - 1) * k.stride;
    const index whole = features / w * w;
    V sums[w];
    HEED_UNROLL
    for (int i = 0; i < w; ++i) sums[i] = set<V>(0);
    for (index f = 0; f < whole; f += w) {
        V x[n];
        HEED_UNROLL
        for (int i = 0; i < n; ++i) {
            x[i] = load(at_key[i] + f);
            __builtin_prefetch(at_key[i] + f + rows_ahead * k.stride, 0, 2);
        }
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            const V y = load(q + r * q_stride + f);
            HEED_UNROLL
            for (int i = 0; i < n; ++i) sums[r * n + i] = y * x[i] + sums[r * n + i];
        }
    }
    T reduced[w];
    store(reduced, lane_sums<T>(sums));
    for (int r = 0; r < Rows; ++r)
        for (int i = 0; i < n; ++i) {
            T s = reduced[r * n + i];
            for (index f = whole; f < features; ++f) s = multiply_add(q[r * q_stride + f], at_key[i][f], s);
            out[r * detail::decode_keys + i] = s;
        }
}

// All keys of a step against Rows rows.
template <int Rows, class T>
HEED_NOINLINE void row_scores(const T* q, index q_stride, const detail::number_rows<T>& k, index count,
                              index features, T* out) {
    constexpr int together = Rows < lanes_of<T> ? Rows : lanes_of<T>;
    constexpr int n = lanes_of<T> / together;
    for (index key = 0; key < count; key += n) {
        HEED_UNROLL
        for (int r = 0; r < Rows; r += together)
            dots<together>(q + r * q_stride, q_stride, k, key, count, features,
                           out + r * detail::decode_keys + key);
    }
}

// o = keep o + p v for Rows rows and Packs packs of value features from f on.
template <int Rows, int Packs, class T>
HEED_INLINE void pack_outputs(const T* p, const detail::number_rows<T>& v, index count, index f, T* output,
                              index output_stride, const T* keep) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
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
            __builtin_prefetch(row + rows_ahead * v.stride + j * w, 0, 2);
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
// in panel_largest.
template <class T>
HEED_NOINLINE void row_softmax(T* s, index count, bool bounded, T& most, T& sum, T& keep) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    const V lowest = set<V>(bounded ? constants<T>::lowest : detail::minus_infinity<T>());
    for (index i = 0; i < count; i += w) store(s + i, larger(lowest, load(s + i)));
    index whole = count;
    for (; whole % w != 0; ++whole) s[whole] = detail::minus_infinity<T>();
    V largest = load(s);
    for (index i = w; i < whole; i += w) largest = larger(load(s + i), largest);
    T lane[w];
    store(lane, largest);
    T m = most;
    for (int l = 0; l < w; ++l) m = lane[l] > m ? lane[l] : m;
    const T safe = detail::is_minus_infinity(m) ? T(0) : m;
    V total = set<V>(0);
    for (index i = 0; i < whole; i += w) {
        const V e = exp_of_negative(load(s + i) - set<V>(safe));
        total = total + e;
        store(s + i, e);
    }
    store(lane, total);
    T added = lane[0];
    for (int l = 1; l < w; ++l) added += lane[l];
    keep = detail::scalar::exp_of_negative(most - safe);
    most = m;
    sum = sum * keep + added;
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
