// SPDX-License-Identifier: MIT
// heed/kernel/exact/strip_results.hpp: a finished strip to the caller's rows
#pragma once

#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/queries.hpp>
#include <heed/kernel/exact/strips.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class strip_results {
public:
    using T = typename exact_problem<E>::T;

    strip_results(const exact_problem<E>& p, const exact_leaves<E>& leaves)
        : p_(p), leaf_(leaves), w_(leaves.pack_lanes), lanes_(panel_packs * leaves.pack_lanes) {}

    // Scores of a strip to the caller's (batch, head, query, key).
    void write_scores(const tile& here, index first, index end, const T* s) const {
        for (index q = here.query_begin; q < here.query_end; ++q) {
            T* const to = p_.weights.row(here.batch, here.head, q) + here.key_begin * p_.weights.stride[3];
            for (index r = first; r < end; ++r)
                to[r * p_.weights.stride[3]] = s[r * lanes_ + (q - here.query_begin)];
        }
    }

    // Divides by the sums and writes the rows of the output, the log-sum-exp and the weights. False where a
    // number is not finite.
    bool write(index b, index h, const strip<T>& t) const {
        T factor[most_pack_lanes];
        bool finite = true;
        for (index q = 0; t.begin + q < t.end; q += w_) {
            const index count = least(t.end - t.begin - q, w_);
            for (index i = 0; i < w_; ++i) {
                factor[i] =
                    finish_row(p_, leaf_, b, h, t.begin + q + i, i < count, t.most[q + i], t.sum[q + i]);
                if (t.scale[q + i] != T(1)) {
                    for (index f = 0; f < p_.value_features; ++f) {
                        T& o = t.output[f * lanes_ + q + i];
                        o = unscaled_mean(o, factor[i]);
                    }
                    factor[i] = 1;
                }
            }
            const T* const output = t.output + q;
            const bool all = p_.y_sum.data != nullptr
                                 ? write_rows(p_.y_sum, b, h, t.begin + q, count, output, factor)
                                 : write_rows(p_.y, b, h, t.begin + q, count, output, factor);
            finite = finite && all;
        }
        return finite;
    }

private:
    // Up to one pack of rows, from (value feature, lane), each times its factor.
    template <class Y>
    bool write_rows(const strided<Y>& y, index b, index h, index query, index count, const T* output,
                    const T* factor) const {
        T edge[most_pack_lanes * most_pack_lanes];
        bool finite = true;
        for (index f = 0; f < p_.value_features; f += w_) {
            Y* const to = y.row(b, h, query) + f * y.stride[3];
            const index columns = least(p_.value_features - f, w_);
            const bool whole = stands_in_rows<T>(y) && count == w_ && columns == w_;
            T* const square = whole ? reinterpret_cast<T*>(to) : edge;
            finite &=
                leaf_.transpose_finite(output + f * lanes_, lanes_, square, whole ? y.stride[2] : w_, factor);
            if (whole) continue;
            for (index i = 0; i < count; ++i)
                write_row(leaf_, edge + i * w_, columns, to + i * y.stride[2], y.stride[3]);
        }
        return finite;
    }

    const exact_problem<E>& p_;
    const exact_leaves<E>& leaf_;
    index w_;
    index lanes_;
};

}  // namespace heed::inline HEED_ABI::detail
