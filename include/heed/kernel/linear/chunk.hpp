// SPDX-License-Identifier: MIT
// heed/kernel/linear/chunk.hpp: the products of a chunk's pairs of positions
//
// A pair (i, j), j <= i, is multiplied by e^(b_i - b_j), b the decays' sum from the chunk's start
// (linear/chunk_rows.hpp).
#pragma once

#include <heed/kernel/linear/chunk_rows.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class linear_chunk : public chunk_rows<E> {
    using base = chunk_rows<E>;
    using base::p_, base::leaf_, base::w_, base::constant, base::near_keys, base::near_transposed,
        base::near_rows, base::weights, base::spare, base::segmented;

public:
    using base::base;
    using base::feature_row, base::value_row, base::pair_row, base::rows, base::by_feature, base::keys,
        base::transposed_keys, base::values, base::queries, base::pairs, base::high, base::low,
        base::decayed_queries, base::beta, base::key_pairs, base::early_keys, base::filled, base::level,
        base::shift, base::grow, base::keep;
    using typename base::T;

    // Keys, values and decays of positions [first, first + count), and what the keys are to each other.
    void load_keys(index b, index h, index first, index count) {
        base::load_keys(b, h, first, count);
        if (!p_.delta) return;
        pair_scores(keys, early_keys, key_pairs);
        for (index i = 0; i < count; ++i) key_pairs[i * pair_row + i] = 0;
    }
    // The state that relative queries look at: S and z over e^h, h in `shifts`.
    void place_state(const T* state, const T* shifts) const {
        for (index f = 0; f < feature_row; ++f) {
            const bool some = f < p_.features && shifts[f] != no_exponent<T>;
            shift[f] = some ? shifts[f] : T(0);
            level[f] = some ? level_of(shifts[f], state[f * value_row + p_.value_features]) : no_exponent<T>;
        }
    }
    // And what it is multiplied with, and what a chunk adds to it, on the way to the next state; `shifts`
    // become that one's.
    void grow_state(T* shifts) const {
        const T* const last = by_feature.reference(by_feature.count - 1);
        for (index f = 0; f < p_.features; ++f) {
            const T before = shifts[f];
            const T after = before > last[f] ? before : last[f];
            const T d = (before == no_exponent<T> ? T(0) : before) - after;
            keep[f] = d == 0 ? T(1) : std::exp(d > 80 ? T(80) : d);
            grow[f] = after == last[f] ? T(1) : std::exp(last[f] - after);
            shifts[f] = after;
        }
    }
    // Queries of exponents, once the state is known: from the keys' references and from the state's.
    void place_queries() const {
        for (index s = 0; s < (p_.causal ? by_feature.count : 1); ++s) {
            const index at = p_.causal ? by_feature.start(s) * feature_row : 0;
            leaf_.relative_queries(queries + at, p_.causal ? by_feature.reference(s) : nullptr, level, shift,
                                   feature_row, p_.causal ? by_feature.rows(s) : rows, feature_row,
                                   near_rows + at, decayed_queries + at);
        }
    }

    // a_ij = <x_i, k_j> e^(b_i - b_j) for j <= i; above the diagonal it is undefined. `decayed` is x e^b.
    void pair_scores(const T* x, const T* decayed, T* a) const {
        if (!segmented() || by_feature.count == 1) {
            // In the first segment x is seen from the chunk's start.
            const T* const from = p_.relative ? near_rows : (segmented() ? decayed : x);
            leaf_.multiply_to_lower({from, feature_row, 1, transposed_keys, pair_row, a, pair_row, rows,
                                     p_.features, rounded_up(rows, w_) / w_});
            if (p_.decays == decay_of::head) leaf_.decay_lower(a, pair_row, rows, high, low);
            if (p_.decays == decay_of::feature) own_scores(x, a);
            return;
        }
        if (!p_.relative)
            leaf_.scale_elements(x, by_feature.since, nullptr, nullptr, feature_row, rows, feature_row,
                                 near_rows);
        copy(transposed_keys, near_transposed, feature_row * pair_row);
        for (index s = 0; s < by_feature.count; ++s) {
            const index first = by_feature.start(s);
            const index count = by_feature.rows(s);
            if (s > 0)
                leaf_.scale_columns(near_transposed, pair_row, by_feature.crossing(s), p_.features, first);
            leaf_.multiply({near_rows + first * feature_row, feature_row, 1, near_transposed, pair_row,
                            a + first * pair_row, pair_row, count, p_.features,
                            rounded_up(first + count, w_) / w_});
        }
        if (!p_.relative) own_scores(x, a);
    }
    // Between a position and itself nothing decays: the bits of one that stands alone in its call.
    void own_scores(const T* x, T* a) const {
        leaf_.row_products(x, keys, feature_row, rows, feature_row, constant);
        for (index i = 0; i < rows; ++i) a[i * pair_row + i] = constant[i];
    }

    // out += lower(Q K^T e^(b_i - b_j)) U for the queries loaded last.
    void add_pairs_to(T* out, const memory_span& soon = {}) const {
        pair_scores(queries, decayed_queries, pairs);
        leaf_.multiply_lower({pairs,
                              pair_row,
                              1,
                              values,
                              value_row,
                              out,
                              value_row,
                              rows,
                              rows,
                              value_row / w_,
                              1,
                              {soon, {}}});
    }
    // The values less what the state answers for the keys become the solution U.
    void solve_values() const {
        leaf_.scale_rows(values, values, value_row, beta, rows, value_row);
        leaf_.scale_lower(key_pairs, pair_row, beta, nullptr, rows);
        leaf_.solve_lower(
            {key_pairs, pair_row, 1, nullptr, 0, values, value_row, rows, rows, value_row / w_});
    }
    // The keys' sum, for z.
    void sum_keys(T* sum) const {
        leaf_.multiply({filled(T(1)), 0, 1, keys, feature_row, sum, feature_row, 1, rows, feature_row / w_});
    }
    // Rows [first, first + count) of a query head's output, times a factor each.
    void write_rows(index b, index head, index first, index count, const T* out, const T* factor) const {
        write_to(p_.y, leaf_, b, head, first, out, value_row, factor, count, p_.value_features);
    }

    // dx_i += sum_j da_ij k_j e^(b_i - b_j), dk_j += sum_i da_ij x_i e^(b_i - b_j); da is overwritten.
    void pair_gradient(T* da, const T* x, T* dx, T* dk) const {
        const index columns = feature_row / w_;
        if (!segmented()) {
            if (p_.decays == decay_of::head) leaf_.decay_lower(da, pair_row, rows, high, low);
            leaf_.multiply_lower(
                {da, pair_row, 1, keys, feature_row, dx, feature_row, rows, rows, columns, 1});
            leaf_.multiply_upper({da, 1, pair_row, x, feature_row, dk, feature_row, rows, rows, columns, 1});
            return;
        }
        // `weights` are the factors of the keys so far, up to the segment's reference.
        T* const back = near_transposed;
        // Relative features are exponentials already, and the gradients those of their exponents.
        const T* const since = p_.relative ? near_rows : by_feature.since;
        const T* const until = p_.relative ? near_keys : by_feature.until;
        if (!p_.relative)
            leaf_.scale_elements(x, by_feature.since, nullptr, nullptr, feature_row, rows, feature_row,
                                 near_rows);
        for (index s = 0; s < by_feature.count; ++s) {
            const index first = by_feature.start(s);
            const index count = by_feature.rows(s);
            const index at = first * feature_row;
            T* const block = da + first * pair_row;
            if (first > 0) {
                leaf_.scale_elements(weights, nullptr, by_feature.crossing(s), nullptr, feature_row, first,
                                     feature_row, weights);
                leaf_.scale_elements(weights, p_.relative ? nullptr : keys, nullptr, nullptr, feature_row,
                                     first, feature_row, back);
                leaf_.multiply(
                    {block, pair_row, 1, back, feature_row, spare, feature_row, count, first, columns});
                leaf_.add_products(spare, since + at, count * feature_row, T(1), dx + at);
                leaf_.multiply({block, 1, pair_row, near_rows + at, feature_row, back, feature_row, first,
                                count, columns});
                leaf_.add_products(back, weights, at, T(1), dk);
            }
            copy(until + at, weights + at, count * feature_row);
            leaf_.multiply_lower({block + first, pair_row, 1, near_keys + at, feature_row, back, feature_row,
                                  count, count, columns});
            leaf_.add_products(back, since + at, count * feature_row, T(1), dx + at);
            leaf_.multiply_upper({block + first, 1, pair_row, near_rows + at, feature_row, back, feature_row,
                                  count, count, columns});
            leaf_.add_products(back, until + at, count * feature_row, T(1), dk + at);
        }
    }
};

}  // namespace heed::inline HEED_ABI::detail
