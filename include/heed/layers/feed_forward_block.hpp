// SPDX-License-Identifier: MIT
// heed/layers/feed_forward_block.hpp: the feed-forward of a layer, with the sum around it and its norm
#pragma once

#include <heed/layers/feed_forward.hpp>
#include <heed/layers/residual_block.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct feed_forward_block_tape {
    residual_block_tape<T> around;
    feed_forward_tape<T> inner;
};

template <class T>
struct feed_forward_block {
    using rows = dense_rows<T>;
    using const_rows = dense_rows<const T>;
    using parameters = feed_forward_parameters<T>;
    using norm_parameters = layer_norm_parameters<T>;
    using tape = feed_forward_block_tape<T>;

    residual_block<T> around;
    feed_forward_parts<T> inner;

    feed_forward_block() = default;
    // A feed-forward of the attention's width; `place` tells its dropout apart.
    feed_forward_block(const char* f, const attention_config& attention, feed_forward_config c,
                       norm_place where, index place)
        : around{where, place, {}} {
        check_enumerator(f, "norm", where, 2);
        if (c.width == 0) c.width = attention.width;
        if (c.width != attention.width)
            fail(f,
                 {"feed_forward.width is ", c.width, ", needs the attention's, ", attention.width, ", or 0"});
        inner = feed_forward_parts<T>(c);
    }

    void check_tape(std::string_view f, const tape& kept, const const_rows& x) const {
        around.check_tape(f, kept.around, x);
        inner.check_tape(f, kept.inner, x.rows());
    }

    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const norm_parameters& w_norm, const rows& y,
                     const const_rows& x, tape& kept, workspace& memory, const Options&... options) const {
        const auto branch = [&](const rows& to, const const_rows& from) {
            with_layer_resources(
                memory, [&](const auto&... o) { inner.run_forward(f, w, to, from, kept.inner, o...); },
                options...);
        };
        around.run_forward(f, w_norm, y, x, kept.around, memory, branch, options...);
    }
    template <class... Options>
    void run_backward(std::string_view f, const parameters& w, const norm_parameters& w_norm, parameters& g,
                      norm_parameters& g_norm, const rows& dx, const const_rows& dy, const const_rows& x,
                      tape& kept, workspace& memory, const Options&... options) const {
        const auto branch_back = [&](const rows& d_from, const const_rows& d_to, const const_rows& from) {
            with_layer_resources(
                memory,
                [&](const auto&... o) { inner.run_backward(f, w, d_from, d_to, from, kept.inner, g, o...); },
                options...);
        };
        around.run_backward(f, w_norm, g_norm, dx, dy, x, kept.around, memory, branch_back, options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
