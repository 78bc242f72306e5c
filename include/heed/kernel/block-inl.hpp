// SPDX-License-Identifier: MIT
// heed/kernel/block-inl.hpp: a block of queries of one head against all its keys
//
// Lays out the memory, brings the queries in (transposed and scaled), walks the key tiles, and writes the
// output, the log-sum-exp and the weights. Tiles that the mask hides are neither read nor converted.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

template <class E>
struct block {
    using problem = detail::exact_problem<E>;
    using T = typename problem::T;
    using V = pack<T>;
    static constexpr int w = lanes_of<T>;
    static constexpr int lanes = panel_lanes<T>;
    static constexpr bool same_type = std::is_same_v<E, T>;

    static index rounded(index n, index to) { return (n + to - 1) / to * to; }

    // How many numbers each part of a block's memory takes.
    struct layout {
        index strips;
        index query;   // of one strip
        index output;  // of one strip
        index keys;    // 0: read where they stand
        index values;
        index value_tail;
        index padded;
        index scores;
        index hidden;

        layout(const problem& p, index queries) {
            const index tile_rows = rounded(p.keys < detail::key_tile ? p.keys : detail::key_tile, row_group);
            strips = rounded(queries, lanes) / lanes;
            query = rounded(p.features, w) * lanes;
            output = rounded(rounded(p.value_features, row_group), w) * lanes;
            keys = same_type && p.k.stride[3] == 1 ? 0 : tile_rows * p.features;
            values = same_type && p.v.stride[3] == 1 ? 0 : tile_rows * p.value_features;
            value_tail = tile_rows * row_group;
            padded = row_group * p.features;
            scores = tile_rows * lanes;
            hidden = p.score == nullptr && p.score_masked == nullptr ? 0 : scores;
        }
        index total() const {
            return strips * (query + output + 2 * lanes) + scores + hidden + value_tail + rounded(keys, w) +
                   rounded(values, w) + rounded(padded, w);
        }
    };
    static std::size_t bytes(const problem& p, index queries) {
        return static_cast<std::size_t>(layout(p, queries).total()) * sizeof(T);
    }

    // Queries [t.begin, t.end) to (feature, lane), times the scale; lanes past the last are zero.
    static HEED_NOINLINE void bring_queries(const problem& p, index b, index h, const strip<T>& t) {
        T edge[w * w];
        T factor[w];
        for (int i = 0; i < w; ++i) factor[i] = p.scale;
        for (index q = 0; q < t.packs * w; q += w)
            for (index f = 0; f < p.features; f += w) {
                const T* from = edge;
                index stride = w;
                if (same_type && p.q.stride[3] == 1 && t.begin + q + w <= t.end && f + w <= p.features) {
                    from = reinterpret_cast<const T*>(p.q.row(b, h, t.begin + q)) + f;
                    stride = p.q.stride[2];
                } else {
                    for (int i = 0; i < w * w; ++i) edge[i] = 0;
                    const index columns = p.features - f < w ? p.features - f : index{w};
                    for (index i = 0; i < w && t.begin + q + i < t.end; ++i)
                        widen_row(p.q.row(b, h, t.begin + q + i) + f * p.q.stride[3], p.q.stride[3], columns,
                                  edge + i * w);
                }
                transpose_scaled(from, stride, t.query + f * lanes + q, index{lanes}, factor);
            }
    }

    // The sink joins the sum of one pack of lanes.
    static HEED_NOINLINE void add_sink(const problem& p, index h, T* most, T* sum, T* factor) {
        const V sink = set<V>(static_cast<T>(p.sink(p.program, h)));
        const V m = load(most);
        const V joint = choose(sink > m, sink, m);
        const V safe = choose(is_minus_infinity(joint), set<V>(0), joint);
        const V f = exp_of_negative(m - safe);
        store(sum, load(sum) * f + exp_of_negative(sink - safe));
        store(most, joint);
        store(factor, f);
    }

    // Divides by the sums and writes the rows of the output, the log-sum-exp and the weights.
    static HEED_NOINLINE void finish(const problem& p, index b, index h, const strip<T>& t) {
        using C = constants<T>;
        for (index q = 0; q < t.packs * w && t.begin + q < t.end; q += w) {
            T factor[w];
            T base[w];
            const V m = load(t.most + q);
            store(base, choose(is_minus_infinity(m), set<V>(0), m));
            store(factor, set<V>(C::one));
            if (p.has_sinks) add_sink(p, h, t.most + q, t.sum + q, factor);
            // Empty is what has no sum: a row whose scores are all NaN has one.
            const V sum = load(t.sum + q);
            store(factor, choose(sum == set<V>(0), set<V>(0), load(factor) / sum));
            const index count = t.end - t.begin - q < w ? t.end - t.begin - q : index{w};
            for (index f = 0; f < p.value_features; f += w) {
                T edge[w * w];
                const bool whole = same_type && p.y.stride[3] == 1 && count == w && f + w <= p.value_features;
                T* const to = whole ? reinterpret_cast<T*>(p.y.row(b, h, t.begin + q)) + f : edge;
                transpose_scaled(t.output + f * lanes + q, index{lanes}, to, whole ? p.y.stride[2] : index{w}, factor);
                if (whole) continue;
                const index columns = p.value_features - f < w ? p.value_features - f : index{w};
                for (index i = 0; i < count; ++i)
                    narrow_row(edge + i * w, columns, p.y.row(b, h, t.begin + q + i) + f * p.y.stride[3],
                               p.y.stride[3]);
            }
            for (index i = 0; i < count; ++i) {
                if (p.logsumexp.data != nullptr)
                    *p.logsumexp.row(b, h, t.begin + q + i) = detail::logsumexp_of(t.most[q + i], t.sum[q + i]);
                if (p.weights.data != nullptr) scores_to_weights(p, b, h, t.begin + q + i, base[i], factor[i]);
            }
        }
    }

    // One row of masked scores to weights, in the caller's tensor: e^(s - most) / sum.
    static HEED_NOINLINE void scores_to_weights(const problem& p, index b, index h, index query, T most, T inverse) {
        T* const row = p.weights.row(b, h, query);
        for (index k = 0; k < p.keys; ++k) {
            T* const x = row + k * p.weights.stride[3];
            *x = detail::scalar::exp(*x - most) * inverse;
        }
    }

    // Rows of T: where they stand, or converted.
    static HEED_NOINLINE number_rows<T> rows_of(const detail::strided<const E>& x, index b, index h, index first,
                                         index count, index features, T* room) {
        if constexpr (same_type) {
            if (x.stride[3] == 1) return {x.row(b, h, first), x.stride[2]};
        }
        for (index r = 0; r < count; ++r)
            widen_row(x.row(b, h, first + r), x.stride[3], features, room + r * features);
        return {room, features};
    }

    // The keys and values of a tile, and the value features that do not fill a group.
    static HEED_NOINLINE void bring_keys(const problem& p, index b, index h, const heed::tile& here,
                           key_tile<T>& kv, T* keys, T* values, T* tail) {
        const index count = here.key_end - here.key_begin;
        const index kv_head = p.kv_head(h);
        kv.keys = rows_of(p.k, b, kv_head, here.key_begin, count, p.features, keys);
        kv.values = rows_of(p.v, b, kv_head, here.key_begin, count, p.value_features, values);
        kv.finite = -1;
        const index whole = p.value_features / row_group * row_group;
        kv.value_tail = {tail, row_group};
        if (whole < p.value_features)
            for (index r = 0; r < count; ++r)
                for (index f = 0; f < row_group; ++f)
                    tail[r * row_group + f] =
                        whole + f < p.value_features ? kv.values.data[r * kv.values.stride + whole + f] : T(0);
    }

    // Strip i of a block. Three packs each; four that are left make two and two.
    static strip<T> strip_at(const layout& sizes, T* memory, index i, index query_begin, index query_end) {
        const index packs = rounded(query_end - query_begin, w) / w;
        const index even_from = packs % panel_packs == 1 && packs > 1 ? sizes.strips - 2 : sizes.strips;
        const index first = i < even_from ? i * panel_packs : even_from * panel_packs + (i - even_from) * 2;
        const index most = i < even_from ? index{panel_packs} : index{2};
        const index count = packs - first < most ? packs - first : most;
        strip<T> t;
        t.begin = query_begin + first * w;
        t.end = t.begin + count * w < query_end ? t.begin + count * w : query_end;
        t.packs = static_cast<int>(count);
        t.query = memory + i * (sizes.query + sizes.output + 2 * lanes);
        t.output = t.query + sizes.query;
        t.most = t.output + sizes.output;
        t.sum = t.most + lanes;
        return t;
    }

    // Queries [query_begin, query_end) of one head. The memory is aligned to a pack.
    static void run(const problem& p, index b, index h, index query_begin, index query_end, void* memory) {
        const layout sizes(p, query_end - query_begin);
        const index per_strip = sizes.query + sizes.output + 2 * lanes;
        T* const strips = static_cast<T*>(memory);
        T* const tail = strips + sizes.strips * per_strip;
        T* const keys = tail + sizes.value_tail;
        T* const values = keys + rounded(sizes.keys, w);
        key_tile<T> kv{};
        kv.padded = values + rounded(sizes.values, w);
        kv.scores = kv.padded + rounded(sizes.padded, w);
        kv.hidden = kv.scores + sizes.scores;

        for (index i = 0; i < sizes.strips; ++i) {
            const strip<T> t = strip_at(sizes, strips, i, query_begin, query_end);
            bring_queries(p, b, h, t);
            for (index x = 0; x < sizes.output; ++x) t.output[x] = 0;
            for (index l = 0; l < lanes; ++l) {
                t.most[l] = detail::scalar::float_of(constants<T>::minus_infinity_bits);
                t.sum[l] = 0;
            }
        }
        for (index key = 0; key < p.keys; key += detail::key_tile) {
            heed::tile here{b, h, query_begin, query_end, key,
                            key + detail::key_tile < p.keys ? key + detail::key_tile : p.keys};
            if (p.classify != nullptr && !p.visit_all && p.classify(p.program, here) == cover::empty) continue;
            bring_keys(p, b, h, here, kv, keys, values, tail);
            for (index i = 0; i < sizes.strips; ++i) {
                const strip<T> t = strip_at(sizes, strips, i, query_begin, query_end);
                here.query_begin = t.begin;
                here.query_end = t.end;
                cover seen = p.classify == nullptr ? cover::full : p.classify(p.program, here);
                if (p.visit_all) seen = cover::mixed;
                if (seen == cover::empty) continue;
                tiled<E>::run(p, t, here, seen, kv);
            }
        }
        for (index i = 0; i < sizes.strips; ++i) finish(p, b, h, strip_at(sizes, strips, i, query_begin, query_end));
    }
};

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
