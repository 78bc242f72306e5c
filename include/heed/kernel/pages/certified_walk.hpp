// SPDX-License-Identifier: MIT
// heed/kernel/pages/certified_walk.hpp: pages in the order of their bounds, until the rest cannot matter
//
// For the rows of one query and one group of heads, each with its online state (m, l, o):
//
//     R = sum over unvisited pages p of |p| e^(ub_p + margin - m)       the mass that may be left
//     stop when l / (l + R) >= tau for every row
//
// Pages go in rounds. A round takes every page without which no row could stop, whatever the scores turn
// out to be: with l + R fixed at what it is now, the mass left behind has to fall to (1 - tau) of it. So a
// round never visits too much, its pages are walked in the order of memory, and noise, where all pages are
// needed, is read almost as a dense walk reads it.
//
// Cost: two keys' scores and one exponential a page and row, sorting the pages, then the keys visited.
#pragma once

#include <algorithm>
#include <cmath>

#include <heed/kernel/exact/decode.hpp>
#include <heed/kernel/pages/estimate.hpp>
#include <heed/kernel/pages/rest.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class certified_walk {
public:
    using T = typename exact_problem<E>::T;

    // As many numbers as rows and pages need; scratch for it is bytes() long.
    certified_walk(const exact_problem<E>& p, const page_table<T>& table, index pages, double tau)
        : p_(p),
          leaf_(leaves_on_target<E>()),
          leaf_of_pages_(page_leaves_on_target<T>()),
          table_(table),
          estimate_(p, table, 1),
          tau_(tau),
          rows_(p.heads / p.kv_heads),
          pages_(pages),
          padded_(rounded_up(pages, decode_keys)),
          rest_(table, rows_, pages, p.keys) {
        arena count;
        layout(count);
        bytes_ = count.bytes();
    }

    std::size_t bytes() const { return bytes_; }

    template <class M>
    void run(index b, index kv_head, index query, const M& mask, void* scratch) {
        arena from(scratch);
        layout(from);
        const exact_decode<E> kernel(p_, leaf_, query, 1);
        const page_readers readers = readers_of(mask, b, kv_head, rows_, p_.keys, table_.page);
        kernel.begin(b, kv_head, scratch_);
        kernel.clear(sum_);
        if (p_.weights.data != nullptr) hide_weights(b, kv_head, query);
        const index count = pages_seen(mask, readers, query, pages_, seen_);
        if (count > 0) {
            bound_rows(b, kv_head, query);
            sort_pages(count);
            do walk(kernel, b, kv_head, count);
            while (kernel.scale_overflowed(sum_));
        } else {
            for (index r = 0; r < rows_; ++r) coverage_[r] = 1;
        }
        kernel.finish(b, kv_head, sum_);
        for (index r = 0; p_.coverage.data != nullptr && r < rows_; ++r)
            *p_.coverage.row(b, kv_head * rows_ + r, query) = coverage_[r];
    }

private:
    void layout(arena& from) {
        const exact_decode<E> kernel(p_, leaf_, 0, 1);
        scratch_ = from.take<char>(static_cast<index>(kernel.bytes()));
        sum_ = from.take<T>(kernel.state_size());
        next_ = from.take<T>(kernel.state_size());
        q_ = from.take<T>(estimate_.size());
        scores_ = from.take<T>(rows_ * decode_keys);
        bounds_ = from.take<T>(rows_ * padded_);
        best_ = from.take<T>(padded_);
        order_ = from.take<std::uint64_t>(pages_);
        seen_ = from.take<bit_word>(words_of(pages_));
        round_ = from.take<bit_word>(words_of(pages_));
        margin_ = from.take<double>(rows_);
        largest_bound_ = from.take<T>(rows_);
        coverage_ = from.take<T>(rows_);
        rest_.layout(from);
    }

    // Weights of keys that are never visited are those of hidden ones.
    void hide_weights(index b, index kv_head, index query) const {
        for (index r = 0; r < rows_; ++r) {
            T* const row = p_.weights.row(b, kv_head * rows_ + r, query);
            for (index i = 0; i < p_.keys; ++i) row[i * p_.weights.stride[3]] = minus_infinity<T>();
        }
    }

    // The bound of every row and page, -inf for pages that no row sees, and each row's largest.
    void bound_rows(index b, index kv_head, index query) {
        estimate_.load(b, kv_head, query, 1, q_);
        for (index first = 0; first < padded_; first += decode_keys) {
            const index n = (std::min)(decode_keys, pages_ - first);
            estimate_.bounds(first, n, scores_);
            for (index r = 0; r < rows_; ++r) {
                T* const s = scores_ + r * decode_keys;
                // The only change of a score that gets here is a softcap: monotone, so it bounds too.
                if (p_.score != nullptr) {
                    const at corner{static_cast<std::int32_t>(b),
                                    static_cast<std::int32_t>(kv_head * rows_ + r),
                                    static_cast<std::int32_t>(query), 0};
                    p_.score(p_.program, s, 0, {corner, 0, -1, 0, 1}, decode_keys);
                }
                for (index i = 0; i < decode_keys; ++i)
                    if (i >= n || !bit_at(seen_, first + i)) s[i] = minus_infinity<T>();
                std::copy_n(s, decode_keys, bounds_ + r * padded_ + first);
            }
        }
        for (index r = 0; r < rows_; ++r) {
            if (!p_.group_sees_alike) hide_pages(b, kv_head * rows_ + r, query, bounds_ + r * padded_);
            margin_[r] = estimate_.margin(r);
            largest_bound_[r] = leaf_of_pages_.largest(bounds_ + r * padded_, padded_);
            if (is_minus_infinity(largest_bound_[r])) largest_bound_[r] = 0;
        }
    }
    // Where heads see different keys: pages that this one does not see hold no mass of it.
    void hide_pages(index b, index head, index query, T* bounds) const {
        for (index i = 0; i < pages_; ++i) {
            const index end = (std::min)((i + 1) * table_.page, p_.keys);
            if (p_.cover_of({b, head, query, query + 1, i * table_.page, end}) == cover::empty)
                bounds[i] = minus_infinity<T>();
        }
    }

    // Seen pages, those first that come nearest to a row's largest bound.
    void sort_pages(index count) {
        leaf_of_pages_.best(bounds_, padded_, rows_, padded_, largest_bound_, best_);
        index n = 0;
        for (index i = 0; i < pages_ && n < count; ++i) {
            if (!bit_at(seen_, i)) continue;
            const auto descending = static_cast<std::uint32_t>(~order_of(kept_finite<float>(best_[i]))) ^
                                    std::uint32_t{0x80000000};
            order_[n++] = std::uint64_t{descending} << 32 | static_cast<std::uint64_t>(i);
        }
        std::sort(order_, order_ + n);
    }

    // The share of a row's mass that is kept at least, rounded down.
    T share(index r, double left) const {
        if (left == 0) return 1;
        const double l = static_cast<double>(sum_[rows_ + r]);
        const double c = l / (l + left);
        if (!(c >= 0)) return 0;
        const T rounded = static_cast<T>(c);
        return static_cast<double>(rounded) > c || rounded >= T(1) ? std::nextafter(rounded, T(0)) : rounded;
    }

    void walk(const exact_decode<E>& kernel, index b, index kv_head, index count) {
        // Until something is known of the maxima, a sixty-fourth.
        index done = 0;
        index end = (std::min)(count, (std::max)(index{4}, count / 64));
        for (;;) {
            visit(kernel, b, kv_head, done, end);
            const bool first = done == 0;
            done = end;
            bool enough = true;
            for (index r = 0; r < rows_; ++r) {
                if (done < count && (first || rest_.stale(r, done, sum_[r])))
                    rest_.sum_up(r, done, count, bounds_ + r * padded_, margin_[r], sum_[r], order_);
                const double left = done == count ? 0 : rest_.mass(r, done, sum_[r]);
                coverage_[r] = share(r, left);
                if (left == 0 || static_cast<double>(coverage_[r]) >= tau_) continue;
                enough = false;
                end = (std::max)(end, rest_.earliest_stop(r, done, count, sum_[r], sum_[rows_ + r], tau_));
            }
            if (enough) return;
            end = (std::max)(end, done + 1 + done / 16);
            // So little would be left that a round of its own costs more.
            if (count - end < count / 16) end = count;
        }
    }

    // Pages [done, end) of the order, in the order of memory; neighbours as one run of keys.
    void visit(const exact_decode<E>& kernel, index b, index kv_head, index done, index end) {
        for (index word = 0; word < words_of(pages_); ++word) round_[word] = 0;
        for (; done < end; ++done) set_bit(round_, page_at(order_[done]));
        index since = 0;  // keys in the state beside, which short sums keep from drifting
        kernel.clear_like(next_, sum_);
        for (index page = 0; page < pages_;) {
            if (!bit_at(round_, page)) {
                page = round_[page / word_bits] >> (page % word_bits) == 0
                           ? (page / word_bits + 1) * word_bits
                           : page + 1;
                continue;
            }
            const index first = page;
            while (page < pages_ && bit_at(round_, page)) ++page;
            const index stop = (std::min)(page * table_.page, p_.keys);
            for (index key = first * table_.page; key < stop;) {
                const index until = (std::min)(stop, key + short_sum_keys - since);
                kernel.add(b, kv_head, key, until, next_, scratch_);
                since += until - key;
                key = until;
                if (since < short_sum_keys) continue;
                kernel.merge(sum_, next_);
                kernel.clear_like(next_, sum_);
                since = 0;
            }
        }
        kernel.merge(sum_, next_);
    }

    static constexpr index short_sum_keys = 2048;

    const exact_problem<E>& p_;
    const exact_leaves<E>& leaf_;
    const page_leaves<T>& leaf_of_pages_;
    const page_table<T>& table_;
    page_estimate<E> estimate_;
    double tau_;
    index rows_;
    index pages_;
    index padded_;
    rest_of_pages<T> rest_;
    std::size_t bytes_ = 0;

    char* scratch_ = nullptr;         // of the decode kernel
    T* sum_ = nullptr;                // the state of the rows
    T* next_ = nullptr;               // of the keys that join it next
    T* q_ = nullptr;                  // (row, q+ and q-)
    T* scores_ = nullptr;             // (row, some pages)
    T* bounds_ = nullptr;             // (row, page)
    T* best_ = nullptr;               // (page)
    std::uint64_t* order_ = nullptr;  // pages, behind what sorts them
    bit_word* seen_ = nullptr;        // pages that some row sees
    bit_word* round_ = nullptr;       // pages of a round
    double* margin_ = nullptr;        // (row)
    T* largest_bound_ = nullptr;      // (row): the largest bound
    T* coverage_ = nullptr;           // (row)
};

}  // namespace heed::inline HEED_ABI::detail
