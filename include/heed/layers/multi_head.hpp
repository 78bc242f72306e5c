// SPDX-License-Identifier: MIT
// heed/layers/multi_head.hpp: projections around attention, forward, backward and in a stream
//
//     projections = x W_in (+ b)  heads of the variant inside      y = joined heads W_out (+ b)
//
//     heed::multi_head_attention<float> mha({.width = 768, .heads = 12});
//     auto y = mha(x, heed::causal);                               self attention
//     auto y = mha(x, memory, options…);                           cross: {.memory_width = …}
//
//     heed::multi_head_attention<float>::tape tape;                what the backward needs; reuse it
//     auto y = mha.forward(x, tape, heed::causal);
//     auto dx = mha.backward(dy, x, tape, gradients, heed::causal);          gradients are added to
//
//     heed::multi_head_attention<float>::stream stream;            position after position
//     auto y = mha.extend(x_next, stream, heed::causal);
//
// x and y (…, position, width), memory (…, its positions, memory_width). The second template argument says
// which attention stands inside (heed/layers/heads/); what it takes are the options of the calls, those of a
// backward being the forward's and its gradients. Beside them on(device) and use(workspace). All calls:
// heed/layers/calls.hpp; with a memory
//
//     mha.backward_into(dx, d_memory, dy, x, memory, tape, gradients);
//     mha.remember(memory, stream);                                then extend(), which takes no mask that
//                                                                  counts positions of x
//
// In a stream a position costs what one query over all keys does; over a memory with linear heads, the same
// for any length.
//
// W_in holds the projections one behind the other, so that one product makes them all, and heads within each:
// queries (heads x head_dim), keys (kv_heads x head_dim), values. Cross attention has its first one from
// x and the others, W_memory, from the memory. Rotary positions rotate queries and keys after the projection.
//
// Cost: the products, 2 positions width (projections + width) flops, and the attention. Memory: the tape
// holds projections and outputs of the heads, and a call without one works in as much. The same bits for any
// number of threads. Throws heed::error before y is written, and before a backward writes anything.
#pragma once

#include <heed/layers/calls.hpp>
#include <heed/layers/heads/exact.hpp>
#include <heed/layers/multi_head_parts.hpp>

namespace heed::inline HEED_ABI {

template <class T, class Heads = exact_heads>
class multi_head_attention
    : public detail::layer_calls<multi_head_attention<T, Heads>, detail::multi_head_parts<T, Heads>> {
    using calls = detail::layer_calls<multi_head_attention<T, Heads>, detail::multi_head_parts<T, Heads>>;

public:
    using stream = multi_head_stream<T, Heads>;
    using calls::calls;
};

}  // namespace heed::inline HEED_ABI
