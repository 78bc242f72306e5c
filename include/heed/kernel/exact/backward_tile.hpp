// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_tile.hpp: the weights of a tile and the gradient of its scores
//
//     P = e^(S - shift) factor        dS = P (dO V^T - delta)
//
// Rows are queries, lanes are keys: queries and what flows back into them are read as single numbers where
// they stand, keys and values are transposed once for all queries. What a mask hides enters nothing: its P
// and dS are +0 whatever its score is, and a tile that holds infinities or NaN beside hidden scores says so,
// for the products that follow.
#pragma once

#include <heed/kernel/exact/backward_kernels.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

// A panel of keys and values of one head.
template <class T>
struct key_panel {
    index first;
    index count;
    index packs;
    T* keys;               // (key, feature), rows of whole packs, zeros behind the last key
    T* transposed_keys;    // (feature, lane), times the scale
    T* transposed_values;  // (value feature, lane)
    int finite;            // are all keys finite? -1: not looked yet
};

// Some queries of one head, and what flows back into them.
template <class T>
struct query_rows {
    index first;
    index count;
    number_rows<T> q;
    number_rows<T> dy;
    row_numbers<T> numbers;
    int finite;  // are all of q and dy finite? -1: not looked yet
};

// Memory for the queries of a tile and its scores.
template <class T>
struct tile_scratch {
    T* q;
    T* dy;
    T* s;       // (query, lane): scores, then weights
    T* hidden;  // the scores once more
    T* raw;     // the products once more
};

template <class E>
class gradient_tile {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    gradient_tile(const problem& p, const exact_gradients<E>& g, const gradient_leaves<E>& leaves)
        : p_(p),
          g_(g),
          leaf_(leaves),
          w_(leaves.pack_lanes),
          key_row_(rounded_up(p.features, w_)),
          value_row_(rounded_up(p.value_features, w_)) {}

    index key_row() const { return key_row_; }
    index value_row() const { return value_row_; }

    key_panel<T> panel_in(arena& scratch, T* keys) const {
        key_panel<T> k{};
        k.keys = keys;
        k.transposed_keys = scratch.take<T>(key_row_ * panel_keys);
        k.transposed_values = scratch.take<T>(value_row_ * panel_keys);
        return k;
    }
    tile_scratch<T> scratch_in(arena& scratch) const {
        const index rows = p_.queries < gradient_queries ? p_.queries : gradient_queries;
        const bool changes = p_.score != nullptr || p_.score_masked != nullptr;
        tile_scratch<T> m;
        m.q = scratch.take<T>(direct(p_.q) ? 0 : rows * p_.features);
        m.dy = scratch.take<T>(direct(g_.dy) ? 0 : rows * p_.value_features);
        m.s = scratch.take<T>(rows * panel_keys);
        m.hidden = scratch.take<T>(changes ? rows * panel_keys : 0);
        m.raw = scratch.take<T>(g_.derivative != nullptr ? rows * panel_keys : 0);
        return m;
    }

    // Keys [first, first + count) and their values; `values` is scratch, (key, value feature).
    void load_keys(index b, index kv_head, index first, index count, key_panel<T>& k, T* values) const {
        k.first = first;
        k.count = count;
        k.packs = rounded_up(count, w_) / w_;
        k.finite = -1;
        load_rows(p_.k, b, kv_head, first, count, p_.features, key_row_, k.keys);
        load_rows(p_.v, b, kv_head, first, count, p_.value_features, value_row_, values);
        transpose(k.keys, key_row_, k.packs, p_.scale, k.transposed_keys);
        transpose(values, value_row_, k.packs, T(1), k.transposed_values);
    }
    query_rows<T> load_queries(index b, index h, index first, index count, const row_numbers<T>& numbers,
                               const tile_scratch<T>& m) const {
        return {first,
                count,
                rows_at(p_.q, b, h, first, count, p_.features, m.q),
                rows_at(g_.dy, b, h, first, count, p_.value_features, m.dy),
                numbers,
                -1};
    }

    // Scores into m.s. True where some may be hidden; else -inf is a score that has overflowed.
    bool score(index b, index h, cover seen, const query_rows<T>& q, const key_panel<T>& k,
               const tile_scratch<T>& m) const {
        product(q.q, q.count, p_.features, k.transposed_keys, k.packs, m.s, panel_keys);
        if (g_.derivative != nullptr) copy(m.s, m.raw, q.count * panel_keys);
        const score_function<T> change = seen == cover::mixed ? p_.score_masked : p_.score;
        if (change != nullptr) change(p_.program, m.s, panel_keys, block_of(b, h, q, k), k.packs * w_);
        return change != nullptr;
    }
    // What flows back into the weights, dO V^T, to dp.
    void flow(index b, index h, const query_rows<T>& q, const key_panel<T>& k, T* dp, index dp_row) const {
        product(q.dy, q.count, p_.value_features, k.transposed_values, k.packs, dp, dp_row);
        if (p_.drop != nullptr) p_.drop(p_.program, dp, dp_row, block_of(b, h, q, k), k.packs * w_);
    }
    // P, or f(P), into m.s, dS into ds. True where products with them have to leave hidden terms out.
    bool weigh(index b, index h, cover seen, query_rows<T>& q, key_panel<T>& k, const tile_scratch<T>& m,
               T* ds, index ds_row) const {
        const bool may_hide = score(b, h, seen, q, k, m);
        flow(b, h, q, k, ds, ds_row);
        const bool skip_hidden = may_hide && !finite(q, k);
        if (skip_hidden) copy(m.s, m.hidden, q.count * panel_keys);
        if (g_.probability != nullptr)
            g_.probability(p_.program, m.s, panel_keys, ds, ds_row, block_of(b, h, q, k), k.packs * w_,
                           q.numbers, may_hide);
        else
            leaf_.softmax(m.s, panel_keys, ds, ds_row, q.count, static_cast<int>(k.packs), q.numbers,
                          may_hide);
        return skip_hidden;
    }
    // From the weights of the softmax to those that values met, and from the gradient of the scores to that
    // of the products.
    void pass_back(index b, index h, const query_rows<T>& q, const key_panel<T>& k, const tile_scratch<T>& m,
                   T* ds, index ds_row) const {
        const lane_block scores = block_of(b, h, q, k);
        const index lanes = k.packs * w_;
        if (p_.drop != nullptr) p_.drop(p_.program, m.s, panel_keys, scores, lanes);
        if (g_.derivative != nullptr)
            g_.derivative(g_.derivative_context, m.raw, panel_keys, ds, ds_row, scores, lanes);
    }

    // Rows of whole packs, zeros behind the last feature and, up to a whole pack, behind the last row.
    template <class X>
    void load_rows(const X& x, index b, index h, index first, index count, index n, index row, T* to) const {
        widen(x, b, h, first, count, n, to, row);
        clear_columns(to, row, n, count);
        clear(to + count * row, (rounded_up(count, w_) - count) * row);
    }

private:
    template <class X>
    static bool direct(const strided<X>& x) {
        return std::is_same_v<std::remove_const_t<X>, T> && x.stride[3] == 1;
    }
    static bool direct(const stored_or_sum<const E, const T>& x) {
        return x.sums.data != nullptr ? x.sums.stride[3] == 1 : direct(x.stored);
    }

    void widen(const strided<const E>& x, index b, index h, index first, index count, index n, T* to,
               index row) const {
        leaf_.widen(x.row(b, h, first), x.stride[2], x.stride[3], count, n, to, row);
    }
    void widen(const stored_or_sum<const E, const T>& x, index b, index h, index first, index count, index n,
               T* to, index row) const {
        if (x.sums.data == nullptr) return widen(x.stored, b, h, first, count, n, to, row);
        for (index i = 0; i < count; ++i) {
            const T* const from = x.sums.row(b, h, first + i);
            for (index f = 0; f < n; ++f) to[i * row + f] = from[f * x.sums.stride[3]];
        }
    }
    // Rows that a product can read: where they stand, or converted into the scratch.
    template <class X>
    number_rows<T> rows_at(const strided<X>& x, index b, index h, index first, index count, index n,
                           T* scratch) const {
        if (direct(x)) return {reinterpret_cast<const T*>(x.row(b, h, first)), x.stride[2]};
        widen(x, b, h, first, count, n, scratch, n);
        return {scratch, n};
    }
    number_rows<T> rows_at(const stored_or_sum<const E, const T>& x, index b, index h, index first,
                           index count, index n, T* scratch) const {
        if (x.sums.data == nullptr) return rows_at(x.stored, b, h, first, count, n, scratch);
        if (direct(x)) return {x.sums.row(b, h, first), x.sums.stride[2]};
        widen(x, b, h, first, count, n, scratch, n);
        return {scratch, n};
    }

    // (key, feature) to (feature, lane), by squares of packs.
    void transpose(const T* rows, index row, index packs, T scale, T* to) const {
        T factor[most_lanes];
        for (index l = 0; l < w_; ++l) factor[l] = scale;
        for (index key = 0; key < packs * w_; key += w_)
            for (index f = 0; f < row; f += w_)
                leaf_.transpose(rows + key * row + f, row, to + f * panel_keys + key, panel_keys, factor);
    }

    void product(const number_rows<T>& a, index rows, index count, const T* b, index packs, T* c,
                 index c_row) const {
        leaf_.multiply({a.data, a.stride, 1, b, panel_keys, c, c_row, rows, count, packs, 0});
    }

    bool finite(query_rows<T>& q, key_panel<T>& k) const {
        if (k.finite < 0) k.finite = leaf_.all_finite(k.keys, key_row_, k.count, p_.features);
        if (q.finite < 0)
            q.finite = leaf_.all_finite(q.q.data, q.q.stride, q.count, p_.features) &&
                       leaf_.all_finite(q.dy.data, q.dy.stride, q.count, p_.value_features);
        return k.finite == 1 && q.finite == 1;
    }

    static lane_block block_of(index b, index h, const query_rows<T>& q, const key_panel<T>& k) {
        const at corner{static_cast<std::int32_t>(b), static_cast<std::int32_t>(h),
                        static_cast<std::int32_t>(q.first), static_cast<std::int32_t>(k.first)};
        return {corner, 0, -1, static_cast<std::int32_t>(k.count) - 1, static_cast<std::int32_t>(q.count)};
    }

    const problem& p_;
    const exact_gradients<E>& g_;
    const gradient_leaves<E>& leaf_;
    index w_;
    index key_row_;
    index value_row_;
};

}  // namespace heed::inline HEED_ABI::detail
