// SPDX-License-Identifier: MIT
// heed/kernel/psa/policies.hpp: which keys a row keeps, and what they weigh, in each reading
#pragma once

#include <heed/kernel/psa/kernels.hpp>
#include <heed/select/top_k.hpp>

namespace heed::inline HEED_ABI {

enum class psa_reading { literal, masked, intended };

namespace detail {

// The smallest score that is no further below `row_max` than the clamp, as the weights' own subtraction
// decides it: between `low`, which is further below, and `row_max`.
template <class T>
T min_weighted(T low, T row_max, T clamp) {
    auto a = steps_of(low);
    auto b = steps_of(row_max);
    using distance = std::make_unsigned_t<decltype(a)>;  // half of them would not fit with a sign
    while (static_cast<distance>(b) - static_cast<distance>(a) > 1) {
        const auto middle = static_cast<decltype(a)>((a >> 1) + (b >> 1) + (a & b & 1));
        if (number_at<T>(middle) - row_max < clamp)
            a = middle;
        else
            b = middle;
    }
    return number_at<T>(b);
}

// The best share of a row, or all of it; with the intended reading without those below the clamp, whose
// weight is 0 and whose values then need not be read.
template <class T>
struct psa_chooser {
    const row_leaves<T>* leaf;
    double fraction;
    psa_reading reading;
    exponential_numbers<T> e;

    index choose(score_row<T>& row) const {
        const index k = reading == psa_reading::literal ? row.visible : share_of(fraction, row.visible);
        threshold<T> t = find_threshold(row.leaf, row.scores, row.count, k, row.visible, row.scratch);
        if (reading == psa_reading::intended) {
            const T row_max = leaf->row_max(row.scores, row.count);
            const bool finite =
                (scalar::bits_of(row_max) & constants<T>::infinity_bits) != constants<T>::infinity_bits;
            if (finite && t.min < row_max && t.min - row_max < e.min)
                t = {min_weighted(t.min, row_max, e.min), row.count, row.count};
        }
        return emit_chosen(row.leaf, t, row.scores, 0, row.count, static_cast<std::int32_t>(row.first),
                           row.keys, row.scores, row.count + select_slack);
    }
};

// max(pi(s - m), 0), or e^(pi(s) - max pi).
template <class T>
struct psa_weigher {
    const psa_leaves<T>* leaf;
    psa_reading reading;
    exponential_numbers<T> e;

    void weigh(const row_leaves<T>& rows, T* scores, index count, T& row_max, T& row_sum) const {
        if (reading == psa_reading::intended) {
            row_max = rows.row_max(scores, count);
            row_sum = leaf->weigh(scores, count, is_minus_infinity(row_max) ? T(0) : row_max, e);
        } else {
            leaf->exponents(scores, count, false, e);
            softmax_weights{}.weigh(rows, scores, count, row_max, row_sum);
        }
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
