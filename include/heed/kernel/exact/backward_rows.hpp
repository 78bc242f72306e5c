// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_rows.hpp: the numbers of every row that the backward needs before it starts
//
//     shift = L        factor = 1          delta = rowsum(dO O) - dL
//     shift = max S    factor = 1 / sum    delta = sum of P dP - dL        where L says too little
//
// The log-sum-exp L = max + ln(sum) that the forward wrote is rounded, by up to eps |L| / 2, and the scores
// it was made of were rounded in another order than the backward's: all weights of a row are wrong by the
// factor e^error. As long as L is small beside the number of keys that is less than the sum of a row's
// weights may be wrong by anyway, 4 eps sqrt(keys). Beside a large maximum the logarithm is lost: at -1e9 in
// float ten weights would add up to 10. Such a row has its numbers worked out again from the backward's own
// tiles: its weights add up to 1, and the gradients of its scores to 0, whatever the rounding of its scores.
// A row decides for itself, by L and by the keys that it sees.
//
// Cost: a product of value features a row; where a row is worked out again, two of the five products of its
// tiles once more.
#pragma once

#include <cmath>

#include <heed/kernel/exact/backward_tile.hpp>
#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/kernels.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class gradient_rows {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    // Scratch for it is bytes() long and aligned to a cache line.
    gradient_rows(const problem& p, const exact_gradients<E>& g, const gradient_leaves<E>& leaves,
                  void* scratch = nullptr)
        : p_(p), g_(g), leaf_(leaves), tile_(p, g, leaves), arena_(scratch) {
        dy_ = arena_.take<T>(gradient_queries * tile_.value_row());
        y_ = arena_.take<T>(gradient_queries * tile_.value_row());
        panel_ = tile_.panel_in(arena_, arena_.take<T>(panel_keys * tile_.key_row()));
        values_ = arena_.take<T>(panel_keys * tile_.value_row());
        m_ = tile_.scratch_in(arena_);
        flow_ = arena_.take<T>((p.queries < gradient_queries ? p.queries : gradient_queries) * panel_keys);
    }
    std::size_t bytes() const { return arena_.bytes(); }

    // The block of queries from `first` on, and its numbers.
    void run(index b, index h, index first, const row_numbers<T>& numbers) {
        const index count = least(p_.queries - first, gradient_queries);
        const index row = tile_.value_row();
        tile_.load_rows(g_.dy, b, h, first, count, p_.value_features, row, dy_);
        tile_.load_rows(g_.y, b, h, first, count, p_.value_features, row, y_);
        leaf_.dots(dy_, y_, row, count, numbers.delta);
        bool lost[gradient_queries];
        index begin = count;
        index end = 0;
        const double enough = 2 * std::sqrt(static_cast<double>(keys_of_all(b, h, first, count)));
        for (index i = 0; i < count; ++i) {
            const T l = *g_.lse.row(b, h, first + i);
            numbers.shift[i] = is_minus_infinity(l) ? -minus_infinity<T>() : l;
            numbers.factor[i] = 1;
            const double size = static_cast<double>(l < 0 ? -l : l);
            // Of a single key the weight is 1, whatever its score.
            lost[i] = g_.probability != nullptr || p_.keys == 1 ||
                      (size > enough && loses_sum(size, b, h, first + i));
            if (!lost[i]) continue;
            begin = least(begin, i);
            end = i + 1;
        }
        if (begin < end) work_out(b, h, first, count, begin, end, lost, numbers);
        if (g_.probability != nullptr) sum_flows(b, h, first, count, numbers);
        for (index i = 0; g_.of_logsumexp.data != nullptr && i < count; ++i)
            numbers.delta[i] -= *g_.of_logsumexp.row(b, h, first + i);
    }

private:
    // Keys are counted in steps of this many; one that the mask hides in part counts whole.
    static constexpr index step = 8;

    // A number of keys that every row of the block sees.
    index keys_of_all(index b, index h, index first, index count) const {
        if (p_.classify == nullptr || p_.keys == 0) return p_.keys;
        const index keys = least(p_.keys, panel_keys);
        const bool all = p_.cover_of({b, h, first, first + count, 0, keys}) == cover::full;
        // Any row that has a log-sum-exp sees one.
        return all ? keys : least(keys, step);
    }
    // Is the size of a row's log-sum-exp above 2 sqrt(keys), keys those that it sees?
    bool loses_sum(double size, index b, index h, index query) const {
        // Infinities have no sum to find.
        if (size > -static_cast<double>(constants<T>::lowest)) return false;
        if (size > 2 * std::sqrt(static_cast<double>(p_.keys))) return true;
        const index enough = static_cast<index>(std::ceil(size * size / 4));
        // Steps begin at multiples of their length, so that every form of a mask counts the same keys.
        const auto step_of_first = [&](index key) {
            return p_.first_of({b, h, query, query + 1, key, p_.keys}) / step * step;
        };
        index seen = 0;
        for (index key = step_of_first(0); key < p_.keys && seen < enough;) {
            const bool some =
                p_.cover_of({b, h, query, query + 1, key, least(key + step, p_.keys)}) != cover::empty;
            seen += some ? step : 0;
            key += step;
            if (!some && key < p_.keys) key = step_of_first(key);
        }
        return seen < enough;
    }

    // The numbers of those rows of [begin, end) that have lost their sum.
    void work_out(index b, index h, index first, index count, index begin, index end,
                  const bool (&lost)[gradient_queries], const row_numbers<T>& numbers) {
        // Products take the same rows together as in the tiles of the sweep.
        begin = begin / gradient_row_group * gradient_row_group;
        end = least(rounded_up(end, gradient_row_group), count);
        T row_max[gradient_queries];
        double sum[gradient_queries];
        double mean[gradient_queries];
        T of_panel[gradient_queries];
        for (index i = begin; i < end; ++i) {
            row_max[i] = minus_infinity<T>();
            sum[i] = mean[i] = 0;
        }
        const auto& softmax = leaves_on_target<E>().rows_softmax;
        const query_rows<T> q = tile_.load_queries(b, h, first + begin, end - begin, numbers.from(begin), m_);
        for (index key = 0; key < p_.keys; key += panel_keys) {
            const index keys = least(p_.keys - key, panel_keys);
            const cover seen = p_.cover_of({b, h, first, first + count, key, key + keys});
            if (seen == cover::empty) continue;
            tile_.load_keys(b, p_.kv_head(h), key, keys, panel_, values_);
            const bool may_hide = tile_.score(b, h, seen, q, panel_, m_);
            tile_.flow(b, h, q, panel_, flow_, panel_keys);
            for (index i = begin; i < end; ++i) {
                T* const s = m_.s + (i - begin) * panel_keys;
                T* const flow = flow_ + (i - begin) * panel_keys;
                const index used = lost[i] ? keys : 0;
                T added = 0;
                T rescale = 1;
                if (lost[i]) softmax(s, 1, keys, !may_hide, row_max + i, &added, &rescale);
                clear(s + used, panel_keys - used);
                clear(flow + used, panel_keys - used);  // no number was written there
                sum[i] = sum[i] * static_cast<double>(rescale) + static_cast<double>(added);
                mean[i] *= static_cast<double>(rescale);
            }
            leaf_.dots(flow_, m_.s, panel_keys, end - begin, of_panel);
            for (index i = begin; i < end; ++i) mean[i] += static_cast<double>(of_panel[i - begin]);
        }
        for (index i = begin; i < end; ++i) {
            if (!lost[i]) continue;
            T total = static_cast<T>(sum[i]);
            const T share = p_.has_sinks ? join_sink(p_, h, row_max[i], total) : T(1);
            const bool empty = total == T(0);
            numbers.shift[i] = empty ? -minus_infinity<T>() : row_max[i];
            numbers.factor[i] = empty ? T(1) : T(1) / total;
            numbers.delta[i] = empty ? T(0) : static_cast<T>(mean[i]) * share / total;
        }
    }

    // delta = sum of P f'(P) dO V^T, which no output tells where weights go through a function.
    void sum_flows(index b, index h, index first, index count, const row_numbers<T>& numbers) {
        double sum[gradient_queries] = {};
        clear(numbers.delta, count);
        query_rows<T> q = tile_.load_queries(b, h, first, count, numbers, m_);
        for (index key = 0; key < p_.keys; key += panel_keys) {
            const index keys = least(p_.keys - key, panel_keys);
            const cover seen = p_.cover_of({b, h, first, first + count, key, key + keys});
            if (seen == cover::empty) continue;
            tile_.load_keys(b, p_.kv_head(h), key, keys, panel_, values_);
            tile_.weigh(b, h, seen, q, panel_, m_, flow_, panel_keys);
            for (index i = 0; i < count; ++i)
                for (index k = 0; k < keys; ++k) sum[i] += static_cast<double>(flow_[i * panel_keys + k]);
        }
        for (index i = 0; i < count; ++i) numbers.delta[i] = static_cast<T>(sum[i]);
    }

    const problem& p_;
    const exact_gradients<E>& g_;
    const gradient_leaves<E>& leaf_;
    gradient_tile<E> tile_;
    arena arena_;
    T* dy_;
    T* y_;
    key_panel<T> panel_;
    T* values_;
    tile_scratch<T> m_;
    T* flow_;
};

}  // namespace heed::inline HEED_ABI::detail
