// SPDX-License-Identifier: MIT
// heed/kernel/exact/strip_results.hpp: a finished strip to the caller's rows
#pragma once

#include <heed/kernel/exact/finish.hpp>
#include <heed/kernel/exact/queries.hpp>
#include <heed/kernel/exact/strips.hpp>

namespace heed::inline HEED_ABI::detail {

// Scores of a strip to the caller's (batch, head, query, key).
template <class E, class T>
void write_scores(const strip_context<E>& c, const tile& here, index first, index end, const T* s) {
    const strided<T>& weights = c.p.weights;
    for (index q = here.query_begin; q < here.query_end; ++q) {
        T* const to = weights.row(here.batch, here.head, q) + here.key_begin * weights.stride[3];
        for (index r = first; r < end; ++r)
            to[r * weights.stride[3]] = s[r * c.lanes + (q - here.query_begin)];
    }
}

// Up to one pack of rows, from (value feature, lane), each times its factor. False where a number is not
// finite.
template <class E, class T, class Y>
bool write_pack(const strip_context<E>& c, const strided<Y>& y, index b, index h, index query, index count,
                const T* output, const T* factor) {
    T edge[most_pack_lanes * most_pack_lanes];
    bool finite = true;
    for (index f = 0; f < c.p.value_features; f += c.w) {
        Y* const to = y.row(b, h, query) + f * y.stride[3];
        const index columns = least(c.p.value_features - f, c.w);
        const bool whole = stands_in_rows<T>(y) && count == c.w && columns == c.w;
        T* const square = whole ? reinterpret_cast<T*>(to) : edge;
        finite &=
            c.leaf.transpose_finite(output + f * c.lanes, c.lanes, square, whole ? y.stride[2] : c.w, factor);
        if (whole) continue;
        for (index i = 0; i < count; ++i)
            write_row(c.leaf, edge + i * c.w, columns, to + i * y.stride[2], y.stride[3]);
    }
    return finite;
}

// Divides by the sums and writes the rows of the output, the log-sum-exp and the weights. False where a
// number is not finite.
template <class E, class T>
bool write_strip(const strip_context<E>& c, index b, index h, const strip<T>& t) {
    T factor[most_pack_lanes];
    bool finite = true;
    for (index q = 0; t.begin + q < t.end; q += c.w) {
        const index count = least(t.end - t.begin - q, c.w);
        for (index i = 0; i < c.w; ++i) {
            factor[i] =
                finish_row(c.p, c.leaf, b, h, t.begin + q + i, i < count, t.row_max[q + i], t.row_sum[q + i]);
            if (t.scale[q + i] != T(1)) {
                for (index f = 0; f < c.p.value_features; ++f) {
                    T& o = t.output[f * c.lanes + q + i];
                    o = unscaled_mean(o, factor[i]);
                }
                factor[i] = 1;
            }
        }
        const T* const output = t.output + q;
        const bool all = c.p.y.sums.data != nullptr
                             ? write_pack(c, c.p.y.sums, b, h, t.begin + q, count, output, factor)
                             : write_pack(c, c.p.y.stored, b, h, t.begin + q, count, output, factor);
        finite = finite && all;
    }
    return finite;
}

}  // namespace heed::inline HEED_ABI::detail
