// SPDX-License-Identifier: MIT
// heed/kernel/tiled-inl.hpp: a tile of keys against a strip of queries
//
//     m' = max(m, max s)    p = e^(s - m')    a = e^(m - m')    l = a l + sum p    O = a O + p V
//
// Lanes run over queries. A strip of up to three packs of queries is kept transposed, (feature, query),
// and so are its scores, (key, query), and its output, (value feature, query). Keys and values are then
// read as single numbers, straight from the caller's memory in whatever order it has: nothing is packed,
// the maximum and the sum of a row never cross lanes, and a lane's arithmetic is the same wherever it
// stands. Sums of a tile start at zero and are added once, so that thousands of tiles do not drift.
//
// The products are written for one, two and three packs; everything else takes one pack at a time.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

// Keys or values of a tile: numbers in rows.
template <class T>
struct number_rows {
    const T* data;
    index stride;
};

// A tile of keys and values of one head, and the room to work on it.
template <class T>
struct key_tile {
    number_rows<T> keys;
    number_rows<T> values;
    number_rows<T> value_tail;  // the last value features, padded to a group
    int finite;                 // are all values finite? -1: not looked yet
    T* padded;                  // room for the last keys, padded to a group
    T* scores;                  // (key, lane)
    T* hidden;                  // the scores once more, where a hidden value may be infinite or NaN
};

// One strip: `packs` packs of queries [begin, end).
template <class T>
struct strip {
    index begin;
    index end;
    int packs;
    T* query;   // (feature, lane), scaled
    T* output;  // (value feature, lane)
    T* most;    // running maximum of a lane
    T* sum;     // running sum of a lane
};

// Scores of keys [first, end) against a strip; most[lane] becomes the largest of it and them.
template <int Packs, class T>
HEED_NOINLINE void panel_scores(const key_tile<T>& kv, index first, index end, index features, const T* query,
                                T* most) {
    constexpr int n = product_rows<Packs>;
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    for (index key = first; key < end; key += n) {
        const T* a = kv.keys.data + key * kv.keys.stride;
        index stride = kv.keys.stride;
        const index rows = end - key < n ? end - key : index{n};
        if (rows < n) {
            for (index r = 0; r < n; ++r)
                for (index f = 0; f < features; ++f) kv.padded[r * features + f] = a[(r < rows ? r : 0) * stride + f];
            a = kv.padded;
            stride = features;
        }
        V sums[n][Packs];
        product(a, stride, index{1}, query, features, sums);
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            // Rows of padding repeat the first key, so they change no maximum.
            V largest = load(most + j * w);
            HEED_UNROLL
            for (int r = 0; r < n; ++r) {
                store(kv.scores + (key + r) * panel_lanes<T> + j * w, sums[r][j]);
                largest = larger(sums[r][j], largest);
            }
            store(most + j * w, largest);
        }
    }
}

// Output of keys [first, end), added to the strip's: o = keep o + p v.
template <int Packs, class T>
HEED_NOINLINE void panel_outputs(const key_tile<T>& kv, index first, index end, index columns, T* output,
                                 const T* keep) {
    constexpr int n = product_rows<Packs>;
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    const index whole = columns / row_group * row_group;
    for (index f = 0; f < columns; f += n) {
        const number_rows<T>& from = f < whole ? kv.values : kv.value_tail;
        const T* a = from.data + first * from.stride + (f < whole ? f : f - whole);
        V sums[n][Packs];
        product(a, index{1}, from.stride, kv.scores + first * panel_lanes<T>, end - first, sums);
        HEED_UNROLL
        for (int r = 0; r < n; ++r)
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) {
                T* const o = output + (f + r) * panel_lanes<T> + j * w;
                store(o, load(keep + j * w) * load(o) + sums[r][j]);
            }
    }
}

// The same for one pack where a hidden value may be infinite or NaN: what is hidden is not multiplied.
template <class T>
HEED_NOINLINE void visible_outputs(const key_tile<T>& kv, index first, index end, index columns, T* output,
                                   const T* keep, int lane) {
    using V = pack<T>;
    for (index f = 0; f < columns; ++f) {
        V sum = set<V>(0);
        for (index key = first; key < end; ++key) {
            const index x = key * panel_lanes<T> + lane;
            const V added = load(kv.scores + x) * set<V>(kv.values.data[key * kv.values.stride + f]) + sum;
            sum = choose(is_minus_infinity(load(kv.hidden + x)), sum, added);
        }
        T* const o = output + f * panel_lanes<T> + lane;
        store(o, load(keep + lane) * load(o) + sum);
    }
}

// Scores of one pack to e^(s - m) in place; gives their sum.
template <class T>
HEED_NOINLINE pack<T> exponentials(T* s, index rows, const T* most) {
    using V = pack<T>;
    const V m = load(most);
    const V safe = choose(is_minus_infinity(m), set<V>(0), m);
    V sum = set<V>(0);
    for (index r = 0; r < rows; ++r) {
        const V e = exp_of_negative(load(s + r * panel_lanes<T>) - safe);
        sum = sum + e;
        store(s + r * panel_lanes<T>, e);
    }
    return sum;
}

// The largest score of each lane of one pack, and of `before`. Lowest: scores of -inf, which overflowed
// and are small, not hidden, become the lowest number.
template <bool Lowest, class T>
HEED_NOINLINE void largest_scores(T* s, index rows, const T* before, T* most) {
    using V = pack<T>;
    V largest = load(before);
    for (index r = 0; r < rows; ++r) {
        V x = load(s + r * panel_lanes<T>);
        if constexpr (Lowest) {
            x = larger(set<V>(constants<T>::lowest), x);
            store(s + r * panel_lanes<T>, x);
        }
        largest = larger(x, largest);
    }
    store(most, largest);
}

template <class E>
struct tiled {
    using problem = detail::exact_problem<E>;
    using T = typename problem::T;
    using V = pack<T>;
    static constexpr int w = lanes_of<T>;
    static constexpr int lanes = panel_lanes<T>;

    // Which part of a mixed tile has visible keys: trimmed on both ends, in groups.
    static HEED_NOINLINE void trim(const problem& p, heed::tile t, index& first, index& end) {
        const index origin = t.key_begin;
        for (; first < end; first = first + row_group < end ? first + row_group : end) {
            t.key_begin = origin + first;
            t.key_end = origin + (first + row_group < end ? first + row_group : end);
            if (p.classify(p.program, t) != cover::empty) break;
        }
        for (; first < end; end = (end - 1) / row_group * row_group) {
            t.key_begin = origin + (end - 1) / row_group * row_group;
            t.key_end = origin + end;
            if (p.classify(p.program, t) != cover::empty) break;
        }
    }

    // Scores of a strip to the caller's (batch, head, query, key).
    static HEED_NOINLINE void write_scores(const problem& p, const heed::tile& here, index first, index end,
                                           const T* s) {
        for (index q = here.query_begin; q < here.query_end; ++q)
            for (index r = first; r < end; ++r)
                p.weights.row(here.batch, here.head, q)[(here.key_begin + r) * p.weights.stride[3]] =
                    s[r * lanes + (q - here.query_begin)];
    }

    // Keys [here.key_begin, here.key_end) of one head against one strip.
    static HEED_NOINLINE void run(const problem& p, const strip<T>& t, const heed::tile& here, cover seen,
                                  key_tile<T>& kv) {
        const index count = here.key_end - here.key_begin;
        index first = 0;
        index end = count;
        if (seen == cover::mixed && !p.visit_all) trim(p, here, first, end);
        const at corner{static_cast<std::int32_t>(here.batch), static_cast<std::int32_t>(here.head),
                        static_cast<std::int32_t>(here.query_begin),
                        static_cast<std::int32_t>(here.key_begin + first)};
        const detail::lane_row row{corner, -1, 0, static_cast<std::int32_t>(here.query_end - here.query_begin) - 1};
        const detail::score_function<T> change = seen == cover::mixed ? p.score_masked : p.score;
        T* const s = kv.scores + first * lanes;

        T most[lanes];
        for (int j = 0; j < t.packs * w; j += w) store(most + j, load(t.most + j));
        if (t.packs == 3)
            panel_scores<3>(kv, first, end, p.features, t.query, most);
        else if (t.packs == 2)
            panel_scores<2>(kv, first, end, p.features, t.query, most);
        else
            panel_scores<1>(kv, first, end, p.features, t.query, most);
        if (change != nullptr) change(p.program, s, lanes, row, end - first, t.packs * w);
        for (int j = 0; j < t.packs * w; j += w) {
            if (change != nullptr)
                largest_scores<false>(s + j, end - first, t.most + j, most + j);
            else if (any(is_minus_infinity(load(most + j))))
                largest_scores<true>(s + j, end - first, t.most + j, most + j);
        }
        if (p.weights.data != nullptr) write_scores(p, here, first, end, kv.scores);

        // A score function can hide a key too, by -inf.
        bool careful = false;
        if (change != nullptr) {
            if (kv.finite < 0)
                kv.finite = all_finite(kv.values.data, kv.values.stride, count, p.value_features);
            careful = kv.finite == 0;
            if (careful)
                for (index x = first * lanes; x < end * lanes; ++x) kv.hidden[x] = kv.scores[x];
        }
        T keep[lanes];
        for (int j = 0; j < t.packs * w; j += w) {
            const V m = load(most + j);
            const V k = exp_of_negative(load(t.most + j) - choose(is_minus_infinity(m), set<V>(0), m));
            store(keep + j, k);
            store(t.sum + j, k * load(t.sum + j) + exponentials(s + j, end - first, most + j));
            store(t.most + j, m);
        }
        if (p.drop != nullptr) p.drop(p.program, s, lanes, row, end - first, t.packs * w);
        if (careful) {
            for (int j = 0; j < t.packs * w; j += w)
                visible_outputs(kv, first, end, p.value_features, t.output, keep, j);
        } else if (t.packs == 3) {
            panel_outputs<3>(kv, first, end, p.value_features, t.output, keep);
        } else if (t.packs == 2) {
            panel_outputs<2>(kv, first, end, p.value_features, t.output, keep);
        } else {
            panel_outputs<1>(kv, first, end, p.value_features, t.output, keep);
        }
    }
};

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
