// SPDX-License-Identifier: MIT
// heed/kernel/exact/problem.hpp: what the exact kernels are given, and the leaves that a target compiles for
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
// It may take fewer, where rows are long.
inline constexpr index fewest_step_keys = 16;
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
T logsumexp_of(T row_max, T row_sum) {
    return row_sum == T(0) ? minus_infinity<T>() : row_max + scalar::log(row_sum);
}

// A tile of keys and values of one head, and the scratch to work on it.
template <class T>
struct key_tile {
    number_rows<T> keys;
    number_rows<T> values;
    number_rows<T> value_tail;  // the last value features, padded to a group
    int finite;                 // are all values finite? -1: not looked yet
    T* padded;                  // scratch for the last keys, padded to a group
    T* scores;                  // (key, lane)
    T* hidden;                  // the scores once more, where a hidden value may be infinite or NaN
};

// A block of scores in place: row r starts at scores + r * row_stride, its lanes are neighbours.
template <class T>
using score_function = void (*)(const void* program, T* scores, index row_stride, const lane_block& block,
                                index lanes);

// What a call reads: tensors that fit together, and where its queries stand among its keys. Complete before a
// selector sees it.
template <class E>
struct exact_inputs {
    using T = std::conditional_t<std::is_same_v<E, double>, double, float>;

    strided<const E> q;
    strided<const E> k;
    strided<const E> v;
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
    // Where a query stands among the keys, less the query itself; nullptr: at the common end.
    index (*shift_at)(const void* positions, index query) = nullptr;
    const void* positions = nullptr;

    index position(index query) const {
        return query + (shift_at == nullptr ? keys - queries : shift_at(positions, query));
    }
    index kv_head(index head) const { return head / (heads / kv_heads); }
    index entries() const { return entry_count < 0 ? batch : entry_count; }
    index entry_at(index i) const { return first_entry + i; }
};

// What it writes; what has no memory is not written.
template <class E>
struct exact_outputs {
    using T = typename exact_inputs<E>::T;

    stored_or_sum<E, T> y;
    strided<T> logsumexp;    // (batch, head, query)
    strided<T> maximum;      // likewise
    strided<T> sum;          // likewise: relative to it
    strided<T> weights;      // (batch, head, query, key)
    strided<T> coverage;     // (batch, head, query)
    bool visit_all = false;  // scores are written out, so no tile is skipped
};

// What it asks on the way: its score program and masks as functions (kernel/exact/program.hpp), and who looks
// on while a kernel runs.
template <class T>
struct exact_hooks {
    const void* program = nullptr;
    score_function<T> score = nullptr;         // without the mask; nullptr: scores stay as they are
    score_function<T> score_masked = nullptr;  // with it; hidden scores become -inf
    score_function<T> drop = nullptr;          // dropout, on the exponentials
    // Of scores what meets the values, f(p), where the sums of all rows are known; their outputs are the
    // sums.
    score_function<T> probability = nullptr;
    cover (*classify)(const void* program, const tile&) = nullptr;   // nullptr: every tile is full
    index (*first_key)(const void* program, const tile&) = nullptr;  // nullptr: not known
    index grain = 0;  // queries at whose multiples the mask changes most; 0: no matter where it is cut
    bool group_sees_alike = false;  // classify answers the heads that share keys alike
    bool has_sinks = false;
    double (*sink)(const void* program, index head) = nullptr;

    // Called with the exponentials e^(s - row_max) of a tile. The tiled kernel has keys [first, end) of it,
    // key r of lane l at e[r * row_stride + l], before dropout; the decode kernel all keys, key i of row r at
    // e[r * decode_keys + i].
    void (*observe)(void* observer, const tile&, index first, index end, const T* e, index row_stride,
                    const T* row_max) = nullptr;
    void (*observe_rows)(void* observer, const tile&, index rows, const T* e, const T* row_max) = nullptr;
    void* observer = nullptr;
};

// All three as kernels read them: p.keys, p.y, p.score. Made in one piece, exact_problem{inputs, outputs,
// hooks}; what works on the inputs alone takes those.
template <class E>
struct exact_problem : exact_inputs<E>, exact_outputs<E>, exact_hooks<typename exact_inputs<E>::T> {
    using T = typename exact_inputs<E>::T;

    cover cover_of(const tile& t) const {
        if (this->visit_all) return cover::mixed;
        return this->classify == nullptr ? cover::full : this->classify(this->program, t);
    }
    // No key of the tile before this one is seen.
    index first_of(const tile& t) const {
        return this->visit_all || this->first_key == nullptr ? t.key_begin
                                                             : this->first_key(this->program, t);
    }
};
template <class E>
exact_problem(exact_inputs<E>, exact_outputs<E>, exact_hooks<typename exact_inputs<E>::T>)
    -> exact_problem<E>;

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
    // A row of masked scores to weights, e^(s - row_max) * factor.
    void (*weights)(T* row, index stride, index n, T row_max, T factor);

    void (*panel_scores[3])(const key_tile<T>&, index first, index end, index features, const T* query,
                            T* row_max);
    void (*panel_max)(T* s, index rows, int packs, const T* before, T* row_max, bool bounded);
    void (*panel_softmax)(T* s, index begin, index rows, int packs, const T* before, const T* row_max,
                          T* row_sum, T* rescale);
    void (*panel_outputs[3])(const key_tile<T>&, index first, index end, index columns, T* output,
                             const T* rescale);
    void (*visible_outputs)(const key_tile<T>&, index first, index end, index columns, T* output,
                            const T* rescale, int packs);
    // upper = rescale upper + lower, lower = what that rounded off; rows of n numbers, whole packs. rescale
    // may be nullptr, for 1.
    void (*carry)(T* upper, T* lower, index rows, index row_stride, index n, const T* rescale);

    void (*row_scores[2])(const T* q, index q_stride, const number_rows<T>& k, index count, index features,
                          T* out);
    // The same of up to four rows and keys that are neighbours, features a stride apart.
    void (*transposed_scores)(const T* q, index q_stride, index rows, const T* k, index feature_stride,
                              index count, index features, T* out);
    // Rows of decode_keys scores to e^(s - row_max), their sums, and what was summed up before is multiplied
    // with.
    void (*rows_softmax)(T* s, index rows, index count, bool bounded, T* row_max, T* row_sum, T* rescale);
    // o = rescale o + p v for value features [0, columns) of one or four rows.
    void (*row_outputs[2])(const T* p, const number_rows<T>& v, index count, index columns, T* output,
                           const T* rescale);
    // The same from rows of E as they stand.
    stored_leaves<T> stored;
    void (*row_visible_outputs)(const T* p, const T* hidden, const number_rows<T>& v, index count,
                                index first, index columns, T* output, T rescale);
};

}  // namespace heed::inline HEED_ABI::detail
