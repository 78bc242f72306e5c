// SPDX-License-Identifier: MIT
// heed/state/merge.hpp: finished parts of the keys of the same queries joined into one
//
//     heed::merge(y_a, maximum_a, sum_a, y_b, maximum_b, sum_b);
//     heed::merge(y_a, lse_a, y_b, lse_b);
//
// A part is an output, a mean over the values of its keys, and what it is a mean over: (m, l), the largest
// score and the sum of e^(s - m). With m' = max(m_a, m_b),
//
//     l = l_a e^(m_a - m') + l_b e^(m_b - m')        y = (y_a l_a e^(m_a - m') + y_b l_b e^(m_b - m')) / l
//
// The empty part, l = 0, is the identity; parts join in any order and any tree, up to rounding.
#pragma once

#include <array>
#include <cmath>

#include <heed/core/check.hpp>
#include <heed/kernel/exact/problem.hpp>
#include <heed/score/outputs.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// Joins row b into row a. A row is an output and what it is a mean over: the largest score, and the sum of
// the exponentials relative to it. One that saw nothing, a sum of 0, changes no bit.
template <class T, class A, class B>
void merge_row(A* a, index a_stride, T& maximum_a, T& sum_a, const B* b, index b_stride, T maximum_b, T sum_b,
               index features) {
    if (sum_b == T(0)) return;
    if (sum_a == T(0)) {
        for (index f = 0; f < features; ++f)
            a[f * a_stride] = static_cast<A>(static_cast<T>(b[f * b_stride]));
        maximum_a = maximum_b;
        sum_a = sum_b;
        return;
    }
    const T most = maximum_a < maximum_b ? maximum_b : maximum_a;
    // e^0 is 1 where both are infinite too
    const T x = maximum_a == most ? sum_a : sum_a * std::exp(maximum_a - most);
    const T y = maximum_b == most ? sum_b : sum_b * std::exp(maximum_b - most);
    const T sum = x + y;
    const T keep = x / sum;
    const T take = y / sum;
    for (index f = 0; f < features; ++f) {
        const T joined = keep * static_cast<T>(a[f * a_stride]) + take * static_cast<T>(b[f * b_stride]);
        a[f * a_stride] = static_cast<A>(joined);
    }
    maximum_a = most;
    sum_a = sum;
}

// A row's number of a table (batch, head, query).
template <class S>
S& number_at(const table<S>& t, index b, index h, index q) {
    return t.data[b * t.strides[1] + h * t.strides[2] + q * t.strides[3]];
}

// What belongs to an output row by row, and its name in a text.
template <class S>
struct row_table {
    const char* name;
    table<S> rows;
};

// Checks two parts, whose row numbers a and b are.
template <class S, std::size_t N, class A, class B>
void check_parts(const view<A>& y_a, const std::array<row_table<S>, N>& a, const view<B>& y_b,
                 const std::array<row_table<const S>, N>& b) {
    check_same_extents("merge", "y_b", y_b, "y_a", y_a);
    const std::array<index, 4> rows{1, y_a.batch(), y_a.heads(), y_a.positions()};
    call_memory used("merge");
    used.writes("y_a", bytes_of(y_a));
    used.reads("y_b", bytes_of(y_b));
    for (const auto& t : a) used.writes(t.name, bytes_of(exact_extents("merge", t.name, t.rows, rows, 3)));
    for (const auto& t : b) used.reads(t.name, bytes_of(exact_extents("merge", t.name, t.rows, rows, 3)));
    used.validate();
}

template <class S, class X>
table<const S> merged_rows(const X& x) {
    const auto t = as_table(x);
    static_assert(
        std::is_same_v<element_t<decltype(t)>, S>,
        "heed::merge: log-sum-exps are float, or double where the outputs are double; so are maxima "
        "and sums");
    return {t.data, t.extents, t.strides, t.rank};
}
template <class S, class X>
table<S> merged_into(X&& x) {
    const auto t = output_table(std::forward<X>(x));
    static_assert(
        std::is_same_v<decltype(t.data), S*>,
        "heed::merge: log-sum-exps are float, or double where the outputs are double; so are maxima "
        "and sums");
    return t;
}
template <class A>
constexpr void check_merged() {
    static_assert(!std::is_const_v<A>, "heed::merge: y_a is written, and this tensor is const");
}
// row(b, h, q) for every row of an output.
template <class A, class Row>
void for_each_row_of(const view<A>& y, const Row& row) {
    for (index b = 0; b < y.batch(); ++b)
        for (index h = 0; h < y.heads(); ++h)
            for (index q = 0; q < y.positions(); ++q) row(b, h, q);
}

}  // namespace detail

// Joins two finished parts of the keys of the same queries, in place: y_a, maximum_a and sum_a become those
// of all keys. A part's maximum and sum are what maximum_and_sum(m, l) of its call wrote, or what a
// softmax_state has: the shares of the parts are then right within a few eps for scores of any size. Shapes:
// y (batch, head, query, value feature), maxima and sums (batch, head, query) in float, or double for double.
// A sum of 0 is a part that saw nothing. Throws heed::error when they differ. Allocates nothing.
template <class Ya, class Ma, class La, class Yb, class Mb, class Lb>
void merge(Ya&& y_a, Ma&& maximum_a, La&& sum_a, const Yb& y_b, const Mb& maximum_b, const Lb& sum_b) {
    const auto a = as_view(y_a);
    const auto b = as_view(y_b);
    using A = detail::stored_t<decltype(a)>;
    using S = sum_t<A>;
    detail::check_merged<A>();
    const auto ma = detail::merged_into<S>(std::forward<Ma>(maximum_a));
    const auto la = detail::merged_into<S>(std::forward<La>(sum_a));
    const auto mb = detail::merged_rows<S>(maximum_b);
    const auto lb = detail::merged_rows<S>(sum_b);
    detail::check_parts<S, 2>(a, {{{"maximum_a", ma}, {"sum_a", la}}}, b,
                              {{{"maximum_b", mb}, {"sum_b", lb}}});
    detail::for_each_row_of(a, [&](index i, index h, index q) {
        detail::merge_row<S>(&a(i, h, q, 0), a.strides[3], detail::number_at(ma, i, h, q),
                             detail::number_at(la, i, h, q), &b(i, h, q, 0), b.strides[3],
                             detail::number_at(mb, i, h, q), detail::number_at(lb, i, h, q), a.features());
    });
}

// The same by log-sum-exps alone, y_a and lse_a become those of all keys; -inf is a part that saw nothing.
//
// What it can promise: a log-sum-exp L = max + ln(sum) is rounded, by eps |L| / 2, and so is the share that a
// part gets: it is wrong by up to eps |L| of itself, 1e-6 at |L| = 8 and 1e-4 at 1000 in float, 2e-13 at 1000
// in double. Where the logarithm is lost beside the maximum (from 1e8 on in float, 1e17 in double) parts
// whose scores are as large count alike, however many keys each holds: 1 key beside 7 gets half. Where scores
// may be so large, merge by maxima and sums.
template <class Ya, class La, class Yb, class Lb>
void merge(Ya&& y_a, La&& lse_a, const Yb& y_b, const Lb& lse_b) {
    const auto a = as_view(y_a);
    const auto b = as_view(y_b);
    using A = detail::stored_t<decltype(a)>;
    using S = sum_t<A>;
    detail::check_merged<A>();
    const auto la = detail::merged_into<S>(std::forward<La>(lse_a));
    const auto lb = detail::merged_rows<S>(lse_b);
    detail::check_parts<S, 1>(a, {{{"lse_a", la}}}, b, {{{"lse_b", lb}}});
    detail::for_each_row_of(a, [&](index i, index h, index q) {
        // Relative to itself every log-sum-exp is a sum of 1.
        S& into = detail::number_at(la, i, h, q);
        const S from = detail::number_at(lb, i, h, q);
        S sum = detail::is_minus_infinity(into) ? S(0) : S(1);
        detail::merge_row<S>(&a(i, h, q, 0), a.strides[3], into, sum, &b(i, h, q, 0), b.strides[3], from,
                             detail::is_minus_infinity(from) ? S(0) : S(1), a.features());
        if (sum != S(1)) into = detail::logsumexp_of(into, sum);
    });
}

}  // namespace heed::inline HEED_ABI
