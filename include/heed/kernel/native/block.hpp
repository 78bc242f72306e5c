// SPDX-License-Identifier: MIT
// heed/kernel/native/block.hpp: a block of queries of one group of heads through the three branches
//
//     p_h = softmax(scale q_h compressed_k^T)     importance[j] = sum over the heads h of the group and the
//     compressed keys i of p_h[i] * (chunks that i and block j share)
//
// All three branches run on the kernels of exact attention. Where all keys of a range count (compressed,
// sliding), lanes are queries: the heads of a group stand one behind the other, so that they share a tile.
// Where every query has keys of its own (selected), lanes are the heads of the group, and the tiles are the
// blocks that the query chose: a key is read once for the group and no mask is needed. Calls of few queries
// put all queries and heads side by side in the lanes. Where that would fill half a pack at most, the decode
// kernel takes them row by row instead (lanes are features).
//
// Scores of compressed keys are worked out once. The kernel shows each tile of exponentials to an observer,
// which sums them up by selection block (a quarter of their number at the sizes of the paper) and notes the
// maximum they are relative to; once the row's maximum and sum are known, what was noted is added with its
// factor.
//
// Memory, in numbers: a block of queries times (3 value features + features) times heads of the group, and
// times selection blocks of all keys; linear in a block of queries.
#pragma once

#include <heed/core/arena.hpp>
#include <heed/kernel/native/branch.hpp>
#include <heed/kernel/native/importance.hpp>
#include <heed/kernel/native/problem.hpp>
#include <heed/kernel/native/ranges.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class native_block {
public:
    using problem = native_problem<E>;
    using T = typename problem::T;

    native_block(const problem& p, index queries)
        : p_(p), leaf_(leaves_on_target<E>()), sum_leaf_(leaves_on_target<T>()) {
        const index lanes = panel_packs * leaf_.pack_lanes;
        stacked_ = queries > decode_queries;
        rows_ = stacked_ ? lanes : greatest(queries, 1);
        together_ = least(stacked_ ? index{block_strips} : (block_strips * lanes - 1) / rows_ + 1, p.group());
    }

    // Queries of a block: one strip of lanes, or all of a few.
    index queries() const { return rows_; }

    std::size_t bytes() const {
        arena counted;
        layout_in(counted);
        return counted.bytes();
    }

    // Queries [begin, end) of the heads of one group; scratch is bytes() long.
    native_found<T> run(index b, index kv_head, index begin, index end, void* scratch) const {
        arena pieces(scratch);
        layout m = layout_in(pieces);
        task t{b, kv_head, begin, end - begin};
        load_queries(t, m);
        see_compressed(t, m);
        choose(t, m);
        see_selected(t, m);
        see_window(t, m);
        return m.found;
    }

private:
    struct task {
        index batch;
        index kv_head;
        index begin;
        index count;
    };
    struct layout {
        native_found<T> found;
        E* query;      // (row, feature)
        T* query_sum;  // the same in the sum type
        std::int32_t* low;
        std::int32_t* high;
        block_importance<T> importance;
        std::int32_t* chosen;  // (query, select_count)
        weighed_block<T>* heap;
        void* exact;
    };

    layout layout_in(arena& scratch) const {
        layout m{};
        const index all = p_.group() * rows_;
        m.found.rows = rows_;
        for (int i = 0; i < native_branches; ++i) {
            scratch.take(m.found.output[i], all * p_.value_features);
            scratch.take(m.found.maximum[i], all);
            scratch.take(m.found.sum[i], all);
        }
        scratch.take(m.found.chosen, rows_);
        scratch.take(m.chosen, rows_ * count_chosen());
        scratch.take(m.heap, count_chosen());
        scratch.take(m.query, all * p_.features);
        if constexpr (std::is_same_v<E, T>)
            m.query_sum = m.query;
        else
            scratch.take(m.query_sum, all * p_.features);
        scratch.take(m.low, rows_);
        scratch.take(m.high, rows_);
        const index compressed = p_.blocks.compressed_of(p_.keys);
        m.importance =
            block_importance<T>(p_.blocks, panel_packs * leaf_.pack_lanes, leaf_.pack_lanes, rows_, stacked_);
        const index strips =
            stacked_ ? together_ : rounded_up(together_ * rows_, leaf_.pack_lanes) / leaf_.pack_lanes;
        scratch.take(m.importance.weights, blocks_of(p_.keys) * rows_);
        scratch.take(m.importance.notes, m.importance.max_notes(compressed, strips));
        scratch.take(m.importance.numbers,
                     m.importance.max_notes(compressed, strips) * m.importance.note_size());
        std::size_t largest = 0;
        const auto fit = [&](const auto& kernel) {
            largest = kernel.bytes() > largest ? kernel.bytes() : largest;
        };
        const auto x = compressed_problem({0, 0, 0, 0}, m, 0, together_);
        fit(branch_kernel<T>(x, sum_leaf_));
        const auto y = window_problem({0, 0, 0, 0}, m, 0, together_);
        fit(branch_kernel<E>(y, leaf_));
        const auto z = selected_problem({0, 0, 0, 0}, m, 0);
        fit(branch_kernel<E>(z, leaf_));
        m.exact = scratch.take<char>(static_cast<index>(largest));
        return m;
    }

    index blocks_of(index keys) const { return (keys + p_.blocks.select_block - 1) / p_.blocks.select_block; }
    index count_chosen() const { return least(p_.blocks.select_count, blocks_of(p_.keys)); }

    // The queries as (head, query of the block, feature); those past the last are zero.
    void load_queries(const task& t, const layout& m) const {
        const index n = p_.features;
        for (index h = 0; h < p_.group(); ++h)
            for (index q = 0; q < rows_; ++q) {
                E* const to = m.query + (h * rows_ + q) * n;
                if (q < t.count) {
                    const E* from = p_.q.row(t.batch, t.kv_head * p_.group() + h, t.begin + q);
                    for (index f = 0; f < n; ++f) to[f] = from[f * p_.q.stride[3]];
                } else {
                    for (index f = 0; f < n; ++f) to[f] = E{};
                }
                if constexpr (!std::is_same_v<E, T>)
                    leaf_.widen(to, 0, 1, 1, n, m.query_sum + (h * rows_ + q) * n, n);
            }
    }

    // Rows [first, …) of a branch's outputs, maxima and sums, `step` rows apart.
    template <class X>
    exact_problem<X> branch_problem(const layout& m, native_branch c, index row, index step) const {
        exact_problem<X> x;
        x.y.sums = {m.found.output[c] + row * p_.value_features, {0, 0, step * p_.value_features, 1}};
        x.maximum = {m.found.maximum[c] + row, {0, 0, step, 0}};
        x.sum = {m.found.sum[c] + row, {0, 0, step, 0}};
        x.batch = x.heads = x.kv_heads = 1;
        x.features = p_.features;
        x.value_features = p_.value_features;
        x.scale = p_.scale;
        return x;
    }
    // `heads` heads of the group from `first` on.
    exact_problem<T> compressed_problem(const task& t, const layout& m, index first, index heads) const {
        auto x = branch_problem<T>(m, compressed_branch, first * rows_, 1);
        x.q = {m.query_sum + first * rows_ * p_.features, {0, 0, p_.features, 1}};
        x.k = rows_of_head(p_.compressed_k, t.batch, t.kv_head);
        x.v = rows_of_head(p_.compressed_v, t.batch, t.kv_head);
        x.queries = heads * rows_;
        x.keys = p_.blocks.compressed_of(p_.keys);
        compile_program<ranges_program>(x);
        return x;
    }
    exact_problem<E> window_problem(const task& t, const layout& m, index first, index heads) const {
        auto x = branch_problem<E>(m, sliding_branch, first * rows_, 1);
        x.q = {m.query + first * rows_ * p_.features, {0, 0, p_.features, 1}};
        x.k = rows_of_head(p_.k, t.batch, t.kv_head);
        x.v = rows_of_head(p_.v, t.batch, t.kv_head);
        x.queries = heads * rows_;
        x.keys = p_.keys;
        compile_program<ranges_program>(x);
        return x;
    }
    // All heads of a group for one query.
    exact_problem<E> selected_problem(const task& t, const layout& m, index query) const {
        auto x = branch_problem<E>(m, selected_branch, query, rows_);
        x.q = {m.query + query * p_.features, {0, 0, rows_ * p_.features, 1}};
        x.k = rows_of_head(p_.k, t.batch, t.kv_head);
        x.v = rows_of_head(p_.v, t.batch, t.kv_head);
        x.queries = p_.group();
        x.keys = p_.keys;
        return x;
    }

    // Heads of the group, as many at a time as share a tile, every query with its range of keys.
    template <class X, class Problem, class After>
    void see_ranges(const exact_leaves<X>& leaf, const layout& m, index keys, const Problem& problem_of,
                    const After& after) const {
        const ranges_program program{{}, {m.low, m.high, rows_}};
        for (index first = 0; first < p_.group(); first += together_) {
            const index heads = least(together_, p_.group() - first);
            exact_problem<X> x = problem_of(first, heads);
            x.keys = keys;
            x.program = &program;
            x.classify = &ranges_program::classify;
            const branch_kernel<X> kernel(x, leaf);
            kernel.run(m.exact, [&](const auto& take) {
                for (index key = 0; key < keys; key += kernel.tile())
                    take(key, least(key + kernel.tile(), keys));
            });
            after(first, heads);
        }
    }

    void see_compressed(const task& t, layout& m) const {
        for (index q = 0; q < rows_; ++q) {
            m.low[q] = 0;
            m.high[q] = static_cast<std::int32_t>(p_.blocks.compressed_of(position(t, q) + 1));
        }
        m.importance.clear(blocks_of(last_position(t) + 1));
        see_ranges(
            sum_leaf_, m, m.high[t.count - 1],
            [&](index first, index heads_) {
                auto x = compressed_problem(t, m, first, heads_);
                x.observe = &block_importance<T>::observe;
                x.observe_rows = &block_importance<T>::observe_rows;
                x.observer = &m.importance;
                return x;
            },
            [&](index first, index) {
                m.importance.add_notes(m.found.maximum[compressed_branch] + first * rows_,
                                       m.found.sum[compressed_branch] + first * rows_);
            });
    }

    void choose(const task& t, const layout& m) const {
        for (index q = 0; q < t.count; ++q) {
            const index p = position(t, q);
            std::int32_t* const list = m.chosen + q * count_chosen();
            m.found.chosen[q] = {list, 0};
            if (p < 0) continue;
            m.found.chosen[q].count =
                choose_blocks(m.importance.weights + q, rows_, p / p_.blocks.select_block,
                              p_.blocks.select_count, m.heap, list);
        }
    }

    void see_selected(const task& t, const layout& m) const {
        exact_problem<E> x = selected_problem(t, m, 0);
        const branch_kernel<E> kernel(x, leaf_);
        for (index q = 0; q < t.count; ++q) {
            const exact_problem<E> here = selected_problem(t, m, q);
            x.q = here.q;
            x.y = here.y;
            x.maximum = here.maximum;
            x.sum = here.sum;
            kernel.run_chosen(m.exact, m.found.chosen[q], p_.blocks.select_block, position(t, q) + 1);
        }
    }

    void see_window(const task& t, const layout& m) const {
        const index last = last_position(t);
        const index first_key = greatest(position(t, 0) - p_.blocks.window + 1, 0);
        for (index q = 0; q < rows_; ++q) {
            const index p = position(t, q);
            const index low = greatest(p - p_.blocks.window + 1, 0);
            m.low[q] = static_cast<std::int32_t>(p < 0 ? 0 : low - first_key);
            m.high[q] = static_cast<std::int32_t>(p < 0 ? 0 : p + 1 - first_key);
        }
        const index keys = last < 0 ? 0 : last + 1 - first_key;
        see_ranges(
            leaf_, m, keys,
            [&](index first, index heads_) {
                auto x = window_problem(t, m, first, heads_);
                x.k.data += first_key * x.k.stride[2];
                x.v.data += first_key * x.v.stride[2];
                return x;
            },
            [](index, index) {});
    }

    // Queries past the last stand where it does.
    index position(const task& t, index q) const { return p_.position(t.begin + least(q, t.count - 1)); }
    index last_position(const task& t) const { return p_.position(t.begin + t.count - 1); }

    const problem& p_;
    const exact_leaves<E>& leaf_;
    const exact_leaves<T>& sum_leaf_;
    bool stacked_;    // every head has a strip of its own
    index rows_;      // queries of a block, as memory counts them
    index together_;  // heads that share a tile
};

}  // namespace heed::inline HEED_ABI::detail
