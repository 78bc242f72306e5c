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

struct maxstate_heads : detail::running_heads<detail::maxstate_call, detail::maxstate_backward_call> {};

}  // namespace heed::inline HEED_ABI
