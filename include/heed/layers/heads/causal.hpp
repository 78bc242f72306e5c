// SPDX-License-Identifier: MIT
// heed/layers/heads/causal.hpp: attention that is causal by itself, and takes heed::causal as a word
#pragma once

#include <heed/kernel/causal.hpp>
#include <heed/layers/heads/concept.hpp>

namespace heed::inline HEED_ABI::detail {

// run(options…) without those of these kinds.
template <option_kind... Kinds>
struct all_but {
    static constexpr bool takes(option_kind kind) { return ((kind != Kinds) && ...); }
};
template <option_kind... Kinds, class Run, class... Options>
decltype(auto) without(const Run& run, const Options&... options) {
    return with_options_of<all_but<Kinds...>>(run, options...);
}

// run(options…) without the masks.
template <class Run, class... Options>
void with_causal(std::string_view function, const Run& run, const Options&... options) {
    check_all_causal(function, options...);
    if constexpr (!(is_other_mask<Options> || ...)) without<option_kind::mask>(run, options...);
}

}  // namespace heed::inline HEED_ABI::detail
