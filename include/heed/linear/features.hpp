// SPDX-License-Identifier: MIT
// heed/linear/features.hpp: feature maps of linear attention
//
// A map phi turns the scores exp(<q, k>) of softmax into products <phi(q), phi(k)>, so that keys and
// values can be summed before any query asks.
//
//     elu1                 x > 0 ? x + 1 : e^x                          d features (arXiv 2006.16236)
//     relu                 max(x, 0)                                    d
//     identity             x                                            d
//     softmax_features     softmax over the features of one position    d
//     taylor               <phi(q), phi(k)> = 1 + s + s^2 / 2, s = <q, k> / sqrt(d);
//                                                                       1 + d + d (d + 1) / 2
//     favor(count, seed)   positive random features of exp(<q, k> / sqrt(d)), in orthogonal
//                          directions                                   count (arXiv 2009.14794)
//     feature_map(f, df)   f of each number, with its derivative        d
//
// A state has a row for each feature.
//
// favor's features are exponentials. Normalised and without a decay they are relative to the largest so far,
// of a query and of each feature's keys: a row is a mean of the values for vectors of any finite length, and
// nothing is added to its sum. The state keeps its shape: a row is the sum of the features while its
// logarithm is within 40 of 0 (300 for double); beyond, it holds means of the values, and a code below zero
// in the last column (kernel/linear/relative.hpp). Such rows are added by linear_state::merge, not by hand.
// Unnormalised, or with a decay, features are as above times one constant that keeps the largest finite: long
// vectors fall to 0.
#pragma once

#include <cstdint>

#include <heed/core/index.hpp>
#include <heed/core/option.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

enum class named_map { elu1, relu, identity, softmax, taylor, softmax_positions };

template <named_map Which>
struct named_features : option<option_kind::features> {
    static constexpr named_map which = Which;
};

struct favor_features : option<option_kind::features> {
    index count;
    std::uint64_t seed;
    favor_features(index n, std::uint64_t s) : count(n), seed(s) {}
    auto content() const { return std::tie(count, seed); }
};

template <class F, class Derivative>
struct callable_features : option<option_kind::features> {
    F f;
    Derivative derivative;
    callable_features(F f_, Derivative d) : f(f_), derivative(d) {}
    static auto content() { return some_function(); }
};

}  // namespace detail

inline constexpr detail::named_features<detail::named_map::elu1> elu1{};
inline constexpr detail::named_features<detail::named_map::relu> relu{};
inline constexpr detail::named_features<detail::named_map::identity> identity{};
inline constexpr detail::named_features<detail::named_map::softmax> softmax_features{};
inline constexpr detail::named_features<detail::named_map::taylor> taylor{};

// Directions and lengths are drawn anew in each call, from the seed alone: about count d_k numbers.
inline auto favor(index count, std::uint64_t seed) { return detail::favor_features(count, seed); }

// f(x) for each number x, of float (double where q holds doubles), as a generic lambda; without df it has
// no backward. f is called for several numbers at once: no branches, heed::math instead of std.
template <class F>
auto feature_map(F f) {
    return detail::callable_features<F, detail::no_derivative>(f, {});
}
template <class F, class Derivative>
auto feature_map(F f, Derivative df) {
    return detail::callable_features<F, Derivative>(f, df);
}

}  // namespace heed::inline HEED_ABI
