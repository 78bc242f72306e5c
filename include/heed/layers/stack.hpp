// SPDX-License-Identifier: MIT
// heed/layers/stack.hpp: layers of one config, one behind the other, as one layer
//
//     heed::stack<heed::encoder_layer<float>> layers(12, {.attention = {.width = 768, .heads = 12}}, seed);
//     auto y = layers(x, heed::causal);
//     decltype(layers)::tape tape;
//     auto call = layers.with(heed::causal, heed::dropout(0.1, step));
//     auto z = call.forward(x, tape);
//     auto dx = call.backward(dz, x, tape, gradients);                 gradients are added to
//
// Layer i starts with the weights of seed i of the seed, and drops by seed i of dropout(p, seed), so that no
// two are alike. Parameters are visited as "0.attention.in.weight", "1.…". Options, a memory and what a
// stream remembers are the same for all layers; the gradient of the memory is the sum of theirs. An error
// names the layer: heed::stack::forward: layer 3: …
//
// All calls: heed/layers/calls.hpp. Cost: that of the layers. The tape holds theirs and the rows between
// them; without one two of these serve all. The same bits as of layers called one by one.
#pragma once

#include <heed/layers/stack_parts.hpp>

namespace heed::inline HEED_ABI {

template <class Layer>
class stack : public detail::layer_calls<stack<Layer>, detail::stack_parts<Layer>> {
    using parts = detail::stack_parts<Layer>;
    using calls = detail::layer_calls<stack<Layer>, parts>;

public:
    using stream = typename parts::stream;

    stack() = default;
    stack(index count, const typename parts::parts::config_type& config, std::uint64_t seed = 0)
        : calls({count, config}, seed) {}
};

}  // namespace heed::inline HEED_ABI
