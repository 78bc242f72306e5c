// SPDX-License-Identifier: MIT
// heed/layers/sam_out_parameters.hpp: what the SamOut layer learns, keeps for its backward and carries
#pragma once

#include <heed/layers/feed_forward.hpp>
#include <heed/layers/layer_norm.hpp>
#include <heed/layers/multi_head_parameters.hpp>

namespace heed::inline HEED_ABI {

// The sizes of a SamOut layer. 0 stands for the published one: hidden = 2 width.
struct sam_out_config {
    index width = 0;
    index heads = 1;
    index hidden = 0;        // of the gated feed-forward
    bool positions = false;  // joins rows of a table of positions to x
    bool bias = true;        // of the feed-forward's products
    double epsilon = 1e-5;
};

template <class T, class Heads>
struct sam_out_parameters {
    projection_parameters<T> join;  // (2 width, width): rows of positions first, then x; empty without them
    multi_head_parameters<T, Heads> attention;
    feed_forward_parameters<T> feed_forward;
    layer_norm_parameters<T> norm;
    Eigen::Tensor<T, 1, Eigen::RowMajor> alpha;  // one number, starts as 0.5

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("join", f, p.join...);
        visit("attention", f, p.attention...);
        visit("feed_forward", f, p.feed_forward...);
        visit("norm", f, p.norm...);
        visit("alpha", f, p.alpha...);
    }
};

// Rows of the forward that the backward reads, and rows it works in.
template <class T, class Heads>
struct sam_out_tape {
    using rows = Eigen::Tensor<T, 3, Eigen::RowMajor>;  // (batch, position, width)
    rows position_rows{0, 0, 0};                        // p and its product, (2, position, width)
    rows z{0, 0, 0};                                    // [p; x] W
    rows attended{0, 0, 0}, fed{0, 0, 0}, mixed{0, 0, 0};
    rows work{0, 0, 0}, d_fed{0, 0, 0}, d_attended{0, 0, 0}, dz{0, 0, 0}, d_position_rows{0, 0, 0};
    multi_head_tape<T, Heads> attention;
    feed_forward_tape<T> feed_forward;
    layer_norm_tape<T> norm;
    detail::option_marks forward_options;
};

// What is carried from call to call of extend().
template <class T, class Heads>
struct sam_out_stream {
    index position = 0;
    multi_head_stream<T, Heads> attention;
    sam_out_tape<T, Heads> rows;  // of the current call
};

}  // namespace heed::inline HEED_ABI
