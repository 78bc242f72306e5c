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
namespace detail {

struct cummax_calls {
    static constexpr bool takes(option_kind kind) {
        return kind == option_kind::heads_mode || kind == option_kind::hybrid ||
               kind == option_kind::hybrid_gradient || kind == option_kind::along;
    }
    static void forward(const auto& y, const auto& o, const auto& a1, const auto& a2,
                        const auto&... options) {
        cummax_attention_into(y, o, a1, a2, options...);
    }
    static void backward(const auto& d_o, const auto& d_a1, const auto& d_a2, const auto& dy, const auto& o,
                         const auto& a1, const auto& a2, const auto&... options) {
        cummax_attention_backward_into(d_o, d_a1, d_a2, dy, o, a1, a2, options...);
    }
};

}  // namespace detail

struct cummax_heads : detail::running_heads<detail::cummax_calls> {};

}  // namespace heed::inline HEED_ABI
