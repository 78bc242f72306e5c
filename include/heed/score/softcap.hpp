// SPDX-License-Identifier: MIT
// heed/score/softcap.hpp: scores bounded smoothly, s = x tanh(s / x)
//
// Source: Gemma 2 (arXiv 2408.00118). Cost: about a fifth of the products' time at 64 features.
#pragma once

#include <cmath>

#include <heed/score/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct bound_softcap {
    double cap;
    template <class T>
    struct capped {
        T cap;
        HEED_INLINE T operator()(T s, at, lane_pos) const { return cap * math::tanh(s / cap); }
    };
    template <class T>
    capped<T> lanes(const lane_block&) const {
        return {static_cast<T>(cap)};
    }
};

struct softcap_option : option<option_kind::softcap> {
    double cap;
    explicit softcap_option(double x) : cap(x) {}
    auto content() const { return std::tie(cap); }
    bound_softcap bind(std::string_view, const problem_shape&) const { return {cap}; }
    template <class T>
    void check_as(std::string_view function) const {
        if (!(is_positive_as<T>(cap) && cap < 1e30))
            fail(function, {"softcap is ", cap, ", needs a number above 0 and below 1e30, at least ",
                            static_cast<double>(constants<T>::min_normal), " here"});
    }
};

}  // namespace detail

// cap > 0, in units of the score; applied after the scale, before bias and mask.
inline auto softcap(double cap) { return detail::softcap_option(cap); }

}  // namespace heed::inline HEED_ABI
