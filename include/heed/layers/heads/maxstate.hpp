// SPDX-License-Identifier: MIT
// heed/layers/heads/maxstate.hpp: maxstate (SamOutV1) as the inside of a multi-head layer
//
//     o, a1, a2 = x W_in                          (batch, head, position, head_dim) each
//     e = cummax over positions of (o + a1) / sqrt(head_dim),     y = (e + a2) e + a1
//
// Options: on, use; heed::causal changes nothing, another mask is an error. Learns nothing of its own. The
// published layer has no output projection: {.out_projection = false}.
//
// Cost: O(1) time a position and channel, and a stream carries one number a channel, whatever came before.
// extend() gives the heads the bits of the whole sequence.
#pragma once

#include <heed/layers/heads/running.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct maxstate_calls {
    static constexpr bool takes(option_kind) { return false; }
    static void forward(const auto& y, const auto& o, const auto& a1, const auto& a2,
                        const auto&... options) {
        maxstate_into(y, o, a1, a2, options...);
    }
    static void backward(const auto& d_o, const auto& d_a1, const auto& d_a2, const auto& dy, const auto& o,
                         const auto& a1, const auto& a2, const auto&... options) {
        maxstate_backward_into(d_o, d_a1, d_a2, dy, o, a1, a2, options...);
    }
};

}  // namespace detail

struct maxstate_heads : detail::running_heads<detail::maxstate_calls> {};

}  // namespace heed::inline HEED_ABI
