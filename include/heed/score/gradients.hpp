// SPDX-License-Identifier: MIT
// heed/score/gradients.hpp: the gradients of what was added to the scores, written by the backward
//
// Tensors of float (double for double), the caller's, every element is written. A bias's gradient has the
// bias's own extents: axes that it broadcasts along are summed.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/option.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

template <option_kind Kind, class T>
struct gradient_option : option<Kind> {
    table<T> to;
    explicit gradient_option(const table<T>& t) : to(t) {}
};

template <option_kind Kind, class X>
auto gradient_into(X&& x) {
    auto t = as_table(x);
    using T = std::remove_pointer_t<decltype(t.data)>;
    static_assert(!std::is_const_v<T>, "heed: a gradient is written, and this tensor is const");
    static_assert(table_may_be_kept<X>,
                  "heed: the gradient is a temporary and would be gone; give the tensor a name");
    return gradient_option<Kind, T>(t);
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

}  // namespace HEED_ABI
}  // namespace heed
