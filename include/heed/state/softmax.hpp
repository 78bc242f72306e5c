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
// heed::merge, of state/merge.hpp, joins finished parts.
#pragma once

#include <limits>

#include <heed/attention.hpp>
#include <heed/state/merge.hpp>

namespace heed::inline HEED_ABI {

// The state of attention over the keys seen so far, for a fixed set of queries. Holds the output so far,
// normalised, with the largest score and the sum of the exponentials relative to it (and their log-sum-exp),
// in the type sums are kept in; and, from the first absorb on, memory for as much again, so that the next
// ones allocate nothing but scratch.
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
        static_assert(
            detail::count_of<option_kind::maximum_and_sum, Options...> == 0,
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
        using Element = detail::stored_t<decltype(to)>;
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
    // (batch, head, query): ln of the sum of e^score, -inf where a query has seen nothing; and what it is
    // made of, the largest score and the sum of e^(score - largest), -inf and 0 there.
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

}  // namespace heed::inline HEED_ABI
