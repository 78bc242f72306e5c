// SPDX-License-Identifier: MIT
// heed/cummax/attention.hpp: cummax attention
//
//     e[t] = max over u <= t of o[u]          along positions, every channel for itself
//     p[h] = max over g <= h of e[g]          over the heads up to each (across_heads), or p = e
//     (heads_apart) y    = (p + a1) a2 + a1
//
//     auto y = heed::cummax_attention(o, a1, a2);
//     heed::cummax_attention_into(y, o, a1, a2, heed::state(s));        a part of a stream
//     auto g = heed::cummax_attention_backward(dy, o, a1, a2);          g.o, g.a1, g.a2
//
// Shapes: o, a1, a2, y and their gradients (batch, head, position, feature); element types and layouts as for
// heed::attention, one type for all. Options:
//     across_heads, heads_apart       heed/cummax/options.hpp
//     hybrid(alpha)                   p = alpha cummax_heads(e) + (1 - alpha) softmax_heads(e)
//     hybrid_gradient(t)              backward: also writes the gradient of alpha
//     along::axis                     what e runs along; position by default
//     state(t), initial_state(t), final_state(t), initial_state_gradient(t), final_state_gradient(t)
//                                     e after the last position, (batch, head, 1, feature), of float (double
//                                     for double); -inf where nothing was seen
//     on(device), use(workspace)
//
// The maximum is the later element where two are equal (+0 and -0 are) and NaN from the first NaN on, as in
// torch.cummax. A gradient goes to the element that set the maximum, the last of equal ones.
//
// Bits: the same for any number of threads, batch size, split of the positions into calls with a state, and
// target: the product is rounded before the sum. With hybrid, targets differ by the rounding of exp.
// Gradients are summed in chunks of 256 positions from the first one of the call, so they do not depend on
// threads, but a split elsewhere changes their rounding.
//
// Cost: forward reads three tensors and writes one; O(1) time and memory a position. Backward reads o twice,
// and keeps a state for every 256 positions. Source: SamOut (dfytensor), written down in one pass.
//
// Throws heed::error before anything is written when the arguments do not fit; std::bad_alloc. Allocates the
// result, and scratch unless use(workspace) gives it: less than 1 MiB a thread forward, about 6 MiB backward
// (up to 64 heads) beside the states.
#pragma once

#include <heed/core/tensor.hpp>
#include <heed/kernel/cummax/attention_call.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// All of them hold the element type of the first.
template <class First, class... Others>
constexpr bool check_cummax_elements() {
    using T = element_of_argument<First>;
    static_assert((std::is_same_v<T, element_of_argument<Others>> && ...),
                  "heed::cummax: the tensors of a call hold different element types; convert them to one");
    return (std::is_same_v<T, element_of_argument<Others>> && ...);
}
template <class X>
inline constexpr bool is_read_only = std::is_const_v<stored_t<decltype(as_view(std::declval<X&>()))>>;

// The outputs of a call. The checks answer rather than only assert: a call asks them in `if constexpr`, so
// that their sentence comes before the errors of code that the mistake would break.
template <class... Outputs>
constexpr bool check_written() {
    static_assert((table_may_be_kept<Outputs> && ...),
                  "heed::cummax: an output is a temporary, and the result would be gone; give it a name");
    static_assert(!(is_read_only<Outputs> || ...),
                  "heed::cummax: an output is written, and this tensor is const");
    return !(is_read_only<Outputs> || ...);
}

}  // namespace detail

// The gradients of o, a1 and a2, each of its tensor's kind.
template <class O, class A1, class A2>
struct cummax_gradients {
    O o;
    A1 a1;
    A2 a2;
};

// Writes y, which may be o, a1 or a2 itself.
template <class Y, class O, class A1, class A2, class... Options>
void cummax_attention_into(Y&& y, const O& o, const A1& a1, const A2& a2, const Options&... options) {
    using T = detail::element_of_argument<const O>;
    if constexpr (detail::cummax_forward_options::validate<Options...>() && detail::check_written<Y>() &&
                  detail::check_cummax_elements<const O, const A1, const A2, Y>())
        detail::run_cummax_attention<T>("cummax_attention_into", as_view(y), as_view(o), as_view(a1),
                                        as_view(a2), options...);
}

// A new tensor of o's kind.
template <class O, class A1, class A2, class... Options>
auto cummax_attention(const O& o, const A1& a1, const A2& a2, const Options&... options) {
    using T = detail::element_of_argument<const O>;
    const view<const T> from(as_view(o));
    detail::check_extents("cummax_attention", "o", from);
    auto y = detail::result_of<O>::make(from.extents);
    if constexpr (detail::cummax_forward_options::validate<Options...>() &&
                  detail::check_cummax_elements<const O, const A1, const A2>())
        detail::run_cummax_attention<T>("cummax_attention", detail::result_view(y), from, as_view(a1),
                                        as_view(a2), options...);
    return y;
}

// Writes the gradients of o, a1 and a2; each needs memory of its own.
template <class Do, class Da1, class Da2, class Dy, class O, class A1, class A2, class... Options>
void cummax_attention_backward_into(Do&& d_o, Da1&& d_a1, Da2&& d_a2, const Dy& dy, const O& o, const A1& a1,
                                    const A2& a2, const Options&... options) {
    using T = detail::element_of_argument<const O>;
    if constexpr (detail::cummax_backward_options::validate<Options...>() &&
                  detail::check_written<Do, Da1, Da2>() &&
                  detail::check_cummax_elements<const O, const A1, const A2, const Dy, Do, Da1, Da2>())
        detail::run_cummax_attention_backward<T>("cummax_attention_backward_into", as_view(d_o),
                                                 as_view(d_a1), as_view(d_a2), as_view(dy), as_view(o),
                                                 as_view(a1), as_view(a2), options...);
}

// dy is the gradient of the output.
template <class Dy, class O, class A1, class A2, class... Options>
auto cummax_attention_backward(const Dy& dy, const O& o, const A1& a1, const A2& a2,
                               const Options&... options) {
    using T = detail::element_of_argument<const O>;
    const view<const T> from(as_view(o));
    constexpr const char* function = "cummax_attention_backward";
    detail::check_extents(function, "o", from);
    cummax_gradients<decltype(detail::result_of<O>::make(from.extents)),
                     decltype(detail::result_of<A1>::make(from.extents)),
                     decltype(detail::result_of<A2>::make(from.extents))>
        g{detail::result_of<O>::make(from.extents), detail::result_of<A1>::make(from.extents),
          detail::result_of<A2>::make(from.extents)};
    if constexpr (detail::cummax_backward_options::validate<Options...>() &&
                  detail::check_cummax_elements<const O, const A1, const A2, const Dy>())
        detail::run_cummax_attention_backward<T>(function, detail::result_view(g.o),
                                                 detail::result_view(g.a1), detail::result_view(g.a2),
                                                 as_view(dy), from, as_view(a1), as_view(a2), options...);
    return g;
}

}  // namespace heed::inline HEED_ABI
