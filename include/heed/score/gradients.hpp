// SPDX-License-Identifier: MIT
// heed/score/gradients.hpp: the gradients of what was added to the scores, written by the backward, and the
// one that reaches the log-sum-exp, read by it
//
// Tensors of float (double for double), the caller's. Of those that are written every element is. A bias's
// gradient has the bias's own extents: axes that it broadcasts along are summed.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/check.hpp>
#include <heed/core/option.hpp>
#include <heed/core/strided.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <option_kind Kind, class T>
struct gradient_option : option<Kind> {
    table<T> to;
    explicit gradient_option(const table<T>& t) : to(t) {}
};

template <option_kind Kind, class X>
auto gradient_into(X&& x) {
    auto t = as_table(x);
    using T = stored_t<decltype(t)>;
    static_assert(!std::is_const_v<T>, "heed: a gradient is written, and this tensor is const");
    static_assert(table_may_be_kept<X>,
                  "heed: the gradient is a temporary and would be gone; give the tensor a name");
    return gradient_option<Kind, T>(t);
}

template <class S>
struct logsumexp_gradient_option : option<option_kind::logsumexp_gradient> {
    table<const S> from;
    explicit logsumexp_gradient_option(const table<const S>& t) : from(t) {}
};

// What flows back into the log-sum-exps, (batch, head, query); without memory where the option is absent.
template <class S>
strided<const S> rows_into_logsumexp(std::string_view function, call_memory& used, const problem_shape& shape,
                                     const auto&... options) {
    const auto& given = pick<option_kind::logsumexp_gradient>(options...);
    if constexpr (is_absent<decltype(given)>) {
        return {};
    } else {
        static_assert(
            std::is_same_v<decltype(given.from), table<const S>>,
            "heed::logsumexp_gradient: the gradient of the log-sum-exp is float, or double where q, k "
            "and v are double");
        const auto t = exact_extents(function, "the gradient of the log-sum-exp", given.from,
                                     {1, shape.batch, shape.heads, shape.queries}, 3);
        used.reads("the gradient of the log-sum-exp", bytes_of(t));
        return {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
    }
}

}  // namespace detail

// Needs bias(t) beside it.
template <class X>
auto bias_gradient(X&& to) {
    return detail::gradient_into<option_kind::bias_gradient>(std::forward<X>(to));
}
// One number per head; needs alibi(slopes), or alibi(), beside it.
template <class X>
auto slopes_gradient(X&& to) {
    return detail::gradient_into<option_kind::slopes_gradient>(std::forward<X>(to));
}
// One number per head; needs sinks(logits) beside it.
template <class X>
auto sinks_gradient(X&& to) {
    return detail::gradient_into<option_kind::sinks_gradient>(std::forward<X>(to));
}
// What flows back into the log-sum-exp that the forward wrote, (batch, head, query): a loss on it, such as a
// z-loss, or parts of the keys that are joined by their log-sum-exps. It adds P dL to the gradient of the
// scores, one subtraction a row. Keeps a reference to the tensor, which is only read. The log-sum-exp of a
// query that sees nothing is a constant: what flows into it goes nowhere.
template <class X>
auto logsumexp_gradient(X&& from) {
    static_assert(detail::has_elements<X>,
                  "heed::logsumexp_gradient: needs a tensor (batch, head, query) that has its elements in "
                  "memory; an expression has to be evaluated first");
    static_assert(detail::table_may_be_kept<X>,
                  "heed::logsumexp_gradient: the tensor is a temporary and would be gone; give it a name");
    const auto t = detail::as_table(from);
    using S = detail::element_t<decltype(t)>;
    return detail::logsumexp_gradient_option<S>({t.data, t.extents, t.strides, t.rank});
}

}  // namespace heed::inline HEED_ABI
