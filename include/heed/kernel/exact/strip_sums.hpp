// SPDX-License-Identifier: MIT
// heed/kernel/exact/strip_sums.hpp: the sums of a strip: emptied, added up in groups of tiles, and made once
// more with smaller weights where they overflow
#pragma once

#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/strips.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class strip_sums {
public:
    using T = typename exact_problem<E>::T;

    strip_sums(const exact_problem<E>& p, const exact_leaves<E>& leaves)
        : p_(p), leaf_(leaves), w_(leaves.pack_lanes), lanes_(panel_packs * leaves.pack_lanes) {}

    // Elements of an output, (value feature, lane).
    index output_size() const { return rounded_up(rounded_up(p_.value_features, row_group), w_) * lanes_; }
    void clear(const strip<T>& t) const {
        const auto empty = [&](T* output, T* most, T* sum) {
            for (index x = 0; x < output_size(); ++x) output[x] = 0;
            for (index l = 0; l < lanes_; ++l) {
                most[l] = minus_infinity<T>();
                sum[l] = 0;
            }
        };
        empty(t.output, t.most, t.sum);
        if (t.upper != nullptr) empty(t.upper, t.upper_most, t.upper_sum);
    }

    // The sums of a group of tiles join those before them.
    void carry(const strip<T>& t) const {
        T keep[panel_packs * most_pack_lanes];
        const index n = t.packs * w_;
        for (index l = 0; l < n; ++l) {
            const T safe = is_minus_infinity(t.most[l]) ? T(0) : t.most[l];
            keep[l] = scalar::exp_of_negative(t.upper_most[l] - safe);
            t.upper_most[l] = t.most[l];
        }
        leaf_.carry(t.upper, t.output, p_.value_features, lanes_, n, keep);
        leaf_.carry(t.upper_sum, t.sum, 1, lanes_, n, keep);
    }

    bool is_scaled(const strip<T>& t) const {
        for (index l = 0; l < t.end - t.begin; ++l)
            if (t.scale[l] != T(1)) return true;
        return false;
    }
    // Scales the weights of lanes whose sums overflowed, and empties the strip if there are some.
    bool scale_overflowed(const strip<T>& t, bool grouped) const {
        const T* const sums = grouped ? t.upper : t.output;
        if (leaf_.all_finite(sums, lanes_, p_.value_features, t.packs * w_)) return false;
        bool any = false;
        for (index l = 0; l < t.end - t.begin; ++l)
            for (index f = 0; f < p_.value_features; ++f)
                if (!is_finite(sums[f * lanes_ + l])) {
                    t.scale[l] = sum_scale<T>;
                    any = true;
                }
        if (any) clear(t);
        return any;
    }

private:
    const exact_problem<E>& p_;
    const exact_leaves<E>& leaf_;
    index w_;
    index lanes_;
};

}  // namespace heed::inline HEED_ABI::detail
