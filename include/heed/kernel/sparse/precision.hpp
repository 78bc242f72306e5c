// SPDX-License-Identifier: MIT
// heed/kernel/sparse/precision.hpp: attention whose scores are made of few bits first, and of all where
// needed
//
// Keys become two planes of small integers, once per call (part::selection). A row of scores is the product
// of the query with the high plane; where the largest probability that follows is below the threshold, the
// row is made again of both planes. The rest, masks and score steps by blocks of 64 keys, softmax and the
// product with the values, is that of the decode kernel on a whole row.
#pragma once

#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/scratch.hpp>
#include <heed/kernel/sparse/precision-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
split_leaves<T> split_leaves_on_target() {
    HEED_RETURN_ON_TARGET(split_leaves<T>());
}
HEED_ONCE_FOR_SUMS(split_leaves_on_target);

template <class E>
class precision_rows {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    precision_rows(const problem& p, double threshold, void* planes)
        : p_(p),
          leaf_(leaves_on_target<E>()),
          split_(split_leaves_on_target<T>()),
          threshold_(static_cast<T>(threshold)),
          padded_(rounded_up(p.features, 4)),
          keys_(rounded_up(p.keys, most_lanes)) {
        arena memory(planes);
        take_planes(memory);
    }

    static std::size_t bytes_of_planes(const problem& p) {
        arena counted;
        precision_rows(p, 0, nullptr).take_planes(counted);
        return counted.bytes();
    }
    // Scratch of a lane.
    std::size_t bytes() const {
        arena counted;
        layout_in(counted);
        return counted.bytes();
    }

    // The keys of a tile to their planes; those behind the last are zeros.
    void split_keys(index b, index kv_head, index first, void* scratch) const {
        const layout r = layout_in(scratch);
        const index at = (b * p_.kv_heads + kv_head) * keys_ + first;
        clear(high_ + at * padded_, most_lanes * padded_);
        clear(low_ + at * padded_, most_lanes * padded_);
        for (index j = 0; j < most_lanes; ++j) {
            steps_[at + j] = 0;
            if (first + j >= p_.keys) continue;
            const number_rows<T> k = rows_of(leaf_, p_.k, b, kv_head, first + j, 1, p_.features, r.query);
            steps_[at + j] = split_.split(k.data, p_.features, padded_, r.high, r.low);
            for (index f = 0; f < padded_; ++f) {
                const index to = at * padded_ + f / 4 * 4 * most_lanes + 4 * j + f % 4;
                high_[to] = r.high[f];
                low_[to] = r.low[f];
            }
        }
    }

    // One row from its query to its output. True when it was made again with all bits.
    bool row(index b, index head, index query, void* scratch) const {
        const layout r = layout_in(scratch);
        const number_rows<T> q = rows_of(leaf_, p_.q, b, head, query, 1, p_.features, r.query);
        const T step = split_.split(q.data, p_.features, padded_, r.high, r.low);
        for (index f = 0; f < padded_; ++f) r.numbers[f] = static_cast<T>(16 * r.high[f] + r.low[f]);
        const split_query<T> whole{r.numbers, step * p_.scale};

        T row_max = 0;
        T row_sum = 0;
        const bool hidden = softmax(b, head, query, whole, false, r, row_max, row_sum);
        const bool again = p_.keys > 0 && top_of(head, row_max, row_sum) < threshold_;
        if (again) softmax(b, head, query, whole, true, r, row_max, row_sum);
        const T factor = finish_row(p_, leaf_, b, head, query, true, row_max, row_sum);
        outputs(b, head, query, hidden, r, factor);
        return again;
    }

private:
    struct layout {
        T* query;
        T* scores;   // after masks and steps, -inf where hidden
        T* weights;  // their exponentials
        T* output;
        T* upper;           // sums of the groups of keys before this one
        T* values;          // a tile of values, where they are converted
        T* numbers;         // the query, whole
        signed char* high;  // a row's halves
        signed char* low;
    };
    layout layout_in(arena& scratch) const {
        layout r;
        scratch.take(r.query, p_.features);
        scratch.take(r.numbers, p_.features);
        scratch.take(r.scores, keys_);
        scratch.take(r.weights, keys_);
        scratch.take(r.output, rounded_up(p_.value_features, 64));
        scratch.take(r.upper, rounded_up(p_.value_features, 64));
        scratch.take(r.values, tile_keys * p_.value_features);
        scratch.take(r.high, padded_);
        scratch.take(r.low, padded_);
        return r;
    }
    layout layout_in(void* scratch) const {
        arena from(scratch);
        return layout_in(from);
    }
    void take_planes(arena& memory) {
        const index rows = p_.batch * p_.kv_heads * keys_;
        memory.take(steps_, rows);
        memory.take(high_, rows * padded_);
        memory.take(low_, rows * padded_);
    }

    cover cover_of(index b, index head, index query, index key, index end) const {
        return p_.cover_of({b, head, query, query + 1, key, end});
    }
    lane_block block_of(index b, index head, index query, index key, index end) const {
        const at corner{static_cast<std::int32_t>(b), static_cast<std::int32_t>(head),
                        static_cast<std::int32_t>(query), static_cast<std::int32_t>(key)};
        return {corner, 0, -1, static_cast<std::int32_t>(end - key) - 1, 1};
    }

    // Scores of the high plane, or of both, to weights against their maximum.
    // True when keys may be hidden.
    bool softmax(index b, index head, index query, const split_query<T>& q, bool all_bits, const layout& r,
                 T& row_max, T& row_sum) const {
        const index at_row = (b * p_.kv_heads + p_.kv_head(head)) * keys_;
        bool changed = false;
        row_max = minus_infinity<T>();
        row_sum = 0;
        for (index key = 0; key < p_.keys; key += most_lanes) {
            const index end = least(key + most_lanes, p_.keys);
            T* const s = r.scores + key;
            const cover seen = cover_of(b, head, query, key, end);
            if (seen == cover::empty) {
                for (index i = 0; i < most_lanes; ++i) s[i] = minus_infinity<T>();
            } else {
                split_.scores[all_bits](q, high_ + (at_row + key) * padded_, low_ + (at_row + key) * padded_,
                                        steps_ + at_row + key, padded_, s);
                // Lanes past the last key repeat its score, as block_of repeats its place; before the steps,
                // and after them for the maximum.
                for (index i = end - key; i < most_lanes; ++i) s[i] = s[end - key - 1];
                const score_function<T> change = seen == cover::mixed ? p_.score_masked : p_.score;
                if (change != nullptr)
                    change(p_.program, s, 0, block_of(b, head, query, key, end),
                           rounded_up(end - key, leaf_.pack_lanes));
                for (index i = end - key; i < most_lanes; ++i) s[i] = s[end - key - 1];
                changed = changed || change != nullptr;
            }
            changed = changed || seen == cover::empty;
            row_max = split_.row_max(s, row_max);
        }
        // A score may have overflowed to -inf; it is small, not hidden.
        if (!changed && is_minus_infinity(row_max) && p_.keys > 0) row_max = constants<T>::lowest;
        T group = 0;
        for (index key = 0; key < p_.keys; key += tile_keys) {
            const index count = least(tile_keys, p_.keys - key);
            // To a whole pack, which is what the softmax reads.
            copy(r.scores + key, r.weights + key, rounded_up(count, leaf_.pack_lanes));
            T rescale = 1;
            leaf_.rows_softmax(r.weights + key, 1, count, !changed, &row_max, &group, &rescale);
            if ((key / tile_keys + 1) % group_tiles != 0 && key + count < p_.keys) continue;
            row_sum += group;
            group = 0;
        }
        if (p_.weights.data == nullptr) return changed;
        T* const to = p_.weights.row(b, head, query);
        for (index j = 0; j < p_.keys; ++j) to[j * p_.weights.stride[3]] = r.scores[j];
        return changed;
    }

    // The largest probability: e^0 over the sum, the sink in it.
    T top_of(index head, T row_max, T row_sum) const {
        if (row_sum == T(0)) return 1;
        if (!p_.has_sinks) return T(1) / row_sum;
        const T part = join_sink(p_, head, row_max, row_sum);
        return part / row_sum;
    }

    void outputs(index b, index head, index query, bool hidden, const layout& r, T factor) const {
        const index columns = p_.value_features;
        for (index first = 0; p_.drop != nullptr && first < p_.keys; first += most_lanes) {
            const index last = least(first + most_lanes, p_.keys);
            if (cover_of(b, head, query, first, last) == cover::empty) continue;
            p_.drop(p_.program, r.weights + first, 0, block_of(b, head, query, first, last),
                    rounded_up(last - first, leaf_.pack_lanes));
        }
        add_values(b, head, query, hidden, r);
        if (leaf_.all_finite(r.upper, 0, 1, columns)) {
            for (index f = 0; f < columns; ++f) r.output[f] = r.upper[f] * factor;
        } else {
            // Values near the largest number: once more, with smaller weights.
            for (index key = 0; key < p_.keys; ++key) r.weights[key] *= sum_scale<T>;
            add_values(b, head, query, hidden, r);
            for (index f = 0; f < columns; ++f) r.output[f] = unscaled_mean(r.upper[f], factor);
        }
        write_row(leaf_, r.output, columns, p_.y, b, head, query);
    }

    // The sums of weights times values, group by group of keys, in r.upper.
    void add_values(index b, index head, index query, bool hidden, const layout& r) const {
        const index columns = p_.value_features;
        const index n = rounded_up(columns, 64);
        const T rescale = 1;
        clear(r.output, n);
        clear(r.upper, n);
        for (index key = 0; key < p_.keys; key += tile_keys) {
            const index end = least(key + tile_keys, p_.keys);
            if (key % group_keys == 0) leaf_.carry(r.upper, r.output, 1, 0, n, nullptr);
            if (cover_of(b, head, query, key, end) == cover::empty) continue;
            const number_rows<T> v =
                rows_of(leaf_, p_.v, b, p_.kv_head(head), key, end - key, columns, r.values);
            // What is hidden may be infinite or NaN.
            if (!hidden || leaf_.all_finite(v.data, v.stride, end - key, columns))
                leaf_.row_outputs[0](r.weights + key, v, end - key, columns, r.output, &rescale);
            else
                leaf_.row_visible_outputs(r.weights + key, r.scores + key, v, end - key, 0, columns, r.output,
                                          rescale);
        }
        leaf_.carry(r.upper, r.output, 1, 0, n, nullptr);
    }

    const problem& p_;
    const exact_leaves<E>& leaf_;
    split_leaves<T> split_;
    T threshold_;
    index padded_;
    index keys_;
    T* steps_ = nullptr;
    signed char* high_ = nullptr;
    signed char* low_ = nullptr;
};

}  // namespace heed::inline HEED_ABI::detail
