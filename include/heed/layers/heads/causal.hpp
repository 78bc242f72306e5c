// SPDX-License-Identifier: MIT
// heed/layers/heads/causal.hpp: attention that is causal by itself, and takes heed::causal as a word
#pragma once

#include <heed/layers/heads/concept.hpp>
#include <heed/mask/band.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

template <class O>
inline constexpr bool another_mask =
    option_of_kind<O, option_kind::mask> && !std::is_same_v<O, std::remove_const_t<decltype(causal)>>;

inline void check_causal(std::string_view) {}
template <class First, class... Rest>
void check_causal(std::string_view function, const First& first, const Rest&... rest) {
    static_assert(
        !another_mask<First>,
        "heed::multi_head_attention: the attention inside is causal by itself; of all masks it takes "
        "heed::causal alone");
    if constexpr (First::kind == option_kind::mask && !another_mask<First>)
        if (first.left != unbounded || first.right != 0)
            fail(function, {"the mask is a window; this attention is causal by itself and takes heed::causal "
                            "alone"});
    check_causal(function, rest...);
}

// run(options…) without those of these kinds.
template <option_kind... Kinds>
struct all_but {
    static constexpr bool takes(option_kind kind) { return ((kind != Kinds) && ...); }
};
template <option_kind... Kinds, class Run, class... Options>
decltype(auto) without(const Run& run, const Options&... options) {
    return with_options_of<all_but<Kinds...>>(run, options...);
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
