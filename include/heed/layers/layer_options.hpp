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

// Does the attention over the memory take all that for_memory(…) holds?
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
template <class Run, class... Options>
decltype(auto) with_layer_resources(workspace& scratch, const Run& run, const Options&... options) {
    return std::apply(run, resource_options(scratch, options...));
}

// run(options…) with those that the attention takes, use(scratch) among them whether or not it is given.
template <class Heads, class Run, class... Options>
decltype(auto) with_attention_workspace(workspace& scratch, const Run& run, const Options&... options) {
    if constexpr (count_of<option_kind::use, Options...> > 0)
        return with_options_of<Heads>(run, options...);
    else
        return with_options_of<Heads>(run, options..., use_option(scratch));
}

// An option as a list of one, or of none where the attention over x has no use for it.
template <class Heads, class O>
auto attention_option(index, const O& o) {
    if constexpr (O::kind == option_kind::dropout || O::kind == option_kind::memory || resource_kind(O::kind))
        return std::tuple<>();
    else
        return std::tuple<const O&>(o);
}
template <class Heads>
requires(Heads::takes(option_kind::dropout))
auto attention_option(index dropout_site, const dropout_option& o) {
    return std::tuple(
        dropout_option(o.probability, seed_for(o.seed, static_cast<std::uint64_t>(dropout_site))));
}
// run(options…) with those for the attention over x; `dropout_site` numbers what drops at random in a layer.
template <class Heads, class Run, class... Options>
decltype(auto) with_attention_options(index dropout_site, workspace& scratch, const Run& run,
                                      const Options&... options) {
    (void)dropout_site;  // without options
    return std::apply(run, std::tuple_cat(attention_option<Heads>(dropout_site, options)...,
                                          resource_options(scratch, options...)));
}
// The same for the attention over the memory: dropout, and the options within for_memory(…).
template <class Heads, class Run, class... Options>
decltype(auto) with_memory_options(index dropout_site, workspace& scratch, const Run& run,
                                   const Options&... options) {
    const auto& inner = pick<option_kind::memory>(options...);
    const auto& drop = pick<option_kind::dropout>(options...);
    const auto all = [&](const auto&... o) {
        if constexpr (is_absent<decltype(drop)>)
            return with_attention_options<Heads>(dropout_site, scratch, run, o...);
        else
            return with_attention_options<Heads>(dropout_site, scratch, run, drop, o...);
    };
    const auto resources = resource_options(scratch, options...);
    if constexpr (is_absent<decltype(inner)>)
        return std::apply(all, resources);
    else
        return std::apply(all, std::tuple_cat(inner.options, resources));
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
