// SPDX-License-Identifier: MIT
// heed/kernel/psa/policies.hpp: which keys a row keeps, and what they weigh, in each reading
#pragma once

#include <heed/kernel/psa/kernels.hpp>
#include <heed/select/top_k.hpp>

namespace heed::inline HEED_ABI {

enum class psa_reading { literal, masked, intended };

namespace detail {

// The smallest score that is no further below `most` than the clamp, as the weights' own subtraction decides
// it: between `low`, which is further below, and `most`.
template <class T>
T least_weighted(T low, T most, T least) {
    auto a = steps_of(low);
    auto b = steps_of(most);
    using distance = std::make_unsigned_t<decltype(a)>;  // half of them would not fit with a sign
    while (static_cast<distance>(b) - static_cast<distance>(a) > 1) {
        const auto middle = static_cast<decltype(a)>((a >> 1) + (b >> 1) + (a & b & 1));
        if (number_at<T>(middle) - most < least)
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
        threshold<T> t = find_threshold(row.leaf, row.scores, row.count, k, row.visible, row.room);
        if (reading == psa_reading::intended) {
            const T most = leaf->most(row.scores, row.count);
            const bool finite =
                (scalar::bits_of(most) & constants<T>::infinity_bits) != constants<T>::infinity_bits;
            if (finite && t.least < most && t.least - most < e.least)
                t = {least_weighted(t.least, most, e.least), row.count, row.count};
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

    void weigh(const row_leaves<T>& rows, T* scores, index count, T& most, T& sum) const {
        if (reading == psa_reading::intended) {
            most = rows.most(scores, count);
            sum = leaf->weigh(scores, count, is_minus_infinity(most) ? T(0) : most, e);
        } else {
            leaf->exponents(scores, count, false, e);
            softmax_weights{}.weigh(rows, scores, count, most, sum);
        }
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
