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
// heed::attention, one type for all, but dy may be float beside half and bfloat16. Options:
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

#include <heed/kernel/cummax/attention_call.hpp>

namespace heed::inline HEED_ABI {

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
    detail::write_result(detail::cummax_attention_call{}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(o, a1, a2), options...);
}

// A new tensor of o's kind.
template <class O, class A1, class A2, class... Options>
auto cummax_attention(const O& o, const A1& a1, const A2& a2, const Options&... options) {
    return detail::make_result(detail::cummax_attention_call{}, detail::tensors(o, a1, a2), options...);
}

// Writes the gradients of o, a1 and a2; each needs memory of its own.
template <class Do, class Da1, class Da2, class Dy, class O, class A1, class A2, class... Options>
void cummax_attention_backward_into(Do&& d_o, Da1&& d_a1, Da2&& d_a2, const Dy& dy, const O& o, const A1& a1,
                                    const A2& a2, const Options&... options) {
    detail::write_result(
        detail::cummax_attention_backward_call{},
        detail::tensors(std::forward<Do>(d_o), std::forward<Da1>(d_a1), std::forward<Da2>(d_a2)),
        detail::tensors(o, a1, a2, dy), options...);
}

// dy is the gradient of the output.
template <class Dy, class O, class A1, class A2, class... Options>
auto cummax_attention_backward(const Dy& dy, const O& o, const A1& a1, const A2& a2,
                               const Options&... options) {
    return detail::make_result(detail::cummax_attention_backward_call{}, detail::tensors(o, a1, a2, dy),
                               options...);
}

}  // namespace heed::inline HEED_ABI
