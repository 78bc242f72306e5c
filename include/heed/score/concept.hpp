// SPDX-License-Identifier: MIT
// heed/score/concept.hpp: what a step between the product q k and the softmax is
//
// Steps run in this order: scale, softcap, score(f), alibi and bias, mask. One of your own stands in the
// place of score(f); it derives from heed::score_base:
//
//     struct recency : heed::score_base {
//         float per_key = 0.1f;
//         template <class S>
//         S operator()(S s, heed::at i) const { return s - per_key * static_cast<float>(i.query - i.key); }
//     };
//
// S is float or double, and a dual number where a backward asks for the derivative; one that has
// derivative(s, at) is called with plain numbers alone (examples/12_own_mask.cpp). It is compiled into the
// kernel and vectorised as score(f)'s function is (heed/score/custom.hpp).
//
// Ours depend on the call's extents. An option is bound to them once, and then gives its function on a block
// of up to 16 rows of lanes:
//
//     bound = option.bind(function, shape)              checks its arguments, throws heed::error
//     bound.lanes<T>(block) -> f(T score, at, lane_pos) -> T  reads what the block needs, once
//
// The functions of all steps are chained into one and inlined into the kernel's loop over a row. A step gives
// a finite score for a finite one, so that no size of a number hides a key or empties a row: sums that
// overflow stop at the largest number (bounded_sum). -inf hides; what is +inf or NaN already stays so.
//
// An option whose setting could be another number in the type that scores are computed in also has
// check_as<T>(function), which throws where that number will not do.
#pragma once

#include <heed/mask/concept.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI {

// What score steps derive from.
using score_base = detail::option<option_kind::score>;

namespace detail {

// The step that changes nothing; bound already.
struct no_step {
    template <class T>
    struct same {
        HEED_INLINE T operator()(T s, at, lane_pos) const { return s; }
    };
    template <class T>
    same<T> lanes(const lane_block&) const {
        return {};
    }
};

template <class A, class B>
struct chained {
    A first;
    B second;
    template <class T>
    HEED_INLINE T operator()(T s, at i, lane_pos x) const {
        return second(first(s, i, x), i, x);
    }
};
template <class A, class B>
chained(A, B) -> chained<A, B>;

// What is added to a score: of finite numbers a finite sum, -inf where one is.
template <class T>
HEED_INLINE T bounded_sum(T s, T added) {
    constexpr T lowest = constants<T>::lowest;
    const T sum = s + added;
    T bounded = scalar::choose(sum < lowest, lowest, sum);
    const bool over = (int{bounded > -lowest} & int{s <= -lowest} & int{added <= -lowest}) != 0;
    bounded = scalar::choose(over, -lowest, bounded);
    const bool hidden = (int{is_minus_infinity(added)} | int{is_minus_infinity(s)}) != 0;
    return scalar::choose(hidden, scalar::float_of(constants<T>::minus_infinity_bits), bounded);
}

// A caller's step: called for one score after the other.
template <class O>
struct bound_own_step {
    const O* step;
    template <class T>
    struct call {
        const O* step;
        HEED_INLINE T operator()(T s, at i, lane_pos) const { return static_cast<T>((*step)(s, i)); }
    };
    template <class T>
    call<T> lanes(const lane_block&) const {
        return {step};
    }
};

}  // namespace detail

namespace concepts {

// What changes a score: an option of ours, or a caller's step.
template <class S>
concept score_step = detail::is_option<S> && (requires(const S& s, float x, at i) {
                         { s(x, i) } -> std::convertible_to<float>;
                     } || requires(const S& s, std::string_view function, const problem_shape& shape) {
                         s.bind(function, shape).template lanes<float>(detail::lane_block());
                     });

}  // namespace concepts
}  // namespace heed::inline HEED_ABI
