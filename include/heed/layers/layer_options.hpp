// SPDX-License-Identifier: MIT
// heed/layers/layer_options.hpp: what a layer made of several hands on of the options it is called with
//
//     on(device)          to every part; so is the workspace of use(workspace), or the call's own
//     dropout(p, seed)    to the branches and, where it takes the option, to the attention's weights: each
//                         with a seed derived from this one and its dropout site
//     for_memory(…)       its options to the attention over the memory
//     all others          to the attention over x
#pragma once

#include <tuple>

#include <heed/layers/heads/concept.hpp>
#include <heed/layers/parameters.hpp>
#include <heed/score/dropout.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class... Options>
struct memory_option : option<option_kind::memory> {
    std::tuple<Options...> options;
    explicit memory_option(const Options&... o) : options(o...) {}
};

// True where the attention over the memory takes all that for_memory(…) holds.
template <class Heads, class O>
inline constexpr bool takes_for_memory = true;
template <class Heads, class... Inner>
inline constexpr bool takes_for_memory<Heads, memory_option<Inner...>> = (Heads::takes(Inner::kind) && ...);

// on(device), where it is given, and use(scratch).
template <class... Options>
auto resource_options(workspace& scratch, const Options&... options) {
    const auto& on = pick<option_kind::on>(options...);
    if constexpr (is_absent<decltype(on)>)
        return std::tuple(use_option(scratch));
    else
        return std::tuple(on, use_option(scratch));
}

// An option as a list of one, or of none where an attention inside of the layer has no use for it.
template <class Heads, class O>
auto attention_option(index, const O& o) {
    if constexpr (O::kind == option_kind::dropout || O::kind == option_kind::memory || resource_kind(O::kind))
        return std::tuple<>();
    else
        return std::tuple<const O&>(o);
}
template <class Heads>
auto attention_option(index, absent) {
    return std::tuple<>();
}
template <class Heads>
requires(Heads::takes(option_kind::dropout))
auto attention_option(index dropout_site, const dropout_option& o) {
    return std::tuple(
        dropout_option(o.probability, seed_for(o.seed, static_cast<std::uint64_t>(dropout_site))));
}
// Those of the attention over x; `dropout_site` numbers what drops at random in a layer.
template <class Heads, class... Options>
auto attention_options([[maybe_unused]] index dropout_site, workspace& scratch, const Options&... options) {
    return std::tuple_cat(attention_option<Heads>(dropout_site, options)...,
                          resource_options(scratch, options...));
}
// Those of the attention over the memory: dropout, and the options within for_memory(…).
template <class Heads, class... Options>
auto memory_options(index dropout_site, workspace& scratch, const Options&... options) {
    const auto& given = pick<option_kind::memory>(options...);
    const auto with = [&](const auto&... inner) {
        return std::tuple_cat(attention_option<Heads>(dropout_site, pick<option_kind::dropout>(options...)),
                              attention_option<Heads>(dropout_site, inner)...,
                              resource_options(scratch, options...));
    };
    if constexpr (is_absent<decltype(given)>)
        return with();
    else
        return std::apply(with, given.options);
}
// Those that the attention takes, use(scratch) among them whether or not it is given.
template <class Heads, class... Options>
auto heads_options(workspace& scratch, const std::tuple<Options...>& options) {
    const auto taken = [](const auto&... o) { return std::tuple_cat(taken_option<Heads>(o)...); };
    if constexpr (count_of<option_kind::use, Options...> > 0 || !Heads::takes(option_kind::use))
        return std::apply(taken, options);
    else
        return std::tuple_cat(std::apply(taken, options), std::tuple(use_option(scratch)));
}
template <class... Options>
device_ref device_in(const std::tuple<Options...>& options) {
    return std::apply([](const auto&... o) { return device_of(o...); }, options);
}

}  // namespace detail

// Options of a decoder layer's attention over the memory: for_memory(key_lengths(lengths)).
template <class... Options>
auto for_memory(const Options&... options) {
    static_assert((detail::is_option<Options> && ...),
                  "heed::for_memory: an argument is not an option; options are values such as "
                  "heed::key_lengths(lengths)");
    static_assert(
        ((Options::kind != option_kind::on && Options::kind != option_kind::use &&
          Options::kind != option_kind::dropout) &&
         ...),
        "heed::for_memory: on(device), use(workspace) and dropout(p, seed) are options of the whole "
        "layer; give them beside for_memory(…)");
    return detail::memory_option<Options...>(options...);
}

}  // namespace heed::inline HEED_ABI
