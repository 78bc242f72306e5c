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
// heed::merge joins finished parts: outputs with their log-sum-exp.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <heed/attention.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// Joins row b into row a, both (output, log-sum-exp); a part that saw nothing (-inf) changes no bit.
template <class T, class A, class B>
void merge_row(A* a, index a_stride, T& lse_a, const B* b, index b_stride, T lse_b, index features) {
    const T nothing = -std::numeric_limits<T>::infinity();
    if (scalar::bits_of(lse_b) == scalar::bits_of(nothing)) return;
    if (scalar::bits_of(lse_a) == scalar::bits_of(nothing)) {
        for (index f = 0; f < features; ++f)
            a[f * a_stride] = static_cast<A>(static_cast<T>(b[f * b_stride]));
        lse_a = lse_b;
        return;
    }
    const T most = lse_a < lse_b ? lse_b : lse_a;
    const T x = std::exp(lse_a - most);
    const T y = std::exp(lse_b - most);
    const T sum = x + y;
    const T keep = x / sum;
    const T take = y / sum;
    for (index f = 0; f < features; ++f) {
        const T joined = keep * static_cast<T>(a[f * a_stride]) + take * static_cast<T>(b[f * b_stride]);
        a[f * a_stride] = static_cast<A>(joined);
    }
    lse_a = most + std::log(sum);
}

}  // namespace detail

// Joins two finished parts of the keys of the same queries, in place: y_a and lse_a become those of all
// keys. Shapes: y (batch, head, query, value feature), lse (batch, head, query) in float, or double for
// double. Throws heed::error when they differ. Allocates nothing.
template <class Ya, class La, class Yb, class Lb>
void merge(Ya&& y_a, La&& lse_a, const Yb& y_b, const Lb& lse_b) {
    const auto a = as_view(y_a);
    const auto b = as_view(y_b);
    using A = std::remove_pointer_t<decltype(a.data)>;
    using S = sum_t<A>;
    static_assert(!std::is_const_v<A>, "heed::merge: y_a is written, and this tensor is const");
    detail::check_same_extents("merge", "y_b", b, "y_a", a);
    const std::array<index, 4> rows{1, a.batch(), a.heads(), a.positions()};
    const auto la = detail::exact_extents("merge", "lse_a", detail::output_table(lse_a), rows, 3);
    const auto lb = detail::exact_extents("merge", "lse_b", detail::as_table(lse_b), rows, 3);
    static_assert(std::is_same_v<decltype(la.data), S*> &&
                      std::is_same_v<std::remove_const_t<std::remove_pointer_t<decltype(lb.data)>>, S>,
                  "heed::merge: log-sum-exps are float, or double where the outputs are double");
    detail::call_memory used("merge");
    used.reads("y_b", detail::bytes_of(b));
    used.reads("lse_b", detail::bytes_of(lb));
    used.writes("y_a", detail::bytes_of(a));
    used.writes("lse_a", detail::bytes_of(la));
    used.validate();
    for (index i = 0; i < a.batch(); ++i)
        for (index h = 0; h < a.heads(); ++h)
            for (index q = 0; q < a.positions(); ++q)
                detail::merge_row<S>(&a(i, h, q, 0), a.strides[3],
                                     la.data[i * la.strides[1] + h * la.strides[2] + q * la.strides[3]],
                                     &b(i, h, q, 0), b.strides[3],
                                     lb.data[i * lb.strides[1] + h * lb.strides[2] + q * lb.strides[3]],
                                     a.features());
}

// The state of attention over the keys seen so far, for a fixed set of queries. Holds the output so far,
// normalised, with its log-sum-exp, in the type sums are kept in.
template <class T>
class softmax_state {
    static_assert(element<T>, "heed::softmax_state<T>: T is float, double, Eigen::half or Eigen::bfloat16");

public:
    using sum_type = sum_t<T>;
    using output_tensor = Eigen::Tensor<sum_type, 4, Eigen::RowMajor>;
    using logsumexp_tensor = Eigen::Tensor<sum_type, 3, Eigen::RowMajor>;

    // The empty state: the identity of merge.
    softmax_state(index batch, index heads, index queries, index value_features)
        : output_(sized(batch, heads, queries, value_features)), logsumexp_(batch, heads, queries) {
        reset();
    }

    void reset() {
        output_.setZero();
        logsumexp_.setConstant(-std::numeric_limits<sum_type>::infinity());
    }

    // Takes in keys and their values; options are those of heed::attention but logsumexp. Masks and score
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
        output_tensor y(output_.dimension(0), output_.dimension(1), output_.dimension(2),
                        output_.dimension(3));
        logsumexp_tensor lse(output_.dimension(0), output_.dimension(1), output_.dimension(2));
        attention_into(y, q, k, v, options..., heed::logsumexp(lse));
        join(y, lse);
    }

    // Joins another state of the same queries; the empty state changes nothing.
    void merge(const softmax_state& other) {
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (output_.dimension(axis) != other.output_.dimension(axis))
                detail::fail("softmax_state::merge",
                             {"axis ", axis, " of the other state has ", other.output_.dimension(axis),
                              " elements, needs ", output_.dimension(axis)});
        join(other.output_, other.logsumexp_);
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
    const logsumexp_tensor& logsumexp() const { return logsumexp_; }

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

    template <class Other>
    void join(const Other& y, const logsumexp_tensor& lse) {
        const index rows = static_cast<index>(lse.size());
        const index features = static_cast<index>(output_.dimension(3));
        for (index r = 0; r < rows; ++r)
            detail::merge_row<sum_type>(output_.data() + r * features, 1, logsumexp_.data()[r],
                                        y.data() + r * features, 1, lse.data()[r], features);
    }

    output_tensor output_;
    logsumexp_tensor logsumexp_;
};

}  // namespace HEED_ABI
}  // namespace heed
