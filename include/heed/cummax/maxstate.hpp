// SPDX-License-Identifier: MIT
// heed/cummax/maxstate.hpp: the forms that published models use
//
// maxstate (SamOutV1), o, a1, a2 (batch, head, position, feature); only what the maximum runs over is scaled,
// by the features of a head:
//     e = cummax((o + a1) / sqrt(features)),   y = (e + a2) e + a1
//
// maxstate_super (OpenASH, FRSMASH, SamOut's MNIST test), a, b, c, d of the same shape, nothing scaled,
// alphas {k1, k2, k3}:
//     e = cummax(c)
//     y = a b + k1 b + k2 d + a (k3 e + d) + b (c + e) + c e [+ w e]
// head_mix(m), (heads, 5 heads), adds the last term: w = m u, u the heads of a, b, c, d, e one behind the
// other.
//
//     auto y = heed::maxstate(o, a1, a2, heed::state(s));
//     auto g = heed::maxstate_backward(dy, o, a1, a2);                        g.o, g.a1, g.a2
//     auto y = heed::maxstate_super(a, b, c, d, {0.5, 0.5, 0.5}, heed::head_mix(m));
//     auto g = heed::maxstate_super_backward(dy, a, b, c, d, {0.5, 0.5, 0.5}, heed::head_mix(m),
//                                            heed::head_mix_gradient(dm));    g.a … g.d, g.alphas
//
// Options: state, initial_state, final_state, on, use; backward: initial_state, initial_state_gradient,
// final_state_gradient, head_mix_gradient. A state is e after the last position, (batch, head, 1, feature).
// Several positions with a state are right, too: the published code keeps only the last row then, and so lets
// early positions see later ones.
//
// Bits: those of any split, number of threads and target, forward; sums of gradients as in
// cummax/attention.hpp. Errors and memory likewise. maxstate_into's y may be o, a1 or a2 itself.
#pragma once

#include <heed/cummax/attention.hpp>
#include <heed/kernel/cummax/maxstate_call.hpp>

namespace heed::inline HEED_ABI {

// A linear map over heads, (heads, 5 heads), kept by reference; and the backward's gradient of it.
template <class X>
auto head_mix(X&& m) {
    return detail::reading<option_kind::head_mix>(std::forward<X>(m));
}
template <class X>
auto head_mix_gradient(X&& t) {
    return detail::writing<option_kind::head_mix_gradient>(std::forward<X>(t));
}

// The gradients of maxstate_super, each tensor of its input's kind.
template <class A, class B, class C, class D>
struct maxstate_super_gradients {
    A a;
    B b;
    C c;
    D d;
    std::array<double, 3> alphas{};
};

template <class Y, class O, class A1, class A2, class... Options>
void maxstate_into(Y&& y, const O& o, const A1& a1, const A2& a2, const Options&... options) {
    detail::write_result(detail::maxstate_call{}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(o, a1, a2), options...);
}

// A new tensor of o's kind.
template <class O, class A1, class A2, class... Options>
auto maxstate(const O& o, const A1& a1, const A2& a2, const Options&... options) {
    return detail::make_result(detail::maxstate_call{}, detail::tensors(o, a1, a2), options...);
}

// Writes the gradients of o, a1 and a2; each needs memory of its own.
template <class Do, class Da1, class Da2, class Dy, class O, class A1, class A2, class... Options>
void maxstate_backward_into(Do&& d_o, Da1&& d_a1, Da2&& d_a2, const Dy& dy, const O& o, const A1& a1,
                            const A2& a2, const Options&... options) {
    detail::write_result(
        detail::maxstate_backward_call{},
        detail::tensors(std::forward<Do>(d_o), std::forward<Da1>(d_a1), std::forward<Da2>(d_a2)),
        detail::tensors(o, a1, a2, dy), options...);
}

template <class Dy, class O, class A1, class A2, class... Options>
auto maxstate_backward(const Dy& dy, const O& o, const A1& a1, const A2& a2, const Options&... options) {
    return detail::make_result(detail::maxstate_backward_call{}, detail::tensors(o, a1, a2, dy), options...);
}

// y needs memory of its own.
template <class Y, class A, class B, class C, class D, class... Options>
void maxstate_super_into(Y&& y, const A& a, const B& b, const C& c, const D& d,
                         const std::array<double, 3>& alphas, const Options&... options) {
    detail::write_result(detail::maxstate_super_call{{}, alphas}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(a, b, c, d), options...);
}

// A new tensor of a's kind.
template <class A, class B, class C, class D, class... Options>
auto maxstate_super(const A& a, const B& b, const C& c, const D& d, const std::array<double, 3>& alphas,
                    const Options&... options) {
    return detail::make_result(detail::maxstate_super_call{{}, alphas}, detail::tensors(a, b, c, d),
                               options...);
}

template <class Da, class Db, class Dc, class Dd, class Dy, class A, class B, class C, class D,
          class... Options>
void maxstate_super_backward_into(Da&& da, Db&& db, Dc&& dc, Dd&& dd, std::array<double, 3>& d_alphas,
                                  const Dy& dy, const A& a, const B& b, const C& c, const D& d,
                                  const std::array<double, 3>& alphas, const Options&... options) {
    detail::write_result(detail::maxstate_super_backward_call{{}, alphas, d_alphas},
                         detail::tensors(std::forward<Da>(da), std::forward<Db>(db), std::forward<Dc>(dc),
                                         std::forward<Dd>(dd)),
                         detail::tensors(a, b, c, d, dy), options...);
}

template <class Dy, class A, class B, class C, class D, class... Options>
auto maxstate_super_backward(const Dy& dy, const A& a, const B& b, const C& c, const D& d,
                             const std::array<double, 3>& alphas, const Options&... options) {
    std::array<double, 3> d_alphas{};
    auto g = detail::make_result(detail::maxstate_super_backward_call{{}, alphas, d_alphas},
                                 detail::tensors(a, b, c, d, dy), options...);
    g.alphas = d_alphas;
    return g;
}

}  // namespace heed::inline HEED_ABI
