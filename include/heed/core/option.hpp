// SPDX-License-Identifier: MIT
// heed/core/option.hpp: options as values, picked out of a call by what they are
//
// An option type derives from option<kind>. A function lists the kinds it takes; a kind it does not
// take, or one given twice, is a compile-time error whose text names it. Masks are no exception to the
// rule but to the count: any number of them in one call intersect.
#pragma once

#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include <heed/core/config.hpp>

namespace heed::inline HEED_ABI {

enum class option_kind {
    // of exact attention; new ones of it go before `on`
    mask,
    scale,
    softcap,
    score,
    alibi,
    bias,
    sinks,
    dropout,
    logsumexp,
    maximum_and_sum,
    weights,
    scores,
    select,
    coverage,
    bias_gradient,
    slopes_gradient,
    sinks_gradient,
    logsumexp_gradient,
    on,
    use,
    // of the other variants
    state,
    initial_state,
    final_state,
    initial_state_gradient,
    final_state_gradient,
    features,
    normalisation,
    decay,
    decay_gradient,
    delta,
    delta_gradient,
    heads_mode,
    hybrid,
    hybrid_gradient,
    along,
    pairing,
    positions,
    direction,
    head_mix,
    head_mix_gradient,
    exponential,
    native_blocks,
    compressed,
    compressed_gradient,
    bundle,  // several of linear attention as one
    // of layers with a memory
    memory,
};

namespace detail {

template <option_kind Kind>
struct option {
    static constexpr option_kind kind = Kind;
};

template <class O>
concept is_option = requires { std::remove_cvref_t<O>::kind; } &&
                    std::is_same_v<std::remove_cv_t<decltype(std::remove_cvref_t<O>::kind)>, option_kind>;

template <class O, option_kind Kind>
concept option_of_kind = is_option<O> && std::remove_cvref_t<O>::kind == Kind;
// Is a kind one of those that a function takes?
template <option_kind Kind, option_kind... Kinds>
inline constexpr bool kind_among = ((Kind == Kinds) || ...);

template <option_kind Kind, class... Options>
inline constexpr int count_of = ((option_of_kind<Options, Kind> ? 1 : 0) + ... + 0);

// Stands for the derivative of a callable that came without one.
struct no_derivative {};

// What a call without the option gets.
struct absent {};

template <option_kind Kind>
constexpr absent pick() {
    return {};
}
template <option_kind Kind, class First, class... Rest>
constexpr decltype(auto) pick(const First& first, const Rest&... rest) {
    if constexpr (First::kind == Kind)
        return (first);
    else
        return pick<Kind>(rest...);
}

template <class O>
inline constexpr bool is_absent = std::is_same_v<std::remove_cvref_t<O>, absent>;

// Settings are doubles and are computed with in T: is one above 0 there too, and normal?
template <class T>
constexpr bool is_positive_as(double x) {
    return x >= static_cast<double>((std::numeric_limits<T>::min)()) &&
           x <= static_cast<double>((std::numeric_limits<T>::max)());
}

}  // namespace detail
}  // namespace heed::inline HEED_ABI
