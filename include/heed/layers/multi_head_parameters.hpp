// SPDX-License-Identifier: MIT
// heed/layers/multi_head_parameters.hpp: what a multi-head layer learns, keeps for its backward and carries
//
//     in       (width, projections)         queries, keys and values; of cross attention the queries alone
//     memory   (memory_width, projections)  keys and values of cross attention; empty without it
//     out      (joined heads, width)        empty without an output projection
//     heads    what the attention inside learns itself
//
// each a weight and a bias, the bias empty where the config has none.
#pragma once

#include <optional>

#include <heed/layers/heads/concept.hpp>
#include <heed/layers/option_marks.hpp>
#include <heed/layers/projection.hpp>

namespace heed::inline HEED_ABI {

template <class T, class Heads>
struct multi_head_parameters {
    projection_parameters<T> in;
    projection_parameters<T> memory;
    projection_parameters<T> out;
    typename Heads::template parameters<T> heads;

    multi_head_parameters() = default;
    // From a config whose zeros the layer has filled in.
    multi_head_parameters(const attention_config& c, std::uint64_t seed)
        : heads(c, detail::seed_for(seed, 3)) {
        index from_x = 0, from_memory = 0;
        for (int i = 0; i < Heads::streams; ++i)
            (c.memory_width > 0 && i > 0 ? from_memory : from_x) += Heads::stream_of(c, i).width();
        const index joined = c.out_projection ? c.heads * Heads::value_dim(c) : 0;
        make(in, c.width, from_x, c.in_bias, detail::seed_for(seed, 0));
        make(memory, c.memory_width, from_memory, c.in_bias, detail::seed_for(seed, 1));
        make(out, joined, joined > 0 ? c.width : 0, c.out_bias, detail::seed_for(seed, 2));
    }
    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("in", f, p.in...);
        visit("memory", f, p.memory...);
        visit("out", f, p.out...);
        visit("heads", f, p.heads...);
    }

private:
    static void make(projection_parameters<T>& p, index inputs, index outputs, bool bias,
                     std::uint64_t seed) {
        p.weight = detail::new_projection<T>(inputs, outputs, seed);
        p.bias = detail::constant_vector<T>(bias ? outputs : 0, 0);
    }
};

// Rows of the forward that the backward reads, and rows it works in. They keep their size while the
// extents stay the same.
template <class T, class Heads>
struct multi_head_tape {
    using rows = Eigen::Tensor<T, 3, Eigen::RowMajor>;  // (batch, position, features)
    rows projections{0, 0, 0}, memory_projections{0, 0, 0}, joined{0, 0, 0};
    bool whole = false;  // the forward came to its end
    rows d_projections{0, 0, 0}, d_memory_projections{0, 0, 0}, d_joined{0, 0, 0};
    typename Heads::template tape<T> heads;
    attention_config config;  // of the layer of the forward
    detail::option_marks forward_options;
};

// What is carried from call to call of extend().
template <class T, class Heads>
struct multi_head_stream {
    index position = 0;                  // of x, so far
    index batch = 0;                     // entries that run side by side, once there is something to carry
    std::optional<attention_config> of;  // the layer's, from then on
    typename Heads::template stream_state<T> heads;
    multi_head_tape<T, Heads> rows;  // of the current call; in cross attention the memory's keys and values
};

}  // namespace heed::inline HEED_ABI
