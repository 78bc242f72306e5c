// SPDX-License-Identifier: MIT
// heed/state/softmax.hpp: attention as a state that takes in keys and joins with other states
//
// What softmax attention has seen of its keys is (m, l, o): the largest score, the sum of e^(s - m), and
// the values weighted by e^(s - m). The empty state is the identity; absorbing keys and merging states
// give the same result, up to rounding, in any order and for any split. One idea gives streaming, keys
// split over threads or machines, and prefill in chunks.
//
//     heed::softmax_state<float> state(batch, heads, queries, value_features);
//     state.absorb(q, k1, v1);                 any option of heed::attention that keys do not outlive
//     state.merge(other);
//     state.finish_into(y);
//
// heed::merge joins finished parts: outputs with their maxima and sums, or with their log-sum-exps.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <heed/attention.hpp>

namespace heed {
inline namespace HEED_ABI {
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
    static_assert(std::is_same_v<std::remove_const_t<std::remove_pointer_t<decltype(t.data)>>, S>,
                  "heed::merge: log-sum-exps are float, or double where the outputs are double; so are maxima "
                  "and sums");
    return {t.data, t.extents, t.strides, t.rank};
}
template <class S, class X>
table<S> merged_into(X&& x) {
    const auto t = output_table(std::forward<X>(x));
    static_assert(std::is_same_v<decltype(t.data), S*>,
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

// Joins two finished parts of the keys of the same queries, in place: y_a, maximum_a and sum_a become those of
// all keys. A part's maximum and sum are what maximum_and_sum(m, l) of its call wrote, or what a softmax_state
// has: the shares of the parts are then right within a few eps for scores of any size. Shapes: y (batch,
// head, query, value feature), maxima and sums (batch, head, query) in float, or double for double. A sum of
// 0 is a part that saw nothing. Throws heed::error when they differ. Allocates nothing.
template <class Ya, class Ma, class La, class Yb, class Mb, class Lb>
void merge(Ya&& y_a, Ma&& maximum_a, La&& sum_a, const Yb& y_b, const Mb& maximum_b, const Lb& sum_b) {
    const auto a = as_view(y_a);
    const auto b = as_view(y_b);
    using A = std::remove_pointer_t<decltype(a.data)>;
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
// in double. Where the logarithm is lost beside the maximum (from 1e8 on in float, 1e17 in double) parts whose
// scores are as large count alike, however many keys each holds: 1 key beside 7 gets half. Where scores may
// be so large, merge by maxima and sums.
template <class Ya, class La, class Yb, class Lb>
void merge(Ya&& y_a, La&& lse_a, const Yb& y_b, const Lb& lse_b) {
    const auto a = as_view(y_a);
    const auto b = as_view(y_b);
    using A = std::remove_pointer_t<decltype(a.data)>;
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

// The state of attention over the keys seen so far, for a fixed set of queries. Holds the output so far,
// normalised, with the largest score and the sum of the exponentials relative to it (and their log-sum-exp),
// in the type sums are kept in; and, from the first absorb on, memory for as much again, so that the next ones
// allocate nothing but scratch.
template <class T>
class softmax_state {
    static_assert(element<T>, "heed::softmax_state<T>: T is float, double, Eigen::half or Eigen::bfloat16");

public:
    using sum_type = sum_t<T>;
    using output_tensor = Eigen::Tensor<sum_type, 4, Eigen::RowMajor>;
    using row_tensor = Eigen::Tensor<sum_type, 3, Eigen::RowMajor>;
    using logsumexp_tensor = row_tensor;

    // The empty state: the identity of merge.
    softmax_state(index batch, index heads, index queries, index value_features)
        : output_(sized(batch, heads, queries, value_features)),
          maximum_(batch, heads, queries),
          sum_(batch, heads, queries),
          logsumexp_(batch, heads, queries) {
        reset();
    }

    void reset() {
        output_.setZero();
        maximum_.setConstant(-std::numeric_limits<sum_type>::infinity());
        sum_.setZero();
        logsumexp_.setConstant(-std::numeric_limits<sum_type>::infinity());
    }

    // Takes in keys and their values; options are those of heed::attention but logsumexp and
    // maximum_and_sum. Masks and score
    // functions count queries and keys from the start of this call's tensors.
    template <class Q, class K, class V, class... Options>
    void absorb(const Q& q, const K& k, const V& v, const Options&... options) {
        static_assert((detail::is_option<Options> && ...),
                      "heed::softmax_state::absorb: an argument after q, k, v is not an option");
        static_assert(
            std::is_same_v<sum_t<detail::element_of_argument<const Q>>, sum_type>,
            "heed::softmax_state<T>::absorb: q is summed in another type than the state's; a state of "
            "float takes float, half and bfloat16, one of double takes double");
        static_assert(detail::count_of<option_kind::logsumexp, Options...> == 0,
                      "heed::softmax_state::absorb: logsumexp is the state's own; read it with logsumexp()");
        static_assert(detail::count_of<option_kind::maximum_and_sum, Options...> == 0,
                      "heed::softmax_state::absorb: maximum_and_sum is the state's own; read it with maximum() "
                      "and sum()");
        static_assert(
            detail::count_of<option_kind::sinks, Options...> == 0,
            "heed::softmax_state::absorb: a sink joins once, not with every call; merge it at the end");
        const auto from = as_view(q);
        if (!(from.batch() == output_.dimension(0) && from.heads() == output_.dimension(1) &&
              from.positions() == output_.dimension(2)))
            detail::fail(
                "softmax_state::absorb",
                {"q is (", from.batch(), ", ", from.heads(), ", ", from.positions(), "), the state is for (",
                 output_.dimension(0), ", ", output_.dimension(1), ", ", output_.dimension(2), ")"});
        const auto values = as_view(v);
        if (values.features() != output_.dimension(3))
            detail::fail("softmax_state::absorb",
                         {"v has ", values.features(), " features, the state has ", output_.dimension(3)});
        part_output_.resize(output_.dimensions());
        part_maximum_.resize(maximum_.dimensions());
        part_sum_.resize(sum_.dimensions());
        attention_into(part_output_, q, k, v, options..., maximum_and_sum(part_maximum_, part_sum_));
        join(part_output_, part_maximum_, part_sum_);
    }

    // Joins another state of the same queries; the empty state changes nothing.
    void merge(const softmax_state& other) {
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (output_.dimension(axis) != other.output_.dimension(axis))
                detail::fail("softmax_state::merge",
                             {"axis ", axis, " of the other state has ", other.output_.dimension(axis),
                              " elements, needs ", output_.dimension(axis)});
        join(other.output_, other.maximum_, other.sum_);
    }

    // The attention over all keys so far, (batch, head, query, value feature), in the element type.
    template <class Y>
    void finish_into(Y&& y) const {
        const auto to = as_view(y);
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (to.extents[axis] != output_.dimension(axis))
                detail::fail("softmax_state::finish_into", {"axis ", axis, " of y has ", to.extents[axis],
                                                            " elements, needs ", output_.dimension(axis)});
        using Element = std::remove_pointer_t<decltype(to.data)>;
        static_assert(!std::is_const_v<Element>,
                      "heed::softmax_state::finish_into: y is written, and this tensor is const");
        detail::call_memory used("softmax_state::finish_into");
        used.reads("the state", detail::bytes_of(detail::as_table(output_)));
        used.writes("y", detail::bytes_of(to));
        used.validate();
        for (index b = 0; b < to.batch(); ++b)
            for (index h = 0; h < to.heads(); ++h)
                for (index q = 0; q < to.positions(); ++q)
                    for (index f = 0; f < to.features(); ++f)
                        to(b, h, q, f) = static_cast<Element>(output_(b, h, q, f));
    }

    const output_tensor& output() const { return output_; }
    // (batch, head, query): ln of the sum of e^score, -inf where a query has seen nothing; and what it is made
    // of, the largest score and the sum of e^(score - largest), -inf and 0 there.
    const row_tensor& logsumexp() const { return logsumexp_; }
    const row_tensor& maximum() const { return maximum_; }
    const row_tensor& sum() const { return sum_; }

private:
    static output_tensor sized(index batch, index heads, index queries, index value_features) {
        detail::check_axis("softmax_state", "batch", batch);
        detail::check_axis("softmax_state", "heads", heads);
        detail::check_axis("softmax_state", "queries", queries);
        detail::check_axis("softmax_state", "value_features", value_features);
        detail::checked_product("softmax_state", {batch, heads, queries});
        detail::checked_product("softmax_state", {batch, heads, queries, value_features});
        return output_tensor(batch, heads, queries, value_features);
    }

    void join(const output_tensor& y, const row_tensor& maximum, const row_tensor& sum) {
        const index rows = static_cast<index>(sum_.size());
        const index features = static_cast<index>(output_.dimension(3));
        for (index r = 0; r < rows; ++r) {
            if (sum.data()[r] == sum_type(0)) continue;
            detail::merge_row<sum_type>(output_.data() + r * features, 1, maximum_.data()[r], sum_.data()[r],
                                        y.data() + r * features, 1, maximum.data()[r], sum.data()[r],
                                        features);
            logsumexp_.data()[r] = detail::logsumexp_of(maximum_.data()[r], sum_.data()[r]);
        }
    }

    output_tensor output_;
    row_tensor maximum_;
    row_tensor sum_;
    row_tensor logsumexp_;
    // The keys that are being absorbed.
    output_tensor part_output_{0, 0, 0, 0};
    row_tensor part_maximum_{0, 0, 0};
    row_tensor part_sum_{0, 0, 0};
};

}  // namespace HEED_ABI
}  // namespace heed
