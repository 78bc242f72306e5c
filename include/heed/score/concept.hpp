// SPDX-License-Identifier: MIT
// heed/score/concept.hpp: what a step between the product q k and the softmax is
//
// Steps run in this order: scale, softcap, score(f), alibi and bias, mask. Each option is bound to the
// call's extents once, and then asked for its function on a block of up to 16 rows of lanes:
//
//     bound = option.bind(function, shape)              checks its arguments, throws heed::error
//     bound.lanes<T>(block) -> f(T score, at, place) -> T  reads what the block needs, once
//
// The functions of all steps are chained into one and inlined into the kernel's loop over a row.
#pragma once

#include <heed/mask/concept.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// The step that changes nothing; bound already.
struct no_step {
    template <class T>
    struct same {
        HEED_INLINE T operator()(T s, at, place) const { return s; }
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
    HEED_INLINE T operator()(T s, at i, place x) const {
        return second(first(s, i, x), i, x);
    }
};
template <class A, class B>
chained(A, B) -> chained<A, B>;

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
