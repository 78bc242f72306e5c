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

namespace detail {

// The calls under the name of the function that the caller wrote.
template <class Y, class O, class A1, class A2, class... Options>
void maxstate_named(const char* function, Y&& y, const O& o, const A1& a1, const A2& a2,
                    const Options&... options) {
    using T = element_of_argument<const O>;
    if constexpr (maxstate_options::validate<Options...>() && check_written<Y>() &&
                  check_cummax_elements<const O, const A1, const A2, Y>())
        run_maxstate<T>(function, as_view(y), as_view(o), as_view(a1), as_view(a2), options...);
}

template <class Do, class Da1, class Da2, class Dy, class O, class A1, class A2, class... Options>
void maxstate_backward_named(const char* function, Do&& d_o, Da1&& d_a1, Da2&& d_a2, const Dy& dy, const O& o,
                             const A1& a1, const A2& a2, const Options&... options) {
    using T = element_of_argument<const O>;
    if constexpr (maxstate_backward_options::validate<Options...>() && check_written<Do, Da1, Da2>() &&
                  check_cummax_elements<const O, const A1, const A2, const Dy, Do, Da1, Da2>())
        run_maxstate_backward<T>(function, as_view(d_o), as_view(d_a1), as_view(d_a2), as_view(dy),
                                 as_view(o), as_view(a1), as_view(a2), options...);
}

template <class Y, class A, class B, class C, class D, class... Options>
void maxstate_super_named(const char* function, Y&& y, const A& a, const B& b, const C& c, const D& d,
                          const std::array<double, 3>& alphas, const Options&... options) {
    using T = element_of_argument<const A>;
    if constexpr (super_options::validate<Options...>() && check_written<Y>() &&
                  check_cummax_elements<const A, const B, const C, const D, Y>())
        run_super<T>(function, as_view(y),
                     std::array<view<const T>, 4>{as_view(a), as_view(b), as_view(c), as_view(d)}, alphas,
                     options...);
}

template <class Da, class Db, class Dc, class Dd, class Dy, class A, class B, class C, class D,
          class... Options>
void maxstate_super_backward_named(const char* function, Da&& da, Db&& db, Dc&& dc, Dd&& dd,
                                   std::array<double, 3>& d_alphas, const Dy& dy, const A& a, const B& b,
                                   const C& c, const D& d, const std::array<double, 3>& alphas,
                                   const Options&... options) {
    using T = element_of_argument<const A>;
    if constexpr (super_backward_options::validate<Options...>() && check_written<Da, Db, Dc, Dd>() &&
                  check_cummax_elements<const A, const B, const C, const D, const Dy, Da, Db, Dc, Dd>())
        run_super_backward<T>(
            function, std::array<view<T>, 4>{as_view(da), as_view(db), as_view(dc), as_view(dd)}, d_alphas,
            as_view(dy), std::array<view<const T>, 4>{as_view(a), as_view(b), as_view(c), as_view(d)}, alphas,
            options...);
}

}  // namespace detail

template <class Y, class O, class A1, class A2, class... Options>
void maxstate_into(Y&& y, const O& o, const A1& a1, const A2& a2, const Options&... options) {
    detail::maxstate_named("maxstate_into", std::forward<Y>(y), o, a1, a2, options...);
}

// A new tensor of o's kind.
template <class O, class A1, class A2, class... Options>
auto maxstate(const O& o, const A1& a1, const A2& a2, const Options&... options) {
    const view<const detail::element_of_argument<const O>> from(as_view(o));
    detail::check_extents("maxstate", "o", from);
    auto y = detail::result_of<O>::make(from.extents);
    detail::maxstate_named("maxstate", detail::result_view(y), o, a1, a2, options...);
    return y;
}

// Writes the gradients of o, a1 and a2; each needs memory of its own.
template <class Do, class Da1, class Da2, class Dy, class O, class A1, class A2, class... Options>
void maxstate_backward_into(Do&& d_o, Da1&& d_a1, Da2&& d_a2, const Dy& dy, const O& o, const A1& a1,
                            const A2& a2, const Options&... options) {
    detail::maxstate_backward_named("maxstate_backward_into", std::forward<Do>(d_o), std::forward<Da1>(d_a1),
                                    std::forward<Da2>(d_a2), dy, o, a1, a2, options...);
}

template <class Dy, class O, class A1, class A2, class... Options>
auto maxstate_backward(const Dy& dy, const O& o, const A1& a1, const A2& a2, const Options&... options) {
    const view<const detail::element_of_argument<const O>> from(as_view(o));
    detail::check_extents("maxstate_backward", "o", from);
    cummax_gradients<decltype(detail::result_of<O>::make(from.extents)),
                     decltype(detail::result_of<A1>::make(from.extents)),
                     decltype(detail::result_of<A2>::make(from.extents))>
        g{detail::result_of<O>::make(from.extents), detail::result_of<A1>::make(from.extents),
          detail::result_of<A2>::make(from.extents)};
    detail::maxstate_backward_named("maxstate_backward", detail::result_view(g.o), detail::result_view(g.a1),
                                    detail::result_view(g.a2), dy, o, a1, a2, options...);
    return g;
}

// y needs memory of its own.
template <class Y, class A, class B, class C, class D, class... Options>
void maxstate_super_into(Y&& y, const A& a, const B& b, const C& c, const D& d,
                         const std::array<double, 3>& alphas, const Options&... options) {
    detail::maxstate_super_named("maxstate_super_into", std::forward<Y>(y), a, b, c, d, alphas, options...);
}

// A new tensor of a's kind.
template <class A, class B, class C, class D, class... Options>
auto maxstate_super(const A& a, const B& b, const C& c, const D& d, const std::array<double, 3>& alphas,
                    const Options&... options) {
    const view<const detail::element_of_argument<const A>> from(as_view(a));
    detail::check_extents("maxstate_super", "a", from);
    auto y = detail::result_of<A>::make(from.extents);
    detail::maxstate_super_named("maxstate_super", detail::result_view(y), a, b, c, d, alphas, options...);
    return y;
}

template <class Da, class Db, class Dc, class Dd, class Dy, class A, class B, class C, class D,
          class... Options>
void maxstate_super_backward_into(Da&& da, Db&& db, Dc&& dc, Dd&& dd, std::array<double, 3>& d_alphas,
                                  const Dy& dy, const A& a, const B& b, const C& c, const D& d,
                                  const std::array<double, 3>& alphas, const Options&... options) {
    detail::maxstate_super_backward_named("maxstate_super_backward_into", std::forward<Da>(da),
                                          std::forward<Db>(db), std::forward<Dc>(dc), std::forward<Dd>(dd),
                                          d_alphas, dy, a, b, c, d, alphas, options...);
}

template <class Dy, class A, class B, class C, class D, class... Options>
auto maxstate_super_backward(const Dy& dy, const A& a, const B& b, const C& c, const D& d,
                             const std::array<double, 3>& alphas, const Options&... options) {
    const view<const detail::element_of_argument<const A>> from(as_view(a));
    detail::check_extents("maxstate_super_backward", "a", from);
    maxstate_super_gradients<decltype(detail::result_of<A>::make(from.extents)),
                             decltype(detail::result_of<B>::make(from.extents)),
                             decltype(detail::result_of<C>::make(from.extents)),
                             decltype(detail::result_of<D>::make(from.extents))>
        g{detail::result_of<A>::make(from.extents), detail::result_of<B>::make(from.extents),
          detail::result_of<C>::make(from.extents), detail::result_of<D>::make(from.extents)};
    detail::maxstate_super_backward_named(
        "maxstate_super_backward", detail::result_view(g.a), detail::result_view(g.b),
        detail::result_view(g.c), detail::result_view(g.d), g.alphas, dy, a, b, c, d, alphas, options...);
    return g;
}

}  // namespace heed::inline HEED_ABI
