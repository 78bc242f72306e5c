// SPDX-License-Identifier: MIT
// heed/kernel/pages/estimate.hpp: the bounds of a call's keys, and the upper bounds they give for its rows
//
//     s_j <= ub_p = sum_d max(q_d min_pd, q_d max_pd)      for every key j of page p
//
// q carries the scale with its sign. Both sides are rounded: they hold within
// margin = 2 (d + 8) eps sum_d |q_d| max_j |k_jd|, which leaves room for the scores' own rounding too.
//
// Source: Quest (arXiv 2406.10774).
#pragma once

#include <bit>
#include <limits>

#include <heed/core/arena.hpp>
#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/pages/kernels.hpp>
#include <heed/kernel/pages/seen.hpp>

namespace heed::inline HEED_ABI::detail {

inline index pages_of(index keys, index page) { return (keys + page - 1) / page; }

// The bounds of a call's own keys: those that a mask hides from every query stay out.
template <class E, class T = typename exact_inputs<E>::T>
struct call_bounds {
    T* rows;
    T* largest;  // one set for each task, joined into the first of its head
    T* scratch;  // for each lane
    index lanes_;
    index tasks_of_head;

    static constexpr index pages_of_task = 64;

    call_bounds(const exact_inputs<E>& p, index page, index lanes, arena& pieces) : lanes_(lanes) {
        const index heads = p.batch * p.kv_heads, pages = pages_of(p.keys, page);
        tasks_of_head = pages == 0 ? 1 : (pages + pages_of_task - 1) / pages_of_task;
        rows = pieces.take<T>(heads * pages * 2 * p.features);
        largest = pieces.take<T>(heads * tasks_of_head * p.features);
        scratch = pieces.take<T>(lanes * page_scratch_keys * p.features);
    }

    template <class M>
    page_table<T> make(const exact_inputs<E>& p, index page, const M& mask, device_ref device) const {
        const index heads = p.batch * p.kv_heads, pages = pages_of(p.keys, page);
        const exact_leaves<E>& leaf = leaves_on_target<E>();
        const page_leaves<T>& leaf_of_pages = page_leaves_on_target<T>();
        for_each_task(device, lanes_, heads * tasks_of_head, [&](index lane, index task) {
            const index head = task / tasks_of_head, b = head / p.kv_heads, kv = head % p.kv_heads;
            const index first = task % tasks_of_head * pages_of_task;
            const page_readers readers = readers_of(mask, b, kv, p.heads / p.kv_heads, p.keys, page);
            T* const head_max = largest + task * p.features;
            for (index f = 0; f < p.features; ++f) head_max[f] = 0;
            for (index i = first; i < pages && i < first + pages_of_task; ++i) {
                T* const row = rows + (head * pages + i) * 2 * p.features;
                const index end = (i + 1) * page < p.keys ? (i + 1) * page : p.keys;
                bool any = false;
                clear_page(row, p.features);
                for (index key = i * page; key < end; key += word_bits) {
                    const index stop = key + word_bits < end ? key + word_bits : end;
                    bit_word seen = keys_seen_by_any(mask, readers, p.queries, key, stop);
                    any = any || seen != 0;
                    for (index at_key = key; seen != 0;) {
                        const int skip = std::countr_zero(seen);
                        seen >>= skip;
                        const int run = std::countr_one(seen);
                        seen = run == word_bits ? 0 : seen >> run;
                        widen_page(leaf, leaf_of_pages, p.k, b, kv, at_key + skip, run, p.features, row,
                                   head_max, scratch + lane * page_scratch_keys * p.features);
                        at_key += skip + run;
                    }
                }
                // A page that no query sees is never chosen, but it is multiplied beside its neighbours.
                for (index f = 0; !any && f < 2 * p.features; ++f) row[f] = 0;
            }
        });
        for (index head = 0; head < heads; ++head)
            for (index task = 0; task < tasks_of_head; ++task)
                for (index f = 0; f < p.features; ++f) {
                    const T x = largest[(head * tasks_of_head + task) * p.features + f];
                    T& head_max = largest[head * p.features + f];
                    head_max = task == 0 || x > head_max || x != x ? x : head_max;
                }
        return {rows, largest, pages * 2 * p.features, p.features, page, pages};
    }
};

// The rows of queries [query, query + count) of a group: (head, query), each (q+, q-), scaled.
template <class E>
class page_estimate {
public:
    using T = typename exact_inputs<E>::T;

    page_estimate(const exact_inputs<E>& p, const page_table<T>& table, index queries)
        : p_(p),
          table_(table),
          leaf_(leaves_on_target<E>()),
          rows_(p.heads / p.kv_heads * queries),
          stride_(rounded_up(2 * p.features, most_pack_lanes)) {}

    index size() const { return rows_ * stride_ + p_.features; }

    void load(index b, index kv_head, index query, index count, T* memory) {
        head_ = b * p_.kv_heads + kv_head;
        q_ = memory;
        count_ = p_.heads / p_.kv_heads * count;
        T* const scratch = memory + rows_ * stride_;
        for (index r = 0; r < count_; ++r) {
            leaf_.widen(p_.q.row(b, kv_head * (p_.heads / p_.kv_heads) + r / count, query + r % count), 0,
                        p_.q.stride[3], 1, p_.features, scratch, 0);
            T* const q = q_ + r * stride_;
            for (index f = 0; f < p_.features; ++f) {
                const T x = scratch[f] * p_.scale;
                q[f] = x < T(0) ? T(0) : x;
                q[p_.features + f] = x < T(0) ? x : T(0);
            }
        }
    }
    // The bounds of pages [first, first + count), at most decode_keys of them: to[r * decode_keys + i]. The
    // rest of a row repeats the last one, so that whole packs may be read.
    void bounds(index first, index count, T* to) const {
        const number_rows<T> rows{table_.row(head_, first), 2 * p_.features, table_.pages - first};
        for (index r = 0; r < count_; r += r + 4 <= count_ ? 4 : 1)
            leaf_.row_scores[r + 4 <= count_](q_ + r * stride_, stride_, rows, count, 2 * p_.features,
                                              to + r * decode_keys);
        for (index r = 0; r < count_; ++r)
            for (index i = count; i < decode_keys; ++i)
                to[r * decode_keys + i] = to[r * decode_keys + count - 1];
    }
    // How much the scores of a row may exceed its bounds by rounding.
    double margin(index r) const {
        const T* const head_max = table_.largest_of(head_);
        const T* const q = q_ + r * stride_;
        double sum = 0;
        for (index f = 0; f < p_.features; ++f)
            sum += (static_cast<double>(q[f]) - static_cast<double>(q[p_.features + f])) *
                   static_cast<double>(head_max[f]);
        return 2 * static_cast<double>(p_.features + 8) * std::numeric_limits<T>::epsilon() * sum;
    }

private:
    const exact_inputs<E>& p_;
    const page_table<T>& table_;
    const exact_leaves<E>& leaf_;
    index rows_;
    index stride_;
    index head_ = 0;
    index count_ = 0;
    T* q_ = nullptr;
};

// Numbers as integers of the same order, NaN above all, so that an order never breaks, whatever the build
// makes of NaN.
template <class T>
auto order_of(T x) {
    using Int = std::conditional_t<std::is_same_v<T, double>, std::int64_t, std::int32_t>;
    constexpr Int infinity = std::bit_cast<Int>(std::numeric_limits<T>::infinity());
    const Int bits = std::bit_cast<Int>(x);
    const Int magnitude = bits & (std::numeric_limits<Int>::max)();
    if (magnitude > infinity) return (std::numeric_limits<Int>::max)();
    return bits < 0 ? -magnitude : magnitude;
}

}  // namespace heed::inline HEED_ABI::detail
