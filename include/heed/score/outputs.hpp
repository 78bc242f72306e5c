// SPDX-License-Identifier: MIT
// heed/score/outputs.hpp: what a call also writes: log-sum-exp, its maximum and sum, weights, scores at a
// stage
//
// The tensors are the caller's, of float (double for double), and every element is written. Scores are
// (batch, head, query, key): writing them costs their memory and visits every tile, hidden ones too.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/score/concept.hpp>

namespace heed::inline HEED_ABI {

// raw: x <q, k>; capped: after the softcap; biased: after score(f), alibi, bias and mask, hidden ones -inf;
// probabilities: the softmax.
enum class stage { raw, capped, biased, probabilities };

namespace detail {

template <class X>
auto output_table(X&& x) {
    auto t = as_table(x);
    using T = stored_t<decltype(t)>;
    static_assert(!std::is_const_v<T>, "heed: an output is written, and this tensor is const");
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed: log-sum-exp, weights and scores are float, or double where q, k and v are");
    static_assert(table_may_be_kept<X>, "heed: the output is a temporary and would be gone; give it a name");
    return t;
}

template <class T>
struct logsumexp_option : option<option_kind::logsumexp> {
    table<T> to;
    explicit logsumexp_option(const table<T>& t) : to(t) {}
};
template <class T>
struct maximum_and_sum_option : option<option_kind::maximum_and_sum> {
    table<T> maximum;
    table<T> sum;
    maximum_and_sum_option(const table<T>& m, const table<T>& l) : maximum(m), sum(l) {}
};
template <class T>
struct weights_option : option<option_kind::weights> {
    table<T> to;
    explicit weights_option(const table<T>& t) : to(t) {}
};
template <class T>
struct scores_option : option<option_kind::scores> {
    table<T> to;
    stage at_stage;
    scores_option(const table<T>& t, stage s) : to(t), at_stage(s) {}
};

// The step that writes scores out as they pass; nowhere when there is no table.
template <class S>
struct bound_capture {
    table<S> to;

    template <class T>
    struct written {
        S* first;
        index lane_stride;
        index row_stride;
        std::int32_t last;
        HEED_INLINE T operator()(T s, at, lane_pos x) const {
            if (first != nullptr && x.lane <= last)
                first[x.lane * lane_stride + x.row * row_stride] = static_cast<S>(s);
            return s;
        }
    };
    template <class T>
    written<T> lanes(const lane_block& block) const {
        if (to.data == nullptr) return {nullptr, 0, 0, 0};
        return {to.data + block.first.batch * to.strides[0] + block.first.head * to.strides[1] +
                    block.first.query * to.strides[2] + block.first.key * to.strides[3],
                block.lane_stride(to.strides[2], to.strides[3]),
                block.row_stride(to.strides[2], to.strides[3]), block.last};
    }
};

}  // namespace detail

// Natural logarithm of the sum of e^score, (batch, head, query); -inf where a query sees no key.
template <class X>
auto logsumexp(X&& to) {
    return detail::logsumexp_option(detail::output_table(std::forward<X>(to)));
}
// The largest score m of every query and the sum of e^(score - m), both (batch, head, query); -inf and 0
// where a query sees no key. What the log-sum-exp is made of, m + ln(sum), before it is rounded: beside
// scores of -1e9 a log-sum-exp of float cannot tell one key from ten, these can (heed::merge).
template <class M, class L>
auto maximum_and_sum(M&& maximum, L&& sum) {
    const auto m = detail::output_table(std::forward<M>(maximum));
    const auto l = detail::output_table(std::forward<L>(sum));
    static_assert(std::is_same_v<decltype(m), decltype(l)>,
                  "heed::maximum_and_sum: the two tensors hold different element types");
    return detail::maximum_and_sum_option(m, l);
}
// The softmax of the scores, before dropout, (batch, head, query, key).
template <class X>
auto weights(X&& to) {
    return detail::weights_option(detail::output_table(std::forward<X>(to)));
}
// The scores at a stage, (batch, head, query, key).
template <class X>
auto scores(X&& to, stage at_stage) {
    return detail::scores_option(detail::output_table(std::forward<X>(to)), at_stage);
}

}  // namespace heed::inline HEED_ABI
