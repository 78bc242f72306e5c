// SPDX-License-Identifier: MIT
// heed/layers/sam_out_layer.hpp: the cummax language-model layer of SamOut, forward, backward and in a stream
//
//     y = LN(alpha F(A(x)) + (1 - alpha) x)
//
// A: heads of maxstate without an output projection, or other ones by the second template argument;
// F: (up relu(gate)) W_down + b, twice as wide inside; alpha: one learned number, 0.5 at first.
//
//     heed::sam_out_layer<float> layer({.width = 512, .heads = 8});
//     auto y = layer(x);
//     heed::sam_out_layer<float>::tape tape;                           reuse it
//     auto y = layer.forward(x, tape);
//     auto dx = layer.backward(dy, x, tape, gradients);                gradients are added to
//     heed::sam_out_layer<float>::stream stream;
//     auto y = layer.extend(x_next, stream);
//
// With {.positions = true} it is the whole of what SamOut repeats, and takes a table of positions that all
// layers share, a learned (P, width), published with P = 1024:
//
//     z = [p; x] W_join,   y = z + LN(alpha F(A(z)) + (1 - alpha) z)
//     p(t) = table[t mod P], and table[t / P] added to it from t = P on; t < P^2
//
//     auto y = layer.forward(x, table, tape);
//     auto dx = layer.backward(dy, x, table, tape, gradients, d_table);      d_table is added to
//     auto y = layer.extend(x_next, table, stream);
//
// The published code adds table[0] to the first P positions too, where a sequence is longer than P; here what
// came before does not depend on what comes after, so that a stream gives the bits of the whole sequence.
//
// x and y (…, position, width). Options: those of the heads inside (heed::causal says what they do anyway),
// on(device), use(workspace). All calls: heed/layers/calls.hpp. Cost: 2 positions width (3 width + 3 hidden)
// flops, and with positions 2 width^2 more; O(width) memory a stream. The same bits for any number of
// threads. Throws heed::error before anything is written. Source: SamOutV1 (dfytensor).
#pragma once

#include <heed/layers/calls.hpp>
#include <heed/layers/heads/maxstate.hpp>
#include <heed/layers/sam_out_parts.hpp>

namespace heed::inline HEED_ABI {

template <class T, class Heads = maxstate_heads>
class sam_out_layer : public detail::layer_calls<sam_out_layer<T, Heads>, detail::sam_out_parts<T, Heads>> {
    using calls = detail::layer_calls<sam_out_layer<T, Heads>, detail::sam_out_parts<T, Heads>>;

public:
    using stream = sam_out_stream<T, Heads>;
    using calls::calls;
};

}  // namespace heed::inline HEED_ABI
