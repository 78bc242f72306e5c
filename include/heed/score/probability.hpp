// SPDX-License-Identifier: MIT
// heed/score/probability.hpp: any function of a weight and its place, between the softmax and the values
//
//     y = sum over keys of f(p, at) v        p = softmax(scores)
//
//     probability([](auto p, heed::at i) { return heed::math::max(p - 0.01f, 0.f); })
//
// What f gives meets the values as it is: it is not normalised again, and may be negative. Hidden keys keep
// 0, whatever f says about them. weights(t), logsumexp(t) and maximum_and_sum(m, l) are those of the
// softmax, before f; dropout comes after it. The prob_mod of ONNX's FlexAttention. The function is compiled
// into the kernel as a score's is (heed/score/custom.hpp), and must be callable from any thread.
//
// Cost: f needs the finished p, so the keys are gone through twice: the scores are worked out once more, and
// two numbers a row are kept. In a backward two more of its five products a tile.
#pragma once

#include <heed/core/strided.hpp>
#include <heed/score/concept.hpp>
#include <heed/score/slope.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class F, class D = no_derivative>
struct probability_option : option<option_kind::probability> {
    F f;
    D derivative;
    explicit probability_option(const F& f_, const D& d = D()) : f(f_), derivative(d) {}
    static auto content() { return some_function(); }
};

// With the largest score of every row and the sum relative to it, (batch, head, query).
template <class T, class Option>
struct bound_probability {
    static_assert(
        requires(const Option& o, T p, at i) {
            static_cast<T>(o.f(p, i));
            requires !std::is_same_v<std::remove_cvref_t<decltype(o.f(p, i))>, bool>;
        },
        "heed::probability: needs a callable f(weight, heed::at) that gives the new weight; write "
        "[](auto p, heed::at i) { return ...; }, and heed::mask_if(f) for one that gives a bool");
    const Option* option_;
    strided<T> maximum{};
    strided<T> sum{};

    HEED_INLINE T operator()(T p, at i) const { return static_cast<T>(option_->f(p, i)); }
    HEED_INLINE T slope(T p, at i) const { return derivative_at<T>(*option_, p, i); }
    // p = e^(s - shift) factor of a row.
    T shift(at i) const {
        const T m = *maximum.row(i.batch, i.head, i.query);
        return is_minus_infinity(m) ? T(0) : m;
    }
    T factor(at i) const {
        const T s = *sum.row(i.batch, i.head, i.query);
        return s == T(0) ? T(0) : T(1) / s;
    }
};
template <class T>
constexpr absent bound_probability_of(const absent&) {
    return {};
}
template <class T, class F, class D>
auto bound_probability_of(const probability_option<F, D>& o) {
    return bound_probability<T, probability_option<F, D>>{&o};
}

}  // namespace detail

// f(weight, heed::at) -> weight; the weight is a float, or a double where the tensors are.
template <class F>
auto probability(const F& f) {
    return detail::probability_option<F>(f);
}

// The same with its derivative by the weight, df(weight, heed::at), for the backward pass.
template <class F, class D>
auto probability(const F& f, const D& df) {
    return detail::probability_option<F, D>(f, df);
}

}  // namespace heed::inline HEED_ABI
