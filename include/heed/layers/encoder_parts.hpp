// SPDX-License-Identifier: MIT
// heed/layers/encoder_parts.hpp: what an encoder layer learns, keeps and carries, and its steps
#pragma once

#include <heed/layers/feed_forward_block.hpp>
#include <heed/layers/multi_head_parts.hpp>

namespace heed::inline HEED_ABI {

// feed_forward.width is 0 for the attention's; no memory_width.
struct encoder_config {
    attention_config attention{};
    feed_forward_config feed_forward{};
    norm_place norm = norm_place::after;
};

template <class T, class Heads>
struct encoder_parameters {
    multi_head_parameters<T, Heads> attention;
    feed_forward_parameters<T> feed_forward;
    layer_norm_parameters<T> norm1;
    layer_norm_parameters<T> norm2;

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("attention", f, p.attention...);
        visit("feed_forward", f, p.feed_forward...);
        visit("norm1", f, p.norm1...);
        visit("norm2", f, p.norm2...);
    }
};

namespace detail {

template <class T>
struct encoder_rows {
    Eigen::Tensor<T, 3, Eigen::RowMajor> middle{0, 0, 0}, d_middle{0, 0, 0};
    residual_block_tape<T> around_attention;
    feed_forward_block_tape<T> feed_forward;
    index batch = 0, positions = 0;  // of a forward that came to its end
};

}  // namespace detail

template <class T, class Heads>
struct encoder_tape {
    multi_head_tape<T, Heads> attention;
    detail::encoder_rows<T> rows;
};
// What is carried from call to call of extend().
template <class T, class Heads>
struct encoder_stream {
    multi_head_stream<T, Heads> attention;
    detail::encoder_rows<T> rows;  // of the current call
};

namespace detail {

template <class T, class Heads>
struct encoder_parts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::encoder_layer<T>: T is float or double");
    using rows = dense_rows<T>;
    using const_rows = dense_rows<const T>;
    using parameters = encoder_parameters<T, Heads>;
    static constexpr index attention_place = 2;  // of dropout, behind the two branches

    encoder_config config_;
    multi_head_parts<T, Heads> attention_;
    residual_block<T> around_attention_;
    feed_forward_block<T> feed_forward_;

    encoder_parts() = default;
    explicit encoder_parts(const encoder_config& c)
        : config_(c),
          attention_(c.attention),
          around_attention_{c.norm, 0, {}},
          feed_forward_("encoder_layer", c.attention, c.feed_forward, c.norm, 1) {
        if (attention_.crosses())
            fail("encoder_layer", {"attention.memory_width is ", c.attention.memory_width,
                                   ", needs 0; an encoder layer attends to x itself"});
        config_.attention = attention_.config_;
        config_.feed_forward = feed_forward_.inner.config_;
    }
    parameters start(std::uint64_t seed) const {
        const index width = config_.attention.width;
        return {multi_head_parameters<T, Heads>(config_.attention, seed_for(seed, 0)),
                feed_forward_.inner.start(seed_for(seed, 1)), layer_norm_parts<T>::start(width),
                layer_norm_parts<T>::start(width)};
    }

    template <class... Options>
    static constexpr bool options() {
        static_assert((is_option<Options> && ...),
                      "heed::encoder_layer: an argument behind x and tape is not an option");
        static_assert(((Heads::takes(Options::kind) || resource_kind(Options::kind) ||
                        Options::kind == option_kind::dropout) &&
                       ...),
                      "heed::encoder_layer: neither the layer nor the attention inside takes one of these "
                      "options; heed/layers/heads/ lists what each takes");
        HEED_OPTIONS_ONCE("heed::encoder_layer");
        return true;
    }

    void check_weights(std::string_view f, const parameters& w) const {
        const weight_path at;
        const index width = config_.attention.width;
        attention_.check_weights(f, at.inside("attention"), w.attention);
        feed_forward_.inner.check_weights(f, at.inside("feed_forward"), w.feed_forward);
        layer_norm_parts<T>::check_weights(f, at.inside("norm1"), w.norm1, width);
        layer_norm_parts<T>::check_weights(f, at.inside("norm2"), w.norm2, width);
    }

    // attend(to, from, options…) is the forward of the attention, or a step of its stream.
    template <class Attend, class... Options>
    requires(options<Options...>())
    void run(std::string_view f, const parameters& w, const rows& y, const const_rows& x,
             encoder_rows<T>& kept, const Attend& attend, const Options&... options_) const {
        check_layer_rows(f, y, x, config_.attention.width);
        check_weights(f, w);
        check_results<T>(f, w, {{"y", y}}, {{"x", x}});
        check_dropout(f, options_...);
        workspace own;
        workspace& memory = memory_of(own, options_...);
        kept.batch = kept.positions = 0;
        fit(kept.middle, x.batch, x.positions, x.width);
        const rows middle = rows_in(kept.middle);
        around_attention_.run_forward(
            f, w.norm1, middle, x, kept.around_attention, memory,
            [&](const rows& to, const const_rows& from) {
                with_attention_options<Heads>(
                    attention_place, memory, [&](const auto&... o) { attend(to, from, o...); }, options_...);
            },
            options_...);
        feed_forward_.run_forward(f, w.feed_forward, w.norm2, y, middle, kept.feed_forward, memory,
                                  options_...);
        kept.batch = x.batch;
        kept.positions = x.positions;
    }

    template <class... Options>
    requires(options<Options...>())
    void run_backward(std::string_view f, const parameters& w, const rows& dx, const const_rows& dy,
                      const const_rows& x, encoder_tape<T, Heads>& tape, parameters& g,
                      const Options&... options_) const {
        encoder_rows<T>& kept = tape.rows;
        check_layer_backward(f, dx, dy, x, config_.attention.width, kept.batch, kept.positions);
        check_weights(f, w);
        check_gradients<T>(f, w, g, {{"dx", dx}}, {{"x", x}, {"dy", dy}});
        check_dropout(f, options_...);
        around_attention_.check_tape(f, kept.around_attention, x);
        attention_.check_tape(f, tape.attention, x, nullptr);
        feed_forward_.check_tape(f, kept.feed_forward, x);
        workspace own;
        workspace& memory = memory_of(own, options_...);
        fit(kept.d_middle, x.batch, x.positions, x.width);
        const rows d_middle = rows_in(kept.d_middle);
        feed_forward_.run_backward(f, w.feed_forward, w.norm2, g.feed_forward, g.norm2, d_middle, dy,
                                   rows_in(std::as_const(kept.middle)), kept.feed_forward, memory,
                                   options_...);
        around_attention_.run_backward(
            f, w.norm1, g.norm1, dx, const_rows(d_middle), x, kept.around_attention, memory,
            [&](const rows& d_from, const const_rows& d_to, const const_rows& from) {
                with_attention_options<Heads>(
                    attention_place, memory,
                    [&](const auto&... o) {
                        attention_.run_backward(f, w.attention, {d_from, nullptr, d_to, from, nullptr},
                                                tape.attention, g.attention, o...);
                    },
                    options_...);
            },
            options_...);
    }
};

}  // namespace detail

}  // namespace heed::inline HEED_ABI
