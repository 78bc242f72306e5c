// SPDX-License-Identifier: MIT
// heed/kernel/exact/finish.hpp: what both kernels share: rows of keys and values for the products, and
// finished rows to the results
#pragma once

#include <heed/kernel/exact/problem.hpp>

namespace heed::inline HEED_ABI::detail {

// Rows whose positions are neighbours, (feature, position), to (position, feature): squares of one pack by
// one pack, and what is left number by number.
template <class E, class T>
void transposed_rows(const exact_leaves<E>& leaf, const E* from, index stride, index count, index features,
                     T* to) {
    const index w = leaf.pack_lanes;
    const index keys = count / w * w;
    const index whole = features / w * w;
    T one[most_pack_lanes];
    T square[most_pack_lanes * most_pack_lanes];
    for (index i = 0; i < w; ++i) one[i] = 1;
    for (index f = 0; f < whole; f += w)
        for (index key = 0; key < keys; key += w) {
            const E* const corner = from + f * stride + key;
            const T* numbers = square;
            if constexpr (std::is_same_v<E, T>)
                numbers = corner;
            else
                leaf.widen(corner, stride, 1, w, w, square, w);
            leaf.transpose(numbers, std::is_same_v<E, T> ? stride : w, to + key * features + f, features,
                           one);
        }
    if (keys < count) leaf.widen(from + keys, 1, stride, count - keys, whole, to + keys * features, features);
    if (whole < features)
        leaf.widen(from + whole * stride, 1, stride, count, features - whole, to + whole, features);
}

// Rows of the sum type: where they stand, of which `there` are known to follow each other, or converted into
// the scratch.
template <class E, class T = typename exact_problem<E>::T>
number_rows<T> rows_of(const exact_leaves<E>& leaf, const strided<const E>& x, index b, index h, index first,
                       index count, index features, T* scratch, index there = 0) {
    if (std::is_same_v<E, T> && x.stride[3] == 1)
        return {reinterpret_cast<const T*>(x.row(b, h, first)), x.stride[2], there};
    if (x.stride[2] == 1 && x.stride[3] != 1 && leaf.pack_lanes > 1) {
        transposed_rows(leaf, x.row(b, h, first), x.stride[3], count, features, scratch);
        return {scratch, features};
    }
    leaf.widen(x.row(b, h, first), x.stride[2], x.stride[3], count, features, scratch, features);
    return {scratch, features};
}

// n numbers to neighbours or strided elements, in the storage type or as they are.
template <template <class> class Leaves, class E, class T, class Y>
void write_row(const Leaves<E>& leaf, const T* from, index n, Y* to, index stride) {
    if constexpr (std::is_same_v<E, Y>)
        leaf.narrow(from, n, to, stride);
    else
        for (index i = 0; i < n; ++i) to[i * stride] = from[i];
}

template <template <class> class Leaves, class E, class T>
void write_row(const Leaves<E>& leaf, const T* from, index n, const stored_or_sum<E, T>& to, index b, index h,
               index row) {
    if (to.sums.data != nullptr)
        write_row(leaf, from, n, to.sums.row(b, h, row), to.sums.stride[3]);
    else
        write_row(leaf, from, n, to.stored.row(b, h, row), to.stored.stride[3]);
}

// Of a sum of weights times sum_scale: sum * factor, where rounding alone passes no largest number.
template <class T>
T unscaled_mean(T sum, T factor) {
    constexpr T largest = -constants<T>::lowest * sum_scale<T>;
    const T x = sum * factor;
    const T size = x < 0 ? -x : x;
    const T bounded =
        size > largest && size <= largest * (1 + T(1) / 4096) ? (x < 0 ? -largest : largest) : x;
    return bounded / sum_scale<T>;
}

// A head's sink joins the maximum and the sum of a row; gives what the exponentials of its scores, relative
// to the maximum before, are multiplied with.
template <class E, class T = typename exact_problem<E>::T>
T join_sink(const exact_problem<E>& p, index h, T& row_max, T& row_sum) {
    const T sink = kept_finite<T>(p.sink(p.program, h));
    const T joint = sink > row_max ? sink : row_max;
    const T safe = is_minus_infinity(joint) ? T(0) : joint;
    const T factor = scalar::exp_of_negative(row_max - safe);
    // e^0 is 1 for a sink of +inf too; one of -inf is none.
    const T added = is_minus_infinity(sink) ? T(0)
                    : sink >= row_max       ? T(1)
                                            : scalar::exp_of_negative(sink - safe);
    row_sum = row_sum * factor + added;
    row_max = joint;
    return factor;
}

// A finished row of the output, times its factor, in whichever type the call's output has. Sums of weights
// times sum_scale go through the scratch, which may be where they are.
template <class E, class T = typename exact_problem<E>::T>
void write_output(const exact_problem<E>& p, const exact_leaves<E>& leaf, index b, index h, index query,
                  const T* from, T factor, T scale, T* scratch) {
    if (scale != T(1)) {
        for (index f = 0; f < p.value_features; ++f) scratch[f] = unscaled_mean(from[f], factor);
        from = scratch;
        factor = 1;
    }
    const strided<E>& stored = p.y.stored;
    const strided<T>& sums = p.y.sums;
    if (sums.data == nullptr)
        return leaf.narrow_scaled(from, p.value_features, factor, stored.row(b, h, query), stored.stride[3]);
    T* const to = sums.row(b, h, query);
    for (index f = 0; f < p.value_features; ++f) to[f * sums.stride[3]] = from[f] * factor;
}

// Scores that no step may hide: what overflowed to -inf is small.
template <class T>
void keep_seen(T* s, index lanes) {
    for (index l = 0; l < lanes; ++l) s[l] = s[l] < constants<T>::lowest ? constants<T>::lowest : s[l];
}

// Writes the log-sum-exp, its parts and the weights of a row whose maximum and sum are known; gives what its
// output is multiplied with, 1 / sum, or 0 for a row that saw nothing. The sink joins here.
template <class E, class T = typename exact_problem<E>::T>
T finish_row(const exact_problem<E>& p, const exact_leaves<E>& leaf, index b, index h, index query,
             bool exists, T row_max, T row_sum) {
    if (p.probability != nullptr) return T(1);  // the sums are in its weights
    const bool empty = row_sum == T(0);
    T joint = row_max;
    const T factor = p.has_sinks ? join_sink(p, h, joint, row_sum) : T(1);
    const T inverse = empty ? T(0) : factor / row_sum;
    if (!exists) return inverse;
    if (p.logsumexp.data != nullptr) *p.logsumexp.row(b, h, query) = logsumexp_of(joint, row_sum);
    if (p.maximum.data != nullptr) {
        *p.maximum.row(b, h, query) = joint;
        *p.sum.row(b, h, query) = row_sum;
    }
    if (p.weights.data != nullptr)
        leaf.weights(p.weights.row(b, h, query), p.weights.stride[3], p.keys,
                     is_minus_infinity(row_max) ? T(0) : row_max, inverse);
    return inverse;
}

}  // namespace heed::inline HEED_ABI::detail
