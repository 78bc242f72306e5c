// SPDX-License-Identifier: MIT
// heed/select/local_plus_top.hpp: each query keeps its last keys, and the best of the others
//
//     auto y = heed::attention(q, k, v, heed::causal, heed::local_plus_top(512, 0.25));
//
// A query at p = query + (keys - queries) keeps the keys p - window < key <= p that it sees, and of the n
// others that it sees the max(1, ceil(fraction n)) best. Scores, ties, NaN, memory and the backward are
// those of top_k (select/top_k.hpp).
//
// Cost: all scores, as with top_k. At 65536 keys, half of them hidden by causal, a window of 512 and a
// quarter of the rest leave 26 % of the values to read, and all of the scores to compute.
#pragma once

#include <heed/select/top_k.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct local_plus_top_option : row_selector<local_plus_top_option> {
    index window;
    double fraction;
    local_plus_top_option(index width, double share) : window(width), fraction(share) {}
    auto content() const { return std::tie(window, fraction); }

    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        if (window < 1)
            fail(function, {"local_plus_top is given a window of ", window, " keys, needs at least 1"});
        check_fraction(function, "local_plus_top", fraction);
    }

    template <class T>
    index choose(score_row<T>& row) const {
        // The window as a part [begin, end) of the row.
        const index origin = row.position + 1 - row.first;
        const index begin = within(origin - least(window, longest_axis), row.count);
        const index end = within(origin, row.count);
        const index size = end - begin;
        // Its scores stand aside while the others compete.
        T* const aside = row.scratch;
        T* const scratch = row.scratch + size;
        for (index i = 0; i < size; ++i) {
            aside[i] = row.scores[begin + i];
            row.scores[begin + i] = minus_infinity<T>();
        }
        const index others = row.leaf.count_not_below(row.scores, row.count, constants<T>::lowest);
        threshold<T> best{T(0), 0, 0};
        if (others > 0)
            best =
                find_threshold(row.leaf, row.scores, row.count, share_of(fraction, others), others, scratch);
        for (index i = 0; i < size; ++i) row.scores[begin + i] = aside[i];
        const threshold<T> visible{constants<T>::lowest, row.count, row.count};
        index kept = write_chosen(row, best, 0, begin, 0);
        kept += write_chosen(row, visible, begin, end, kept);
        return kept + write_chosen(row, best, end, row.count, kept);
    }

private:
    static index within(index x, index most) { return x < 0 ? 0 : x < most ? x : most; }

    // The chosen of the part [begin, end) behind `kept` others.
    template <class T>
    static index write_chosen(score_row<T>& row, const threshold<T>& t, index begin, index end, index kept) {
        return emit_chosen(row.leaf, t, row.scores, begin, end, static_cast<std::int32_t>(row.first),
                           row.keys + kept, row.scores + kept, row.count + select_slack - kept);
    }
};

}  // namespace detail

// window >= 1 keys, 0 < fraction <= 1.
template <class W, class F>
auto local_plus_top(const W& window, const F& fraction) {
    static_assert(
        detail::whole_number<W> && std::is_arithmetic_v<F>,
        "heed::local_plus_top: needs a whole number of keys and the share of the others that stays, "
        "as in local_plus_top(512, 0.25)");
    if constexpr (detail::whole_number<W> && std::is_arithmetic_v<F>)
        return detail::local_plus_top_option(detail::index_of(window), static_cast<double>(fraction));
}

}  // namespace heed::inline HEED_ABI
