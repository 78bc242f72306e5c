// SPDX-License-Identifier: MIT
// heed/layers/heads/cummax.hpp: cummax attention as the inside of a multi-head layer
//
//     o, a1, a2 = x W_in                          (batch, head, position, head_dim) each
//     p = cummax over heads of cummax over positions of o,     y = (p + a1) a2 + a1
//
//     heed::multi_head_attention<float, heed::cummax_heads> layer({.width = 512, .heads = 8});
//     auto y = layer(x, heed::heads_apart);
//
// Options: across_heads, heads_apart, hybrid(alpha) and, in a backward, hybrid_gradient(t), along(axis)
// (heed/cummax.hpp); heed::causal changes nothing, another mask is an error. Learns nothing of its own. The
// published layer has no output projection: {.out_projection = false}.
//
// Cost: O(1) time a position and channel, and a stream carries one number a channel, whatever came before.
// extend() gives the heads the bits of the whole sequence.
#pragma once

#include <heed/layers/heads/running.hpp>

namespace heed::inline HEED_ABI {

struct cummax_heads
    : detail::running_heads<detail::cummax_attention_call, detail::cummax_attention_backward_call,
                            option_kind::heads_mode, option_kind::hybrid, option_kind::hybrid_gradient,
                            option_kind::along> {};

}  // namespace heed::inline HEED_ABI
