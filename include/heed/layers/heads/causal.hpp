// SPDX-License-Identifier: MIT
// heed/layers/heads/causal.hpp: attention that is causal by itself, and takes heed::causal as a word
#pragma once

#include <heed/layers/heads/concept.hpp>
#include <heed/mask/band.hpp>

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

// Is it a mask of another type than heed::causal's?
template <class O>
inline constexpr bool is_other_mask =
    O::kind == option_kind::mask && !std::is_same_v<std::remove_cvref_t<O>, band_mask<absent>>;

// A window is of heed::causal's type and differs in its sides.
template <class O>
void check_causal(std::string_view function, const O& option_) {
    if constexpr (std::is_same_v<O, band_mask<absent>>) {
        if (option_.left != unbounded || option_.right != 0)
            fail(function, {"got window(", option_.left, ", ", option_.right,
                            "); this attention takes no mask but heed::causal"});
    }
}

// Refuses masks but heed::causal.
template <class... Options>
void check_all_causal([[maybe_unused]] std::string_view function, const Options&... options) {
    static_assert(!(is_other_mask<Options> || ...),
                  "heed: this attention looks at what came before; it takes no mask but heed::causal");
    (check_causal(function, options), ...);
}
// run(options…) without the masks.
template <class Run, class... Options>
void with_causal(std::string_view function, const Run& run, const Options&... options) {
    check_all_causal(function, options...);
    if constexpr (!(is_other_mask<Options> || ...)) without<option_kind::mask>(run, options...);
}

}  // namespace heed::inline HEED_ABI::detail
