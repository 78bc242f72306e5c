// SPDX-License-Identifier: MIT
// heed/sparse/row_call.hpp: what the functions of a tensor's last axis ask of their arguments
#pragma once

#include <heed/kernel/sparse/rows.hpp>
#include <heed/mask/dense.hpp>

namespace heed::inline HEED_ABI::detail {

// Options of the kinds a call takes, each at most once. check answers whether there is any use in going on.
template <option_kind... Kinds>
struct row_options {
    template <class... Options>
    static constexpr bool validate() {
        static_assert((is_option<Options> && ...),
                      "heed: an argument after the tensors is not an option; options are values such as "
                      "heed::cubic_exponential{} or heed::on(pool)");
        if constexpr ((is_option<Options> && ...)) {
            static_assert((kind_among<std::remove_cvref_t<Options>::kind, Kinds...> && ...),
                          "heed: this call does not take one of these options; its header lists those it "
                          "takes");
            HEED_OPTIONS_ONCE("heed");
        }
        return (is_option<Options> && ...);
    }
};

// An output that can be written, of the element type of what is read.
template <class Y, class... Inputs>
constexpr bool check_row_output() {
    using O = stored_t<decltype(as_view(std::declval<Y&>()))>;
    constexpr bool same = (std::is_same_v<std::remove_const_t<O>, element_of_argument<const Inputs>> && ...);
    static_assert(table_may_be_kept<Y>,
                  "heed: the output is a temporary, and the result would be gone; give it a name");
    static_assert(!std::is_const_v<O>, "heed: the output is written, and this tensor is const");
    static_assert(same, "heed: the tensors of a call hold different element types; convert them to one");
    return !std::is_const_v<O> && same;
}

}  // namespace heed::inline HEED_ABI::detail
