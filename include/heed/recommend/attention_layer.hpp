// SPDX-License-Identifier: MIT
// heed/recommend/attention_layer.hpp: a multi-head layer whose attention is chosen when the program runs
//
//     auto layer = heed::make_attention<float>(heed::config_for(heed::task::text));
//     auto y = layer(x);                                                 the mask comes from the choice
//
//     decltype(layer)::tape tape;
//     auto y = layer.forward(x, tape);
//     auto dx = layer.backward(dy, x, tape, gradients);                  gradients are added to
//     auto y = layer.extend(x_next, stream);
//
// Holds one of multi_head_attention<T, …_heads> and forwards the calls; x and y (…, position, width). Options
// on(device) and use(workspace), and in training dropout(p, seed). weights, gradients, tapes and streams are
// those of the layer that is held; one that another choice made is refused. Self attention: in a stream every
// choice has to be causal.
//
//     exact, window    exact_heads, under causal and, for window, a window of choice.window keys
//     native, gated_delta, linear, cummax                    the heads of that name
//
// dropout drops weights of the softmax, in exact and window. The others take none and refuse a probability
// above 0, since a model would be trained without what was asked for; a program for any choice calls
//
//     auto y = layer.forward(x, tape, heed::dropout(layer.takes_dropout() ? 0.1 : 0, step));
//
// quest chooses keys for weights that were trained with exact attention, and in streams alone: make the layer
// with exact_heads and give extend() the selector.
#pragma once

#include <heed/layers/calls.hpp>
#include <heed/recommend/chosen_parts.hpp>

namespace heed::inline HEED_ABI {

// Throws heed::error for sizes that cannot be, and for a choice that has no layer of its own.
template <class T>
class attention_layer : public detail::layer_calls<attention_layer<T>, detail::chosen_parts<T>> {
    using calls = detail::layer_calls<attention_layer<T>, detail::chosen_parts<T>>;

public:
    using stream = chosen_stream<T>;
    using calls::calls;

    const attention_choice& choice() const { return this->config_; }
    const attention_config& config() const { return this->config_.sizes; }
    // True where the attention drops weights under dropout(p, seed).
    using detail::chosen_parts<T>::takes_dropout;
};

// The layer of a choice; equal seeds give equal weights.
template <class T>
attention_layer<T> make_attention(const attention_choice& choice, std::uint64_t seed = 0) {
    return attention_layer<T>(choice, seed);
}

}  // namespace heed::inline HEED_ABI
