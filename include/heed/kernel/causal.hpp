// SPDX-License-Identifier: MIT
// heed/kernel/causal.hpp: of all masks heed::causal alone, as often as it is given
//
// For attention that is causal by itself, or has no other way to hide a key.
#pragma once

#include <heed/mask/band.hpp>

namespace heed::inline HEED_ABI::detail {

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
}  // namespace heed::inline HEED_ABI::detail
