// SPDX-License-Identifier: MIT
// heed/kernel/rows/problem.hpp: attention that needs whole rows of scores, and what it asks of a selector
//
//     run_rows(problem, chooser, weigher, device, workspace)          kernel/rows/run.hpp
//
// For each query: all its scores; chooser says which keys stay; weigher turns their scores into weights; and
// only their values are read. A selector of heed::attention that needs the scores gives run_rows a
//
//     index chooser.choose(score_row<T>& row) const
//
// for T float and double. It writes the keys that stay to row.keys, ascending, and their scores to
// row.scores, from the front, and gives their number (emit_chosen in kernel/select/threshold.hpp does both).
// And a
//
//     void weigher.weigh(const row_leaves<T>&, T* scores, index count, T& row_max, T& row_sum) const
//
// which turns the scores that stayed into weights, not yet divided by their sum: softmax_weights below gives
// e^(s - row_max). Where only the choice is asked for, kernel/rows/key_bits.hpp gives in its place a
//
//     void weigher.record(const at& row_id, const std::int32_t* keys, index count) const
//
// which gets the keys of each row; then no value is read. All are called from many threads at once.
#pragma once

#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/select/problem.hpp>

namespace heed::inline HEED_ABI::detail {

// The scores of one query, of keys first, first + 1, …: those before and behind are hidden from it.
template <class T>
struct score_row {
    const select_leaves<T>& leaf;
    T* scores;           // count numbers, -inf where hidden; space for select_slack more. May be changed
    std::int32_t* keys;  // to write, with the same space
    T* scratch;          // 2 count + select_slack numbers
    index first;
    index count;
    index visible;   // how many are not hidden
    at row_id;       // (batch, head, query); key is first
    index position;  // of the query among the keys: query + (keys - queries)
};

template <class T>
struct row_leaves {
    // Scores (key, lane) to rows (lane, key); with `bounded` -inf becomes the lowest number.
    void (*to_rows)(const T* scores, index keys, index lanes, bool bounded, T* rows, index row_stride);
    // The largest, NaN left out; -inf where there is none.
    T (*row_max)(const T* x, index n);
    // x to e^(x - row_max) in place, a pack of lanes at a time; gives the sum.
    T (*exponentials)(T* x, index n, T row_max);
    // For each of some rows o += the sum over keys[i] < end of weights[i] v[keys[i] - first], i from
    // next[row] on, which becomes the i behind the last. A number not below `end` stands behind the keys. The
    // values of the next tile stand at `ahead`, or nullptr.
    void (*outputs)(const T* weights, const std::int32_t* keys, index row_stride, index rows, index* next,
                    std::int32_t first, std::int32_t end, const number_rows<T>& v, const T* ahead,
                    index columns, T* output);
};

template <class W>
concept records_choice =
    requires(const W& w, const at& row_id, const std::int32_t* keys) { w.record(row_id, keys, index{}); };

// The weights of the softmax.
struct softmax_weights {
    template <class T>
    void weigh(const row_leaves<T>& leaf, T* scores, index count, T& row_max, T& row_sum) const {
        row_max = leaf.row_max(scores, count);
        row_sum = leaf.exponentials(scores, count, is_minus_infinity(row_max) ? T(0) : row_max);
    }
};

}  // namespace heed::inline HEED_ABI::detail
