// SPDX-License-Identifier: MIT
// heed/kernel/exact/problem.hpp: what the exact kernels are told, and the leaves that a target compiles for
// them
//
// The walk over blocks, tiles and rows is written once and compiled once. What takes the time, about a
// dozen leaves, is compiled for each target and reached through a table. Masks and score functions reach
// the walk the same way, as functions called for a block of scores at a time: so the leaves are compiled
// once for an element type, whatever options a program uses, and a callable is still inlined into the
// loop over the block's scores.
#pragma once

#include <heed/core/fetch.hpp>
#include <heed/core/strided.hpp>
#include <heed/kernel/exact/key_pages.hpp>
#include <heed/mask/concept.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI::detail {

// Keys in one tile: tiles start at its multiples, so a row's sums do not depend on where others begin.
inline constexpr index tile_keys = 128;
// Keys a decode takes at once, a row of lanes for the score functions.
inline constexpr index decode_keys = most_lanes;
// Sums over many tiles are sums of sums: so many tiles, and their keys, are added up by themselves and then
// join what came before, with what that addition rounds off as the beginning of the next group. So no error
// grows with the number of keys. Groups are counted from key 0, and what has but one is as if there were
// none.
inline constexpr index group_tiles = 32;
inline constexpr index group_keys = group_tiles * tile_keys;
// Keys of one part of a decode: at least this many, and no more than 64 parts; longer parts are added up in
// pieces of as many.
inline constexpr index decode_part_keys = 2048;
// Sums of weights times values that overflow are made once more with weights times this: the mean is no
// larger than the values, and there are fewer than 2^31 of them.
template <class T>
inline constexpr T sum_scale = T(1) / T(4294967296.0);
// Products take rows in groups of this many, panels of up to three packs of lanes.
inline constexpr index row_group = 8;
inline constexpr int panel_packs = 3;
inline constexpr int most_pack_lanes = 16;

// ln(l e^m); empty is what has no sum: a row whose scores are all NaN has one.
template <class T>
T logsumexp_of(T most, T sum) {
    return sum == T(0) ? minus_infinity<T>() : most + scalar::log(sum);
}

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

// A block of scores in place: row r starts at scores + r * row_stride, its lanes are neighbours.
template <class T>
using score_function = void (*)(const void* program, T* scores, index row_stride, const lane_block& block,
                                index lanes);

template <class E>
struct exact_problem {
    using T = std::conditional_t<std::is_same_v<E, double>, double, float>;

    strided<const E> q;
    strided<const E> k;
    strided<const E> v;
    strided<E> y;
    strided<T> y_sum;  // instead of y: the output in the type sums are kept in
    const key_pages<T>* pages = nullptr;  // keys and values stand there instead of in k and v
    index batch = 0;
    index heads = 0;
    index kv_heads = 0;
    index queries = 0;
    index keys = 0;
    index features = 0;        // of q and k
    index value_features = 0;  // of v and y
    index first_entry = 0;     // of the batch: those that are run
    index entry_count = -1;    // -1: all
    T scale = 1;

    const void* program = nullptr;
    score_function<T> score = nullptr;         // without the mask; nullptr: scores stay as they are
    score_function<T> score_masked = nullptr;  // with it; hidden scores become -inf
    score_function<T> drop = nullptr;          // dropout, on the exponentials
    // Of scores what meets the values, f(p), where the sums of all rows are known; their outputs are the
    // sums.
    score_function<T> probability = nullptr;
    cover (*classify)(const void* program, const tile&) = nullptr;   // nullptr: every tile is full
    index (*first_key)(const void* program, const tile&) = nullptr;  // nullptr: not known
    index grain = 0;         // queries at whose multiples the mask changes most; 0: no matter where it is cut
    bool visit_all = false;  // scores are written out, so no tile is skipped
    bool group_sees_alike = false;  // classify answers the heads that share keys alike
    // Where a query stands among the keys, less the query itself; nullptr: at the common end.
    index (*shift_at)(const void* places, index query) = nullptr;
    const void* places = nullptr;
    // Who looks on while a kernel runs: called with the exponentials e^(s - most) of a tile. The tiled
    // kernel has keys [first, end) of it, key r of lane l at e[r * row_stride + l], before dropout; the
    // decode kernel all keys, key i of row r at e[r * decode_keys + i].
    void (*observe)(void* observer, const tile&, index first, index end, const T* e, index row_stride,
                    const T* most) = nullptr;
    void (*observe_rows)(void* observer, const tile&, index rows, const T* e, const T* most) = nullptr;
    void* observer = nullptr;

    bool has_sinks = false;
    double (*sink)(const void* program, index head) = nullptr;
    strided<T> logsumexp;  // (batch, head, query)
    strided<T> maximum;    // likewise
    strided<T> sum;        // likewise: relative to it
    strided<T> weights;    // (batch, head, query, key)
    strided<T> coverage;   // (batch, head, query)

    index position(index query) const {
        return query + (shift_at == nullptr ? keys - queries : shift_at(places, query));
    }
    index entries() const { return entry_count < 0 ? batch : entry_count; }
    index entry_at(index i) const { return first_entry + i; }
    index kv_head(index head) const { return head / (heads / kv_heads); }
    cover cover_of(const tile& t) const {
        if (visit_all) return cover::mixed;
        return classify == nullptr ? cover::full : classify(program, t);
    }
    // No key of the tile before this one is seen.
    index first_of(const tile& t) const {
        return visit_all || first_key == nullptr ? t.key_begin : first_key(program, t);
    }
};

// The leaves. Those in arrays are for one, two and three packs of lanes, or for one and four rows.
template <class E>
struct exact_leaves {
    using T = typename exact_problem<E>::T;

    int pack_lanes;
    int fewest_packs;  // of a strip: targets of short packs are compiled for three alone, for build time
    // n elements of `rows` rows to the sum type, and back.
    void (*widen)(const E* from, index row_stride, index stride, index rows, index n, T* to, index to_stride);
    void (*narrow)(const T* from, index n, E* to, index stride);
    // One row, times a factor.
    void (*widen_scaled)(const E* from, index stride, index n, T factor, T* to);
    void (*narrow_scaled)(const T* from, index n, T factor, E* to, index stride);
    bool (*all_finite)(const T* rows, index row_stride, index count, index features);
    // to[j][i] = from[i][j] * factor[j], a square of one pack by one pack.
    void (*transpose)(const T* from, index from_stride, T* to, index to_stride, const T* factor);
    // The same; true when every number that it writes is finite.
    bool (*transpose_finite)(const T* from, index from_stride, T* to, index to_stride, const T* factor);
    // A row of masked scores to weights, e^(s - most) * factor.
    void (*weights)(T* row, index stride, index n, T most, T factor);

    void (*panel_scores[3])(const key_tile<T>&, index first, index end, index features, const T* query,
                            T* most);
    void (*panel_largest)(T* s, index rows, int packs, const T* before, T* most, bool bounded);
    void (*panel_softmax)(T* s, index begin, index rows, int packs, const T* before, const T* most, T* sum,
                          T* keep);
    void (*panel_outputs[3])(const key_tile<T>&, index first, index end, index columns, T* output,
                             const T* keep);
    void (*visible_outputs)(const key_tile<T>&, index first, index end, index columns, T* output,
                            const T* keep, int packs);
    // upper = keep upper + lower, lower = what that rounded off; rows of n numbers, whole packs. keep may be
    // nullptr, for 1.
    void (*carry)(T* upper, T* lower, index rows, index row_stride, index n, const T* keep);

    void (*row_scores[2])(const T* q, index q_stride, const number_rows<T>& k, index count, index features,
                          T* out);
    // The same of up to four rows and keys that are neighbours, features a stride apart.
    void (*turned_scores)(const T* q, index q_stride, index rows, const T* k, index feature_stride,
                          index count, index features, T* out);
    // Rows of decode_keys scores to e^(s - most), their sums, and what was summed up before is multiplied with.
    void (*rows_softmax)(T* s, index rows, index count, bool bounded, T* most, T* sum, T* keep);
    // o = keep o + p v for value features [0, columns) of one or four rows.
    void (*row_outputs[2])(const T* p, const number_rows<T>& v, index count, index columns, T* output,
                           const T* keep);
    // The same from rows of E as they stand.
    stored_leaves<T> stored;
    void (*row_visible_outputs)(const T* p, const T* hidden, const number_rows<T>& v, index count,
                                index first, index columns, T* output, T keep);
};

}  // namespace heed::inline HEED_ABI::detail
