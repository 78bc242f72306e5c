// SPDX-License-Identifier: MIT
// heed/kernel/pages/rest.hpp: the mass that pages not visited may hold, and when a row may leave them
//
//     R(done) = sum over the pages from `done` of the order on of |p| e^(ub_p + margin - m)
//
// For rows that share an order of pages. R is kept in double, as sums from the last page to the first, and
// relative to the maximum m that a row had when it was summed: one that grew since makes R smaller. A mass
// that is not known to be finite is infinite. Cost: an exponential a page and row.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <heed/kernel/pages/estimate.hpp>

namespace heed::inline HEED_ABI::detail {

// Pages stand in an order behind what sorts them.
inline index page_at(std::uint64_t entry) { return static_cast<index>(entry & 0xffffffffu); }

template <class T>
class rest_of_pages {
public:
    rest_of_pages(const page_table<T>& table, index rows, index pages, index keys)
        : leaf_(page_leaves_on_target<T>()), table_(table), rows_(rows), pages_(pages), keys_(keys) {}

    void layout(arena& from) {
        masses_ = from.take<T>(padded());
        left_ = from.take<double>(rows_ * (pages_ + 1));
        reference_ = from.take<T>(rows_);
    }

    // Of row r, whose maximum is row_max, from `first` of the `count` in the order on.
    void sum_up(index r, index first, index count, const T* bounds, double margin, T row_max,
                const std::uint64_t* order) {
        double* const to = left_ + r * (pages_ + 1);
        const bool nothing_yet = is_minus_infinity(row_max);
        const T shift = nothing_yet ? T(0) : static_cast<T>(margin - static_cast<double>(row_max));
        reference_[r] = row_max;
        leaf_.masses(bounds, padded(), shift, largest_exponent, masses_);
        // Rounding of the exponentials, of their sum and of l: 1 ULP each and less than one an addition. What
        // the exponential flushes to zero is below the least normal number.
        const double slack =
            1 + (256 + static_cast<double>(keys_) / 2048) * std::numeric_limits<T>::epsilon();
        constexpr double flushed = (std::numeric_limits<T>::min)();
        const double keys = slack * static_cast<double>(table_.page);
        const double keys_of_last = slack * static_cast<double>(keys_ - (pages_ - 1) * table_.page);
        double sum = to[count] = 0;
        for (index i = count; i-- > first;) {
            const index page = page_at(order[i]);
            // A mass as large as the limit may be any larger one; a NaN is no mass that is known.
            if (!(masses_[page] < largest_mass) || nothing_yet)
                sum = is_minus_infinity(bounds[page]) ? sum : HUGE_VAL;
            else if (!is_minus_infinity(bounds[page]))
                sum += (page + 1 < pages_ ? keys : keys_of_last) *
                       (static_cast<double>(masses_[page]) + flushed);
            to[i] = sum;
        }
    }
    // Would sums be finite now that were not before? A maximum has come since.
    bool stale(index r, index done, T row_max) const {
        return !(left(r, done) < HUGE_VAL) && row_max > reference_[r];
    }
    double mass(index r, index done, T row_max) const {
        const double x = left(r, done);
        return x == 0 || !(x < HUGE_VAL)
                   ? x
                   : x * std::exp(static_cast<double>(reference_[r]) - static_cast<double>(row_max));
    }

    // After how many pages a row could stop with the share tau, if those had all
    // the mass they may.
    index earliest_stop(index r, index done, index count, T row_max, T row_sum, double tau) const {
        const double here = mass(r, done, row_max);
        const double factor = here < HUGE_VAL && left(r, done) > 0 ? here / left(r, done) : 1;
        const double enough = here < HUGE_VAL ? (1 - tau) * (static_cast<double>(row_sum) + here) : HUGE_VAL;
        index low = done, high = count;
        while (low < high) {
            const index middle = low + (high - low) / 2;
            const double x = left(r, middle);
            if (x < HUGE_VAL && x * factor <= enough)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }

private:
    // e to this is far from overflow; above such a mass no row stops.
    static constexpr T largest_exponent = std::is_same_v<T, double> ? T(600) : T(80);
    static constexpr T largest_mass = std::is_same_v<T, double> ? T(1e260) : T(5e34);

    index padded() const { return rounded_up(pages_, decode_keys); }
    double left(index r, index done) const { return left_[r * (pages_ + 1) + done]; }

    const page_leaves<T>& leaf_;
    const page_table<T>& table_;
    index rows_;
    index pages_;
    index keys_;
    T* masses_ = nullptr;     // (page)
    double* left_ = nullptr;  // (row, done)
    T* reference_ = nullptr;  // (row): the maximum that left_ is relative to
};

}  // namespace heed::inline HEED_ABI::detail
