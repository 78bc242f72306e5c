// SPDX-License-Identifier: MIT
// heed/kernel/rows/block.hpp: a block of queries of one key/value head, with all their scores at once
//
//     s = scores of a row    K = chosen keys of s    w = e^(s_K - max s_K)    y = sum over K of w v / sum w
//
// A row of scores (kernel/rows/scores.hpp) is closed up to its kept scores in place, and its values are
// gathered tile by tile, for all rows of the block in turn, so that a tile of values is read from the first
// cache.
//
// Memory: two rows of keys for every query of the block, and two for the selection.
#pragma once

#include <heed/core/workspace.hpp>
#include <heed/kernel/rows/scores.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E, class Chooser, class Weigher>
class rows_block {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    // Blocks of up to `rows` rows; memory for one is bytes() long and aligned to a cache line.
    rows_block(const problem& p, const Chooser& chooser, const Weigher& weigher, index rows)
        : p_(p),
          sums_(p),
          scores_(p, rows),
          leaf_(leaves_on_target<E>()),
          select_(select_leaves_on_target<T>()),
          row_leaf_(row_leaves_on_target<T>()),
          chooser_(chooser),
          weigher_(weigher) {
        // 32 KiB of values in a number of keys that no call changes.
        value_keys_ = 4096 * static_cast<index>(sizeof(float)) / static_cast<index>(sizeof(T));
        while (value_keys_ * p.value_features > 8192 && value_keys_ > 16) value_keys_ /= 2;
        if (value_keys_ > tile_keys) value_keys_ = tile_keys;
        sums_.weights.data = nullptr;  // written here: finish_row would look for scores in them
    }

    std::size_t bytes() const { return scores_.layout_in(nullptr).bytes; }

    // Queries [begin, end) of one head.
    void run_queries(index b, index h, index begin, index end, void* scratch) const {
        layout m = scores_.layout_in(scratch);
        scores_.score_queries(b, h, begin, end, m);
        finish(m);
    }
    // All queries, a few, of the heads that share a key/value head.
    void run_heads(index b, index kv_head, void* scratch) const {
        layout m = scores_.layout_in(scratch);
        scores_.score_heads(b, kv_head, m);
        finish(m);
    }

private:
    using layout = typename rows_scores<E>::layout;

    // Values in rows that begin with a cache line: a pack that crosses lines costs two loads, and every row
    // of the block pays for it.
    number_rows<T> values_of(const layout& m, index key, index count) const {
        const auto* const from = p_.v.row(m.where.batch, m.where.kv_head, key);
        const auto bytes = [](index n) { return static_cast<std::uintptr_t>(n) * sizeof(T); };
        const std::uintptr_t crossed =
            (reinterpret_cast<std::uintptr_t>(from) | bytes(p_.v.stride[2])) % workspace::alignment;
        if (stands_in_rows<T>(p_.v) && crossed == 0)
            return {reinterpret_cast<const T*>(from), p_.v.stride[2]};
        leaf_.widen(from, p_.v.stride[2], p_.v.stride[3], count, p_.value_features, m.tile,
                    scores_.value_stride());
        return {m.tile, scores_.value_stride()};
    }

    // Chooses, weighs, gathers and writes; or chooses and says what.
    void finish(layout& m) const {
        for (index r = 0; r < m.where.rows; ++r) {
            const index count = choose(m, r);
            if constexpr (records_choice<Weigher>)
                weigher_.record(scores_.row_id_of(m.where, r), m.chosen + r * scores_.row_stride(), count);
            else
                weigh(m, r, count);
        }
        if constexpr (!records_choice<Weigher>) gather(m);
    }

    void gather(layout& m) const {
        const index n = p_.value_features;
        for (index r = 0; r < m.where.rows; ++r) m.scale[r] = 1;
        const T* output = add_values(m);
        if (!leaf_.all_finite(output, 0, 1, m.where.rows * n)) {
            // Values near the largest number: rows whose sums overflow are added up with smaller weights.
            for (index r = 0; r < m.where.rows; ++r) {
                m.next[r] = 0;
                if (leaf_.all_finite(output + r * n, 0, 1, n)) continue;
                m.scale[r] = sum_scale<T>;
                T* const w = m.scores + r * scores_.row_stride() + m.first;
                const std::int32_t* const keys = m.chosen + r * scores_.row_stride();
                for (index i = 0; keys[i] != INT32_MAX; ++i) w[i] *= sum_scale<T>;
            }
            output = add_values(m);
        }
        for (index r = 0; r < m.where.rows; ++r) write(m, r, output + r * n);
    }

    // The sums of weights times values, group by group of keys.
    const T* add_values(layout& m) const {
        const index n = scores_.output_size();
        clear(m.output, n);
        if (m.upper != nullptr) clear(m.upper, n);
        for (index key = m.first; key < m.end;) {
            const index end = least((key / value_keys_ + 1) * value_keys_, m.end);
            const number_rows<T> v = values_of(m, key, end - key);
            const T* ahead = nullptr;
            if (end < m.end && stands_in_rows<T>(p_.v))
                ahead = reinterpret_cast<const T*>(p_.v.row(m.where.batch, m.where.kv_head, end));
            row_leaf_.outputs(m.scores + m.first, m.chosen, scores_.row_stride(), m.where.rows, m.next,
                              static_cast<std::int32_t>(key), static_cast<std::int32_t>(end), v, ahead,
                              p_.value_features, m.output);
            key = end;
            if (m.upper != nullptr && (key % group_keys == 0 || key == m.end))
                leaf_.carry(m.upper, m.output, 1, 0, n, nullptr);
        }
        return m.upper != nullptr ? m.upper : m.output;
    }

    void write(const layout& m, index r, const T* sums) const {
        const at row = scores_.row_id_of(m.where, r);
        write_output(p_, leaf_, row.batch, row.head, row.query, sums, m.factor[r], m.scale[r],
                     m.output + r * p_.value_features);
    }

    // One row: which keys stay, and how many.
    index choose(layout& m, index r) const {
        at row_id = scores_.row_id_of(m.where, r);
        row_id.key = static_cast<std::int32_t>(m.first);
        T* const scores = m.scores + r * scores_.row_stride() + m.first;
        std::int32_t* const keys = m.chosen + r * scores_.row_stride();
        const index seen = m.end - m.first;
        // Without a mask and score functions nothing is -inf: what overflowed was lifted.
        const bool all = p_.classify == nullptr && p_.score_masked == nullptr && p_.score == nullptr;
        const index visible =
            all || seen == 0 ? seen : select_.count_not_below(scores, seen, constants<T>::lowest);
        index count = 0;
        if (visible > 0) {
            score_row<T> row{select_,   scores,  keys,
                             m.scratch, m.first, m.end - m.first,
                             visible,   row_id,  p_.position(row_id.query)};
            count = chooser_.choose(row);
        }
        keys[count] = INT32_MAX;
        return count;
    }

    // One row: what its kept keys weigh, and what is written of it.
    void weigh(layout& m, index r, index count) const {
        at row_id = scores_.row_id_of(m.where, r);
        row_id.key = static_cast<std::int32_t>(m.first);
        T* const scores = m.scores + r * scores_.row_stride() + m.first;
        const std::int32_t* const keys = m.chosen + r * scores_.row_stride();
        T row_max = minus_infinity<T>();
        T row_sum = 0;
        if (count > 0) weigher_.weigh(row_leaf_, scores, count, row_max, row_sum);
        m.next[r] = 0;
        m.factor[r] =
            finish_row(sums_, leaf_, row_id.batch, row_id.head, row_id.query, true, row_max, row_sum);
        if (p_.weights.data != nullptr) {
            T* const to = p_.weights.row(row_id.batch, row_id.head, row_id.query);
            for (index key = 0; key < p_.keys; ++key) to[key * p_.weights.stride[3]] = 0;
            for (index i = 0; i < count; ++i) to[keys[i] * p_.weights.stride[3]] = scores[i] * m.factor[r];
        }
        if (p_.drop != nullptr && count > 0) drop(row_id, scores, keys, count, m);
    }

    // Dropout works on neighbouring keys: out to a whole row, and back.
    void drop(at row_id, T* weights, const std::int32_t* keys, index count, layout& m) const {
        const index n = m.end - m.first;
        clear(m.scratch, n + select_slack);
        for (index i = 0; i < count; ++i) m.scratch[keys[i] - m.first] = weights[i];
        p_.drop(p_.program, m.scratch, 0, {row_id, 0, -1, static_cast<std::int32_t>(n) - 1, 1},
                rounded_up(n, leaf_.pack_lanes));
        for (index i = 0; i < count; ++i) weights[i] = m.scratch[keys[i] - m.first];
    }

    const problem& p_;
    problem sums_;
    rows_scores<E> scores_;
    const exact_leaves<E>& leaf_;
    const select_leaves<T>& select_;
    const row_leaves<T>& row_leaf_;
    const Chooser& chooser_;
    const Weigher& weigher_;
    index value_keys_;
};

}  // namespace heed::inline HEED_ABI::detail
