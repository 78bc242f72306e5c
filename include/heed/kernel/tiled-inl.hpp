// SPDX-License-Identifier: MIT
// heed/kernel/tiled-inl.hpp: softmax attention of a block of queries, tile by tile
//
//     m' = max(m, max s)    p = e^(s - m')    a = e^(m - m')    l = a l + sum p    O = a O + p V
//
// Lanes run over queries. A strip of up to three packs of queries is kept transposed, (feature, query),
// and so are its scores, (key, query), and its output, (value feature, query). Keys and values are then
// read as single numbers, straight from the caller's memory in whatever order it has: nothing is packed,
// the maximum and the sum of a row never cross lanes, and a lane's arithmetic is the same wherever it
// stands. Sums of a tile start at zero and are added once, so that thousands of tiles do not drift.
//
// Cost: 4 queries keys features flops; memory for a block as block_bytes() says, whatever the length.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

template <class E>
struct tiled {
    using problem = detail::exact_problem<E>;
    using T = typename problem::T;
    using C = constants<T>;
    using V = pack<T>;
    static constexpr int w = lanes_of<T>;
    static constexpr int lanes = panel_lanes<T>;

    // One strip: `packs` packs of queries, the first of them query `begin`.
    struct strip {
        index begin;
        index end;
        int packs;
        T* query;   // (feature, lane), scaled
        T* output;  // (value feature, lane)
        T* most;    // running maximum of a lane
        T* sum;     // running sum of a lane
    };
    // Keys or values of a tile: numbers of the sum type in rows.
    struct rows {
        const T* data;
        index stride;
    };
    // A tile of keys and values of one head, and the room to work on it.
    struct key_tile {
        rows keys;
        rows values;
        rows value_tail;  // the last value features, padded to a group
        int finite;       // are all values finite? -1: not looked yet
        T* padded;        // room for the last keys, padded to a group
        T* scores;        // (key, lane)
    };

    // Scores of `keys` keys against a strip, and the largest of each lane.
    template <int Packs>
    static HEED_INLINE void scores(const rows& k, index first, index end, index features, const T* query, T* s,
                                   T* padded, V (&most)[Packs]) {
        constexpr int n = product_rows<Packs>;
        for (index key = first; key < end; key += n) {
            const T* a = k.data + key * k.stride;
            index stride = k.stride;
            if (key + n > end) {
                for (index r = 0; r < n; ++r)
                    for (index f = 0; f < features; ++f)
                        padded[r * features + f] = key + r < end ? a[r * stride + f] : T(0);
                a = padded;
                stride = features;
            }
            V c[n][Packs];
            product(a, stride, index{1}, query, features, c);
            HEED_UNROLL
            for (int r = 0; r < n; ++r)
                HEED_UNROLL
                for (int j = 0; j < Packs; ++j) store(s + (key + r) * lanes + j * w, c[r][j]);
            if (key + n <= end) {
                HEED_UNROLL
                for (int r = 0; r < n; ++r)
                    HEED_UNROLL
                    for (int j = 0; j < Packs; ++j) most[j] = larger(c[r][j], most[j]);
            } else {
                for (index r = key; r < end; ++r)
                    for (int j = 0; j < Packs; ++j) most[j] = larger(load(s + r * lanes + j * w), most[j]);
            }
        }
    }

    // Output of a tile, added to the strip's.
    template <int Packs>
    static HEED_INLINE void outputs(const rows& v, const rows& tail, index first, index end, index columns,
                                    const T* p, T* output, const V (&keep)[Packs]) {
        constexpr int n = product_rows<Packs>;
        const index whole = columns / row_group * row_group;
        for (index f = 0; f < columns; f += n) {
            const rows& from = f < whole ? v : tail;
            const T* a = from.data + first * from.stride + (f < whole ? f : f - whole);
            V c[n][Packs];
            product(a, index{1}, from.stride, p + first * lanes, end - first, c);
            HEED_UNROLL
            for (int r = 0; r < n; ++r)
                HEED_UNROLL
                for (int j = 0; j < Packs; ++j) {
                    T* o = output + (f + r) * lanes + j * w;
                    store(o, keep[j] * load(o) + c[r][j]);
                }
        }
    }

    // The same where a hidden value may be infinite or NaN: what is hidden (-0) is not multiplied.
    template <int Packs>
    static HEED_INLINE void outputs_of_visible(const rows& v, index first, index end, index columns, const T* p,
                                               T* output, const V (&keep)[Packs]) {
        for (index f = 0; f < columns; ++f)
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) {
                V c = set<V>(0);
                for (index key = first; key < end; ++key) {
                    const V x = load(p + key * lanes + j * w);
                    const V added = x * set<V>(v.data[key * v.stride + f]) + c;
                    c = choose(bits_of(x) == C::sign_bit, c, added);
                }
                T* o = output + f * lanes + j * w;
                store(o, keep[j] * load(o) + c);
            }
    }

    // Which part of a mixed tile has visible keys: trimmed on both ends, in groups.
    static HEED_INLINE void trim(const problem& p, heed::tile t, index& first, index& end) {
        const index origin = t.key_begin;
        while (first < end) {
            const index next = first + row_group < end ? first + row_group : end;
            t.key_begin = origin + first;
            t.key_end = origin + next;
            if (p.classify(p.program, t) != cover::empty) break;
            first = next;
        }
        while (first < end) {
            const index begin = (end - 1) / row_group * row_group;
            t.key_begin = origin + begin;
            t.key_end = origin + end;
            if (p.classify(p.program, t) != cover::empty) break;
            end = begin;
        }
    }

    // Scores of a strip to the caller's (batch, head, query, key).
    static void write_scores(const problem& p, const heed::tile& here, index first, index end, const T* s) {
        for (index q = here.query_begin; q < here.query_end; ++q)
            for (index r = first; r < end; ++r)
                p.weights.row(here.batch, here.head, q)[(here.key_begin + r) * p.weights.stride[3]] =
                    s[r * lanes + (q - here.query_begin)];
    }

    // Keys [here.key_begin, here.key_end) of one head against one strip.
    template <int Packs>
    static void tile_of_strip(const problem& p, const strip& t, const heed::tile& here, cover seen, key_tile& kv) {
        const int last = static_cast<int>(here.query_end - here.query_begin) - 1;
        index first = 0;
        index end = here.key_end - here.key_begin;
        if (seen == cover::mixed && !p.visit_all) trim(p, here, first, end);
        T* const s = kv.scores;
        V before[Packs];
        V most[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            before[j] = load(t.most + j * w);
            most[j] = before[j];
        }
        const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(here.head),
                        static_cast<std::int32_t>(here.query_begin),
                        static_cast<std::int32_t>(here.key_begin + first)};
        const detail::lane_row row{corner, -1, 0, last};
        const detail::score_function<T> change = seen == cover::mixed ? p.score_masked : p.score;
        scores<Packs>(kv.keys, first, end, p.features, t.query, s, kv.padded, most);
        if (change != nullptr) {
            change(p.program, s + first * lanes, lanes, row, end - first, Packs * w);
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) most[j] = before[j];
            for (index r = first; r < end; ++r)
                HEED_UNROLL
                for (int j = 0; j < Packs; ++j) most[j] = larger(load(s + r * lanes + j * w), most[j]);
        } else {
            // Scores that overflowed to -inf are small, not hidden.
            bool overflow = false;
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) overflow = overflow || any(is_minus_infinity(most[j]));
            if (overflow) {
                for (index r = first; r < end; ++r)
                    for (int j = 0; j < Packs; ++j) {
                        T* const x = s + r * lanes + j * w;
                        store(x, larger(set<V>(C::lowest), load(x)));
                        most[j] = larger(load(x), most[j]);
                    }
            }
        }
        if (p.weights.data != nullptr) write_scores(p, here, first, end, s);

        // A score function may hide a key too, by -inf.
        bool careful = false;
        if (change != nullptr) {
            if (kv.finite < 0)
                kv.finite = all_finite(kv.values.data, kv.values.stride, here.key_end - here.key_begin,
                                       p.value_features);
            careful = kv.finite == 0;
        }
        V keep[Packs];
        V safe[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            safe[j] = choose(is_minus_infinity(most[j]), set<V>(0), most[j]);
            keep[j] = exp_of_negative(before[j] - safe[j]);
        }
        V sum[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sum[j] = set<V>(0);
        if (!careful) {
            for (index r = first; r < end; ++r)
                HEED_UNROLL
                for (int j = 0; j < Packs; ++j) {
                    T* const x = s + r * lanes + j * w;
                    const V e = exp_of_negative(load(x) - safe[j]);
                    sum[j] = sum[j] + e;
                    store(x, e);
                }
        } else {
            for (index r = first; r < end; ++r)
                HEED_UNROLL
                for (int j = 0; j < Packs; ++j) {
                    T* const x = s + r * lanes + j * w;
                    const V e = choose(is_minus_infinity(load(x)), float_of(bits_of(set<V>(0)) | C::sign_bit),
                                       exp_of_negative(load(x) - safe[j]));
                    sum[j] = sum[j] + e;
                    store(x, e);
                }
        }
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            store(t.most + j * w, most[j]);
            store(t.sum + j * w, keep[j] * load(t.sum + j * w) + sum[j]);
        }
        if (p.drop != nullptr) {
            p.drop(p.program, s + first * lanes, lanes, row, end - first, Packs * w);
        }
        if (!careful)
            outputs<Packs>(kv.values, kv.value_tail, first, end, p.value_features, s, t.output, keep);
        else
            outputs_of_visible<Packs>(kv.values, first, end, p.value_features, s, t.output, keep);
    }
};

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
