// SPDX-License-Identifier: MIT
// heed/kernel/decode-inl.hpp: few queries against many keys, at the speed of memory
//
// Lanes run over features. The query heads that share a key/value head are rows of one problem, so a key
// is read once for all of them: four rows times a few keys are multiplied together and their sums are
// reduced together. A state is (max, sum, output) for each row, m[rows], l[rows], o[rows][value feature].
//
// Memory: rows in front are fetched to the second-level cache, not the first, whose few miss buffers
// would bound the speed (measured: 11 GB/s into the first, 17 into the second, of 19 for plain reading).

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

// Keys taken at once, a row of lanes for the score functions.
inline constexpr index decode_keys = detail::most_lanes;
inline constexpr index rows_ahead = 32;

// Dots of Rows query rows with w / Rows keys, reduced together; out[r * decode_keys + i].
template <int Rows, class T>
HEED_INLINE void dots(const T* q, index q_stride, const number_rows<T>& k, index key, index end, index features,
                      T* out) {
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
            for (index f = whole; f < features; ++f) s = q[r * q_stride + f] * at_key[i][f] + s;
            out[r * decode_keys + i] = s;
        }
}

// All keys of a step against Rows rows.
template <int Rows, class T>
HEED_NOINLINE void row_scores(const T* q, index q_stride, const number_rows<T>& k, index count, index features,
                              T* out) {
    constexpr int together = Rows < lanes_of<T> ? Rows : lanes_of<T>;
    constexpr int n = lanes_of<T> / together;
    for (index key = 0; key < count; key += n)
        HEED_UNROLL
        for (int r = 0; r < Rows; r += together)
            dots<together>(q + r * q_stride, q_stride, k, key, count, features, out + r * decode_keys + key);
}

// o = keep o + p v for Rows rows and Packs packs of value features.
template <int Rows, int Packs, class T>
HEED_NOINLINE void row_outputs(const T* p, const number_rows<T>& v, index count, index f, T* output,
                               index output_stride, const T* keep) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V sums[Rows][Packs];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r)
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = set<V>(0);
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
            const V s = set<V>(p[r * decode_keys + i]);
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) sums[r][j] = s * x[j] + sums[r][j];
        }
    }
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r)
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            T* const o = output + r * output_stride + f + j * w;
            store(o, set<V>(keep[r]) * load(o) + sums[r][j]);
        }
}

// Value features [f, columns) of one row, one by one: those that fill no pack, or all of them where a
// hidden value may be infinite or NaN and is not multiplied.
template <class T>
HEED_NOINLINE void single_outputs(const T* p, const T* hidden, const number_rows<T>& v, index count, index f,
                                  index columns, T* output, T keep) {
    for (; f < columns; ++f) {
        T s = 0;
        for (index i = 0; i < count; ++i) {
            const T added = p[i] * v.data[i * v.stride + f] + s;
            s = hidden != nullptr && detail::scalar::bits_of(hidden[i]) == constants<T>::minus_infinity_bits ? s : added;
        }
        output[f] = keep * output[f] + s;
    }
}

template <class E>
struct decode {
    using problem = detail::exact_problem<E>;
    using T = typename problem::T;
    using C = constants<T>;
    using V = pack<T>;
    static constexpr int w = lanes_of<T>;

    static index rounded(index n) { return (n + w - 1) / w * w; }

    // Scratch of a part.
    struct room {
        T* query;   // (row, feature), scaled
        T* scores;  // (row, key)
        T* hidden;  // the scores of one row before the exponential
        T* keep;    // what a row's output is multiplied with
        T* keys;    // a step's keys and values, where they are converted
        T* values;
        T* end;
        room(const problem& p, T* memory) {
            const index n = detail::decode_rows(p);
            query = memory;
            scores = query + n * rounded(p.features);
            hidden = scores + n * decode_keys;
            keep = hidden + n * decode_keys;
            keys = keep + rounded(n);
            values = keys + decode_keys * rounded(p.features);
            end = values + decode_keys * rounded(p.value_features);
        }
    };
    static std::size_t bytes(const problem& p) {
        return static_cast<std::size_t>(room(p, nullptr).end - static_cast<T*>(nullptr)) * sizeof(T);
    }

    struct row_place {
        index head;
        index query;
    };
    static HEED_INLINE row_place place_of(const problem& p, index kv_head, index r) {
        return {kv_head * (p.heads / p.kv_heads) + r / p.queries, r % p.queries};
    }

    // Keys [key_begin, key_end) for all rows of a key/value head, as a state of their own.
    static void part(const problem& p, index b, index kv_head, index key_begin, index key_end, T* state,
                     void* memory) {
        const index n = detail::decode_rows(p);
        const room m(p, static_cast<T*>(memory));
        for (index r = 0; r < n; ++r) {
            const row_place at_row = place_of(p, kv_head, r);
            T* const q = m.query + r * rounded(p.features);
            widen_row(p.q.row(b, at_row.head, at_row.query), p.q.stride[3], p.features, q);
            for (index f = 0; f < p.features; ++f) q[f] *= p.scale;
            state[r] = detail::scalar::float_of(C::minus_infinity_bits);
            state[n + r] = 0;
        }
        for (index x = 2 * n; x < detail::decode_state_size(p); ++x) state[x] = 0;
        for (index key = key_begin; key < key_end; key += decode_keys) {
            const heed::tile here{b, kv_head, 0, 1, key, key + decode_keys < key_end ? key + decode_keys : key_end};
            if (p.visit_all || seen_by_any(p, here)) step(p, here, m, state);
        }
    }

    static cover cover_of(const problem& p, const heed::tile& here, index r) {
        if (p.classify == nullptr) return cover::full;
        const row_place at_row = place_of(p, here.head, r);
        return p.classify(p.program, heed::tile{here.batch, at_row.head, at_row.query, at_row.query + 1,
                                                here.key_begin, here.key_end});
    }
    static bool seen_by_any(const problem& p, const heed::tile& here) {
        for (index r = 0; r < detail::decode_rows(p); ++r)
            if (cover_of(p, here, r) != cover::empty) return true;
        return false;
    }

    // The keys of `here` (whose head is the key/value head) for all rows.
    static HEED_NOINLINE void step(const problem& p, const heed::tile& here, const room& m, T* state) {
        const index n = detail::decode_rows(p);
        const index count = here.key_end - here.key_begin;
        const index stride = rounded(p.features);
        const number_rows<T> k =
            block<E>::rows_of(p.k, here.batch, here.head, here.key_begin, count, p.features, m.keys);
        const number_rows<T> v =
            block<E>::rows_of(p.v, here.batch, here.head, here.key_begin, count, p.value_features, m.values);
        index r = 0;
        for (; r + 4 <= n; r += 4) row_scores<4>(m.query + r * stride, stride, k, count, p.features, m.scores + r * decode_keys);
        for (; r < n; ++r) row_scores<1>(m.query + r * stride, stride, k, count, p.features, m.scores + r * decode_keys);
        bool changed = false;
        for (r = 0; r < n; ++r) changed = softmax_row(p, here, r, count, m, state) || changed;
        const bool careful = changed && !all_finite(v.data, v.stride, count, p.value_features);

        T* const output = state + 2 * n;
        const index columns = p.value_features;
        index f = 0;
        if (!careful) {
            for (; f + 4 * w <= columns; f += 4 * w) row_group_outputs<4>(m, v, n, count, f, output, columns);
            for (; f + w <= columns; f += w) row_group_outputs<1>(m, v, n, count, f, output, columns);
        }
        for (r = 0; r < n && f < columns; ++r)
            single_outputs(m.scores + r * decode_keys, careful ? m.hidden + r * decode_keys : nullptr, v, count, f,
                           columns, output + r * columns, m.keep[r]);
    }
    template <int Packs>
    static HEED_INLINE void row_group_outputs(const room& m, const number_rows<T>& v, index n, index count, index f,
                                              T* output, index columns) {
        index r = 0;
        for (; r + 4 <= n; r += 4)
            row_outputs<4, Packs>(m.scores + r * decode_keys, v, count, f, output + r * columns, columns, m.keep + r);
        for (; r < n; ++r)
            row_outputs<1, Packs>(m.scores + r * decode_keys, v, count, f, output + r * columns, columns, m.keep + r);
    }

    // Scores of one row to exponentials, its maximum and sum brought up to date. True when a mask or a
    // score function may have hidden keys.
    static HEED_NOINLINE bool softmax_row(const problem& p, const heed::tile& here, index r, index count,
                                          const room& m, T* state) {
        const T nothing = detail::scalar::float_of(C::minus_infinity_bits);
        const index n = detail::decode_rows(p);
        T* const s = m.scores + r * decode_keys;
        const row_place at_row = place_of(p, here.head, r);
        const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(at_row.head),
                        static_cast<std::int32_t>(at_row.query), static_cast<std::int32_t>(here.key_begin)};
        const detail::lane_row row{corner, 0, -1, static_cast<std::int32_t>(count - 1)};
        const cover seen = p.visit_all ? cover::mixed : cover_of(p, here, r);
        const detail::score_function<T> change = seen == cover::mixed ? p.score_masked : p.score;
        index visible = count;
        if (seen == cover::empty)
            visible = 0;
        else if (change != nullptr)
            change(p.program, s, 0, row, 1, rounded(count));
        else
            for (index i = 0; i < count; ++i) s[i] = s[i] < C::lowest ? C::lowest : s[i];
        for (index i = visible; i < rounded(count); ++i) s[i] = nothing;
        const bool changed = change != nullptr || seen == cover::empty;
        if (changed)
            for (index i = 0; i < count; ++i) m.hidden[r * decode_keys + i] = s[i];
        if (!changed)
            for (index i = 0; i < count; ++i) m.hidden[r * decode_keys + i] = 0;
        if (p.weights.data != nullptr)
            for (index i = 0; i < count; ++i)
                p.weights.row(here.batch, at_row.head, at_row.query)[(here.key_begin + i) * p.weights.stride[3]] = s[i];

        V largest = load(s);
        for (index i = w; i < rounded(count); i += w) largest = larger(load(s + i), largest);
        T lane[w];
        store(lane, largest);
        T most = state[r];
        for (int l = 0; l < w; ++l) most = lane[l] > most ? lane[l] : most;
        const T safe = detail::scalar::bits_of(most) == C::minus_infinity_bits ? T(0) : most;
        V total = set<V>(0);
        for (index i = 0; i < rounded(count); i += w) {
            const V e = exp_of_negative(load(s + i) - set<V>(safe));
            total = total + e;
            store(s + i, e);
        }
        store(lane, total);
        T sum = lane[0];
        for (int l = 1; l < w; ++l) sum += lane[l];
        m.keep[r] = detail::scalar::exp_of_negative(state[r] - safe);
        state[r] = most;
        state[n + r] = state[n + r] * m.keep[r] + sum;
        if (p.drop != nullptr) p.drop(p.program, s, 0, row, 1, rounded(count));
        return changed;
    }

    static HEED_NOINLINE void finish(const problem& p, index b, index kv_head, T* state) {
        const index n = detail::decode_rows(p);
        for (index r = 0; r < n; ++r) {
            const row_place at_row = place_of(p, kv_head, r);
            T most[w];
            T sum[w];
            T factor[w];
            most[0] = state[r];
            sum[0] = state[n + r];
            factor[0] = 1;
            const T base = detail::scalar::bits_of(most[0]) == C::minus_infinity_bits ? T(0) : most[0];
            if (p.has_sinks) {
                for (int l = 1; l < w; ++l) {
                    most[l] = most[0];
                    sum[l] = sum[0];
                }
                block<E>::add_sink(p, at_row.head, most, sum, factor);
            }
            const T inverse = sum[0] == T(0) ? T(0) : factor[0] / sum[0];
            T* const o = state + 2 * n + r * p.value_features;
            for (index f = 0; f < p.value_features; ++f) o[f] *= inverse;
            narrow_row(o, p.value_features, p.y.row(b, at_row.head, at_row.query), p.y.stride[3]);
            if (p.logsumexp.data != nullptr)
                *p.logsumexp.row(b, at_row.head, at_row.query) = detail::logsumexp_of(most[0], sum[0]);
            if (p.weights.data != nullptr)
                block<E>::scores_to_weights(p, b, at_row.head, at_row.query, base, inverse);
        }
    }
};

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
