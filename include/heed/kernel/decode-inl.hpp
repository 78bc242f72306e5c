// SPDX-License-Identifier: MIT
// heed/kernel/decode-inl.hpp: few queries against many keys, at the speed of memory
//
// Lanes run over features. The query heads that share a key/value head are rows of one problem, so a key
// is read once for all of them: four rows times a few keys are multiplied together and their sums are
// reduced together. Keys are walked in parts of fixed size; the parts merge in order, whichever thread
// made them.
//
// Cost: reads keys and values once; a state (max, sum, output) for each row.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

template <class E>
struct decode {
    using problem = detail::exact_problem<E>;
    using blocks = block<E>;
    using rows = typename tiled<E>::rows;
    using T = typename problem::T;
    using C = constants<T>;
    using V = pack<T>;
    static constexpr int w = lanes_of<T>;
    static constexpr index keys_at_once = detail::most_lanes;
    static constexpr int ahead = 16;  // rows prefetched in front

    static index rounded(index n) { return (n + w - 1) / w * w; }
    // Queries of all rows; keys and values of a step when they have to be converted; scores of all rows.
    static std::size_t bytes(const problem& p) {
        const index n = detail::decode_rows(p);
        return static_cast<std::size_t>(n * rounded(p.features) + n * keys_at_once +
                                        keys_at_once * rounded(p.features) +
                                        keys_at_once * rounded(p.value_features)) *
               sizeof(T);
    }

    // Dots of Rows query rows with w / Rows keys, all sums reduced together: out[r] gets those of row r.
    template <int Rows>
    static HEED_INLINE void dots(const T* q, index q_stride, const rows& k, index key, index end, index features,
                                 T* out) {
        constexpr int n = w >= Rows ? w / Rows : 1;
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
            for (int i = 0; i < n; ++i) x[i] = load(at_key[i] + f);
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
                out[r * keys_at_once + i] = s;
            }
    }

    // Rows rows of output += weights times values, features in the outer loop so that sums stay in registers.
    template <int Rows>
    static HEED_INLINE void add_values(const T* p, const rows& v, index count, index columns, T* output,
                                       index output_stride) {
        constexpr int n = 4;
        index f = 0;
        for (; f + n * w <= columns; f += n * w) add_columns<Rows, n>(p, v, count, f, output, output_stride);
        for (; f + w <= columns; f += w) add_columns<Rows, 1>(p, v, count, f, output, output_stride);
        for (; f < columns; ++f)
            for (int r = 0; r < Rows; ++r) {
                T s = 0;
                for (index i = 0; i < count; ++i) s = p[r * keys_at_once + i] * v.data[i * v.stride + f] + s;
                output[r * output_stride + f] += s;
            }
    }
    template <int Rows, int Packs>
    static HEED_INLINE void add_columns(const T* p, const rows& v, index count, index f, T* output,
                                        index output_stride) {
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
                __builtin_prefetch(row + ahead * v.stride + j * w);
                x[j] = load(row + j * w);
            }
            HEED_UNROLL
            for (int r = 0; r < Rows; ++r) {
                const V s = set<V>(p[r * keys_at_once + i]);
                HEED_UNROLL
                for (int j = 0; j < Packs; ++j) sums[r][j] = s * x[j] + sums[r][j];
            }
        }
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r)
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) {
                T* const o = output + r * output_stride + f + j * w;
                store(o, load(o) + sums[r][j]);
            }
    }

    // The state of row r: its numbers stand behind one another.
    static HEED_INLINE T* output_of(const problem& p, T* state, index r) {
        return state + 2 * detail::decode_rows(p) + r * p.value_features;
    }

    // Keys [key_begin, key_end) for all rows of a key/value head, as a state of their own.
    static void part(const problem& p, index b, index kv_head, index key_begin, index key_end, T* state,
                     void* memory) {
        const index n = detail::decode_rows(p);
        const index q_stride = rounded(p.features);
        T* const q = static_cast<T*>(memory);
        T* const scores = q + n * q_stride;
        T* const key_room = scores + n * keys_at_once;
        T* const value_room = key_room + keys_at_once * rounded(p.features);
        T* const most = state;
        T* const sum = state + n;
        const index first_head = kv_head * (p.heads / p.kv_heads);
        for (index r = 0; r < n; ++r) {
            const index head = first_head + r / p.queries;
            widen_row(p.q.row(b, head, r % p.queries), p.q.stride[3], p.features, q + r * q_stride);
            for (index f = 0; f < p.features; ++f) q[r * q_stride + f] *= p.scale;
            most[r] = detail::scalar::float_of(C::minus_infinity_bits);
            sum[r] = 0;
            T* const o = output_of(p, state, r);
            for (index f = 0; f < p.value_features; ++f) o[f] = 0;
        }
        for (index key = key_begin; key < key_end; key += keys_at_once) {
            const index end = key + keys_at_once < key_end ? key + keys_at_once : key_end;
            if (p.classify != nullptr && !p.visit_all && hidden_from_all(p, b, first_head, n, key, end)) continue;
            step(p, b, kv_head, first_head, n, key, end, q, q_stride, scores, key_room, value_room, state);
        }
    }

    static bool hidden_from_all(const problem& p, index b, index first_head, index n, index key, index end) {
        for (index r = 0; r < n; ++r)
            if (cover_of(p, b, first_head, r, key, end) != cover::empty) return false;
        return true;
    }
    static cover cover_of(const problem& p, index b, index first_head, index r, index key, index end) {
        if (p.classify == nullptr) return cover::full;
        const index query = r % p.queries;
        return p.classify(p.program, heed::tile{b, first_head + r / p.queries, query, query + 1, key, end});
    }

    static void step(const problem& p, index b, index kv_head, index first_head, index n, index key, index end,
                     const T* q, index q_stride, T* scores, T* key_room, T* value_room, T* state) {
        const index count = end - key;
        const rows k = blocks::rows_of(p.k, b, kv_head, key, count, p.features, key_room);
        const rows v = blocks::rows_of(p.v, b, kv_head, key, count, p.value_features, value_room);
        index r = 0;
        for (; r + 4 <= n; r += 4) all_dots<4>(q + r * q_stride, q_stride, k, count, p.features, scores + r * keys_at_once);
        for (; r < n; ++r) all_dots<1>(q + r * q_stride, q_stride, k, count, p.features, scores + r * keys_at_once);

        T* const most = state;
        T* const sum = state + n;
        bool careful = false;
        int finite = -1;
        for (r = 0; r < n; ++r) {
            T* const s = scores + r * keys_at_once;
            const cover seen = p.visit_all ? cover::mixed : cover_of(p, b, first_head, r, key, end);
            const index head = first_head + r / p.queries;
            const index query = r % p.queries;
            const at corner{static_cast<std::int32_t>(b), static_cast<std::int32_t>(head),
                            static_cast<std::int32_t>(query), static_cast<std::int32_t>(key)};
            const detail::lane_row row{corner, 0, -1, static_cast<std::int32_t>(count - 1)};
            for (index i = count; i < rounded(count); ++i) s[i] = detail::scalar::float_of(C::minus_infinity_bits);
            if (seen == cover::empty) {
                for (index i = 0; i < count; ++i) s[i] = detail::scalar::float_of(C::minus_infinity_bits);
            } else {
                const detail::score_function<T> change = seen == cover::mixed ? p.score_masked : p.score;
                if (change != nullptr) change(p.program, s, 0, row, 1, rounded(count));
                for (index i = count; i < rounded(count); ++i) s[i] = detail::scalar::float_of(C::minus_infinity_bits);
                if (change == nullptr) overflow_to_lowest(s, count);
            }
            if (seen != cover::full || p.score != nullptr) {
                if (finite < 0) finite = all_finite(v.data, v.stride, count, p.value_features);
                careful = careful || finite == 0;
            }
            if (p.weights.data != nullptr)
                for (index i = 0; i < count; ++i)
                    p.weights.row(b, head, query)[(key + i) * p.weights.stride[3]] = s[i];
        }
        for (r = 0; r < n; ++r) {
            T* const s = scores + r * keys_at_once;
            T* const o = output_of(p, state, r);
            V largest = load(s);
            for (index i = w; i < rounded(count); i += w) largest = larger(load(s + i), largest);
            T lane[w];
            store(lane, largest);
            T now = most[r];
            for (int l = 0; l < w; ++l) now = lane[l] > now ? lane[l] : now;
            const bool nothing = detail::scalar::bits_of(now) == C::minus_infinity_bits;
            const V safe = set<V>(nothing ? T(0) : now);
            const T keep = detail::scalar::exp_of_negative(most[r] - (nothing ? T(0) : now));
            V total = set<V>(0);
            for (index i = 0; i < rounded(count); i += w) {
                V e = exp_of_negative(load(s + i) - safe);
                if (careful) e = choose(is_minus_infinity(load(s + i)), float_of(bits_of(set<V>(0)) | C::sign_bit), e);
                total = total + e;
                store(s + i, e);
            }
            store(lane, total);
            T added = lane[0];
            for (int l = 1; l < w; ++l) added += lane[l];
            most[r] = now;
            sum[r] = sum[r] * keep + added;
            for (index f = 0; f < p.value_features; ++f) o[f] *= keep;
            if (p.drop != nullptr) {
                const at corner{static_cast<std::int32_t>(b), static_cast<std::int32_t>(first_head + r / p.queries),
                                static_cast<std::int32_t>(r % p.queries), static_cast<std::int32_t>(key)};
                p.drop(p.program, s, 0, detail::lane_row{corner, 0, -1, static_cast<std::int32_t>(count - 1)}, 1,
                       rounded(count));
            }
        }
        if (careful) {
            add_visible_values(p, v, n, count, scores, state);
            return;
        }
        for (r = 0; r + 4 <= n; r += 4)
            add_values<4>(scores + r * keys_at_once, v, count, p.value_features, output_of(p, state, r),
                          p.value_features);
        for (; r < n; ++r)
            add_values<1>(scores + r * keys_at_once, v, count, p.value_features, output_of(p, state, r),
                          p.value_features);
    }

    template <int Rows>
    static HEED_INLINE void all_dots(const T* q, index q_stride, const rows& k, index count, index features, T* out) {
        constexpr int together = w >= Rows ? Rows : 1;
        constexpr int n = w / together;
        for (index key = 0; key < count; key += n) {
            for (int i = 0; i < n; ++i)
                for (index f = 0; f < features; f += 64 / static_cast<index>(sizeof(T)))
                    __builtin_prefetch(k.data + (key + i + ahead) * k.stride + f);
            HEED_UNROLL
            for (int r = 0; r < Rows; r += together)
                dots<together>(q + r * q_stride, q_stride, k, key, count, features, out + r * keys_at_once + key);
        }
    }

    // Scores that overflowed to -inf are small, not hidden.
    static HEED_INLINE void overflow_to_lowest(T* s, index count) {
        for (index i = 0; i < count; ++i) s[i] = s[i] < C::lowest ? C::lowest : s[i];
    }

    // The same sums where a hidden value may be infinite or NaN: what is hidden (-0) is not multiplied.
    static void add_visible_values(const problem& p, const rows& v, index n, index count, const T* scores, T* state) {
        for (index r = 0; r < n; ++r)
            for (index f = 0; f < p.value_features; ++f) {
                T s = 0;
                for (index i = 0; i < count; ++i) {
                    const T x = scores[r * keys_at_once + i];
                    const T added = x * v.data[i * v.stride + f] + s;
                    s = detail::scalar::bits_of(x) == C::sign_bit ? s : added;
                }
                output_of(p, state, r)[f] += s;
            }
    }

    static void merge(const problem& p, T* state, const T* other) {
        const index n = detail::decode_rows(p);
        for (index r = 0; r < n; ++r) {
            const T a = state[r];
            const T b = other[r];
            const T most = b > a ? b : a;
            const bool nothing = detail::scalar::bits_of(most) == C::minus_infinity_bits;
            const T safe = nothing ? T(0) : most;
            const T keep = detail::scalar::exp_of_negative(a - safe);
            const T take = detail::scalar::exp_of_negative(b - safe);
            state[r] = most;
            state[n + r] = state[n + r] * keep + other[n + r] * take;
            T* const o = output_of(p, state, r);
            const T* const x = other + 2 * n + r * p.value_features;
            for (index f = 0; f < p.value_features; ++f) o[f] = o[f] * keep + x[f] * take;
        }
    }

    static void finish(const problem& p, index b, index kv_head, const T* state) {
        const index n = detail::decode_rows(p);
        const index first_head = kv_head * (p.heads / p.kv_heads);
        for (index r = 0; r < n; ++r) {
            const index head = first_head + r / p.queries;
            const index query = r % p.queries;
            const T* const o = state + 2 * n + r * p.value_features;
            T most = state[r];
            T sum = state[n + r];
            T factor = 1;
            const T base = detail::scalar::bits_of(most) == C::minus_infinity_bits ? T(0) : most;
            if (p.has_sinks) {
                const T sink = static_cast<T>(p.sink(p.program, head));
                const T joint = sink > most ? sink : most;
                const T safe = detail::scalar::bits_of(joint) == C::minus_infinity_bits ? T(0) : joint;
                factor = detail::scalar::exp_of_negative(most - safe);
                sum = sum * factor + detail::scalar::exp_of_negative(sink - safe);
                most = joint;
            }
            const T inverse = sum == T(0) ? T(0) : factor / sum;
            for (index f = 0; f < p.value_features; ++f) {
                E rounded_value;
                narrow(o[f] * inverse, rounded_value);
                p.y.row(b, head, query)[f * p.y.stride[3]] = rounded_value;
            }
            if (p.logsumexp.data != nullptr)
                *p.logsumexp.row(b, head, query) =
                    sum == T(0) ? detail::scalar::float_of(C::minus_infinity_bits) : most + detail::scalar::log(sum);
            if (p.weights.data != nullptr) blocks::scores_to_weights(p, b, head, query, base, inverse);
        }
    }
};

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
