// SPDX-License-Identifier: MIT
// heed/recommend/task.hpp: sizes that are known to serve a kind of task, ready for make_attention
//
//     text             width 768, 12 heads of 64, biases, causal, 1024 positions: GPT-2 small
//     vision           width 768, 12 heads of 64, 196 patches and a class token: ViT-B/16; no biases
//                      on queries, keys and values
//     long_sequence    width 768, 12 heads of 64, causal, 16384 positions, linear attention, whose cost does
//                      not grow with the position
//
// A long sequence under exact attention costs 12 heads x 16384 keys a position; linear attention computes
// another function and has to be trained. What fits a length and a budget: heed::recommend. Where a few
// hundred keys back are enough:
//
//     auto choice = heed::config_for(heed::task::long_sequence);
//     choice.use = heed::variant::window;
//     choice.window = 512;
#pragma once

#include <heed/recommend/attention_layer.hpp>

namespace heed::inline HEED_ABI {

enum class task { text, vision, long_sequence };

inline attention_choice config_for(task t) {
    detail::check_enumerator("config_for", "the task", t, 3);
    attention_choice c{.sizes = {.width = 768, .heads = 12, .kv_heads = 12, .head_dim = 64}};
    switch (t) {
        case task::text:
            c.sizes.in_bias = true;
            c.sizes.out_bias = true;
            c.causal = true;
            c.length = 1024;
            break;
        case task::vision:
            c.sizes.out_bias = true;
            c.length = 196 + 1;
            break;
        case task::long_sequence:
            c.use = variant::linear;
            c.causal = true;
            c.length = 16384;
            break;
    }
    return c;
}

// The shape of a choice, for heed::recommend.
inline attention_shape shape_of(const attention_choice& c) {
    return {.length = c.length,
            .head_dim =
                c.sizes.head_dim > 0 ? c.sizes.head_dim : c.sizes.width / std::max<index>(1, c.sizes.heads),
            .heads = c.sizes.heads,
            .kv_heads = c.sizes.kv_heads,
            .causal = c.causal};
}

}  // namespace heed::inline HEED_ABI
