// SPDX-License-Identifier: MIT
// heed/core/option.hpp: options as values, picked out of a call by what they are
//
// An option type derives from option<kind>. A function lists the kinds it takes; a kind it does not
// take, or one given twice, is a compile-time error whose text names it. Masks are no exception to the
// rule but to the count: any number of them in one call intersect.
#pragma once

#include <initializer_list>
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
    probability,
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
    pages,  // given by attention over a cache alone
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

// An option says what it holds to layers, whose tapes remember the options of a forward: a member content()
// gives std::tie of its numbers, lists and tensors. One without members need not.
template <option_kind Kind>
struct option {
    static constexpr option_kind kind = Kind;
};
// The content of an option that holds a function: two of those are not compared.
struct some_function {};

// The options that change results, as a layer calls them. The others only write more, or say where a call
// runs.
struct result_option {
    option_kind kind;
    const char* name;
};
inline constexpr result_option result_options[] = {
    {option_kind::mask, "mask"},
    {option_kind::scale, "scale"},
    {option_kind::softcap, "softcap"},
    {option_kind::score, "score"},
    {option_kind::alibi, "alibi"},
    {option_kind::bias, "bias"},
    {option_kind::sinks, "sinks"},
    {option_kind::probability, "probability"},
    {option_kind::dropout, "dropout"},
    {option_kind::select, "the selector of keys"},
    {option_kind::state, "state"},
    {option_kind::initial_state, "initial_state"},
    {option_kind::features, "the feature map"},
    {option_kind::normalisation, "normalised or unnormalised"},
    {option_kind::decay, "decay"},
    {option_kind::delta, "delta"},
    {option_kind::heads_mode, "across_heads or heads_apart"},
    {option_kind::hybrid, "hybrid"},
    {option_kind::along, "along"},
    {option_kind::pairing, "interleaved"},
    {option_kind::positions, "positions"},
    {option_kind::direction, "reverse"},
    {option_kind::head_mix, "head_mix"},
    {option_kind::exponential, "the exponential"},
    {option_kind::native_blocks, "native_blocks"},
    {option_kind::compressed, "compressed"},
    {option_kind::memory, "for_memory"},
};
constexpr const char* result_option_name(option_kind kind) {
    for (const result_option& o : result_options)
        if (o.kind == kind) return o.name;
    return nullptr;
}

template <class O>
concept is_option = requires { std::remove_cvref_t<O>::kind; } &&
                    std::is_same_v<std::remove_cv_t<decltype(std::remove_cvref_t<O>::kind)>, option_kind>;

template <class O, option_kind Kind>
concept option_of_kind = is_option<O> && std::remove_cvref_t<O>::kind == Kind;
// True where a kind is one of those that a function takes.
constexpr bool is_among(option_kind kind, std::initializer_list<option_kind> taken) {
    for (const option_kind one : taken)
        if (kind == one) return true;
    return false;
}

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

// Written by a forward alone, and written or read by a backward alone.
constexpr bool forward_alone(option_kind kind) {
    return is_among(kind, {option_kind::logsumexp, option_kind::maximum_and_sum, option_kind::weights,
                           option_kind::scores, option_kind::coverage, option_kind::final_state});
}
constexpr bool backward_alone(option_kind kind) {
    return is_among(
        kind,
        {option_kind::bias_gradient, option_kind::slopes_gradient, option_kind::sinks_gradient,
         option_kind::logsumexp_gradient, option_kind::initial_state_gradient,
         option_kind::final_state_gradient, option_kind::decay_gradient, option_kind::delta_gradient,
         option_kind::hybrid_gradient, option_kind::head_mix_gradient, option_kind::compressed_gradient});
}

// Several options as one; a call takes them apart.
template <class... Options>
struct option_bundle {
    static constexpr option_kind kind = option_kind::bundle;
    std::tuple<Options...> options;
};
template <class O>
inline constexpr bool is_bundle = false;
template <class... Options>
inline constexpr bool is_bundle<option_bundle<Options...>> = true;

// The options of a call, bundles taken apart, in a tuple of its own.
template <class... Options>
auto all_options(const Options&... options) {
    [[maybe_unused]] const auto apart = []<class O>(const O& o) {
        if constexpr (is_bundle<O>)
            return o.options;
        else
            return std::tuple<O>(o);
    };
    return std::tuple_cat(apart(options)...);
}

// Settings are doubles, and computed with in T: true where one is above 0 and normal there too.
template <class T>
constexpr bool is_positive_as(double x) {
    return x >= static_cast<double>((std::numeric_limits<T>::min)()) &&
           x <= static_cast<double>((std::numeric_limits<T>::max)());
}

}  // namespace detail
}  // namespace heed::inline HEED_ABI

// Says that an option of one kind is given twice in the pack Options..., as `function`, a literal: what a
// compiler prints has to name both. A list of its own for every call would be the same list again.
#define HEED_OPTION_ONCE(function, kind, sentence)                                      \
    static_assert(::heed::detail::count_of<::heed::option_kind::kind, Options...> <= 1, \
                  function ": " sentence)
#define HEED_OPTIONS_ONCE(function)                                                                    \
    HEED_OPTION_ONCE(function, scale, "scale is given twice");                                         \
    HEED_OPTION_ONCE(function, softcap, "softcap is given twice");                                     \
    HEED_OPTION_ONCE(function, score, "score is given twice; put both into one function");             \
    HEED_OPTION_ONCE(function, alibi, "alibi is given twice");                                         \
    HEED_OPTION_ONCE(function, bias, "bias is given twice; add the tensors");                          \
    HEED_OPTION_ONCE(function, sinks, "sinks is given twice");                                         \
    HEED_OPTION_ONCE(function, probability, "probability is given twice; put both into one function"); \
    HEED_OPTION_ONCE(function, dropout, "dropout is given twice");                                     \
    HEED_OPTION_ONCE(function, logsumexp, "logsumexp is given twice");                                 \
    HEED_OPTION_ONCE(function, maximum_and_sum, "maximum_and_sum is given twice");                     \
    HEED_OPTION_ONCE(function, weights, "weights is given twice");                                     \
    HEED_OPTION_ONCE(function, scores, "scores is given twice");                                       \
    HEED_OPTION_ONCE(function, select,                                                                 \
                     "two selectors of keys are given, needs one; masks and one selector combine");    \
    HEED_OPTION_ONCE(function, coverage, "coverage is given twice");                                   \
    HEED_OPTION_ONCE(function, bias_gradient, "bias_gradient is given twice");                         \
    HEED_OPTION_ONCE(function, slopes_gradient, "slopes_gradient is given twice");                     \
    HEED_OPTION_ONCE(function, sinks_gradient, "sinks_gradient is given twice");                       \
    HEED_OPTION_ONCE(function, logsumexp_gradient, "logsumexp_gradient is given twice");               \
    HEED_OPTION_ONCE(function, on, "on(device) is given twice");                                       \
    HEED_OPTION_ONCE(function, use, "use(workspace) is given twice");                                  \
    HEED_OPTION_ONCE(function, state, "state is given twice");                                         \
    HEED_OPTION_ONCE(function, initial_state, "initial_state is given twice");                         \
    HEED_OPTION_ONCE(function, final_state, "final_state is given twice");                             \
    HEED_OPTION_ONCE(function, initial_state_gradient, "initial_state_gradient is given twice");       \
    HEED_OPTION_ONCE(function, final_state_gradient, "final_state_gradient is given twice");           \
    HEED_OPTION_ONCE(function, features, "two feature maps are given; needs one");                     \
    HEED_OPTION_ONCE(function, normalisation,                                                          \
                     "normalised and unnormalised are given; needs one of them, once");                \
    HEED_OPTION_ONCE(function, decay, "a decay is given twice; add the logarithms");                   \
    HEED_OPTION_ONCE(function, decay_gradient, "decay_gradient is given twice");                       \
    HEED_OPTION_ONCE(function, delta, "delta is given twice");                                         \
    HEED_OPTION_ONCE(function, delta_gradient, "delta_gradient is given twice");                       \
    HEED_OPTION_ONCE(function, heads_mode, "heads are across or apart; give one of them");             \
    HEED_OPTION_ONCE(function, hybrid, "hybrid is given twice");                                       \
    HEED_OPTION_ONCE(function, hybrid_gradient, "hybrid_gradient is given twice");                     \
    HEED_OPTION_ONCE(function, along, "along is given twice");                                         \
    HEED_OPTION_ONCE(function, pairing, "interleaved is given twice");                                 \
    HEED_OPTION_ONCE(function, positions, "positions is given twice");                                 \
    HEED_OPTION_ONCE(function, direction, "reverse is given twice");                                   \
    HEED_OPTION_ONCE(function, head_mix, "head_mix is given twice");                                   \
    HEED_OPTION_ONCE(function, head_mix_gradient, "head_mix_gradient is given twice");                 \
    HEED_OPTION_ONCE(function, exponential, "two exponentials are given, needs one");                  \
    HEED_OPTION_ONCE(function, native_blocks, "native_blocks is given twice");                         \
    HEED_OPTION_ONCE(function, compressed, "compressed is given twice");                               \
    HEED_OPTION_ONCE(function, compressed_gradient, "compressed_gradient is given twice");             \
    HEED_OPTION_ONCE(function, memory, "for_memory is given twice")
