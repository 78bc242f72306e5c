// SPDX-License-Identifier: MIT
// heed/layers/decoder_parts.hpp: what a decoder layer learns, keeps and carries, and its steps
#pragma once

#include <heed/layers/feed_forward_block.hpp>
#include <heed/layers/heads/exact.hpp>
#include <heed/layers/multi_head_parts.hpp>
#include <heed/mask/band.hpp>

namespace heed::inline HEED_ABI {

// cross_attention.width is 0 for the attention's sizes, without rotary positions; its memory_width then is
// the width, unless it is given. feed_forward.width is 0 for the attention's.
struct decoder_config {
    attention_config attention{};
    attention_config cross_attention{};
    feed_forward_config feed_forward{};
    norm_place norm = norm_place::after;
};

// An attention that has no cross form leaves the memory to the exact one.
template <class Heads>
using cross_heads_of = std::conditional_t<Heads::crosses, Heads, exact_heads>;

template <class T, class Heads>
struct decoder_parameters {
    multi_head_parameters<T, Heads> attention;
    multi_head_parameters<T, cross_heads_of<Heads>> cross_attention;
    feed_forward_parameters<T> feed_forward;
    layer_norm_parameters<T> norm1;
    layer_norm_parameters<T> norm2;
    layer_norm_parameters<T> norm3;

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("attention", f, p.attention...);
        visit("cross_attention", f, p.cross_attention...);
        visit("feed_forward", f, p.feed_forward...);
        visit("norm1", f, p.norm1...);
        visit("norm2", f, p.norm2...);
        visit("norm3", f, p.norm3...);
    }
};

namespace detail {

template <class T>
struct decoder_rows {
    using rows = Eigen::Tensor<T, 3, Eigen::RowMajor>;
    rows second{0, 0, 0}, third{0, 0, 0};  // what the second and the third block read
    rows d_second{0, 0, 0}, d_third{0, 0, 0};
    residual_block_tape<T> around_attention, around_cross;
    feed_forward_block_tape<T> feed_forward;
    index batch = 0, positions = 0;  // of a forward that came to its end
};

}  // namespace detail

template <class T, class Heads>
struct decoder_tape {
    multi_head_tape<T, Heads> attention;
    multi_head_tape<T, cross_heads_of<Heads>> cross_attention;
    detail::decoder_rows<T> rows;
};
// What is carried from call to call of extend(): the positions so far, and the memory.
template <class T, class Heads>
struct decoder_stream {
    multi_head_stream<T, Heads> attention;
    multi_head_stream<T, cross_heads_of<Heads>> cross_attention;
    detail::decoder_rows<T> rows;  // of the current call
};

namespace detail {

inline attention_config cross_config(const decoder_config& c) {
    attention_config cross = c.cross_attention;
    if (cross.width == 0) {
        const index memory_width = cross.memory_width;
        cross = c.attention;
        cross.rotary_positions = 0;
        cross.memory_width = memory_width;
    }
    if (cross.memory_width == 0) cross.memory_width = c.attention.width;
    if (cross.width != c.attention.width)
        fail("decoder_layer", {"cross_attention.width is ", cross.width, ", needs the attention's, ",
                               c.attention.width, ", or 0"});
    return cross;
}

template <class T, class Heads>
struct decoder_parts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::decoder_layer<T>: T is float or double");
    using cross_heads = cross_heads_of<Heads>;
    using rows = dense_rows<T>;
    using const_rows = dense_rows<const T>;
    using parameters = decoder_parameters<T, Heads>;
    // Of dropout, behind the three branches.
    static constexpr index attention_place = 3, cross_place = 4;

    decoder_config config_;
    multi_head_parts<T, Heads> attention_;
    multi_head_parts<T, cross_heads> cross_attention_;
    residual_block<T> around_attention_, around_cross_;
    feed_forward_block<T> feed_forward_;

    decoder_parts() = default;
    explicit decoder_parts(const decoder_config& c)
        : config_(c),
          attention_(c.attention),
          cross_attention_(cross_config(c)),
          around_attention_{c.norm, 0, {}},
          around_cross_{c.norm, 1, {}},
          feed_forward_("decoder_layer", c.attention, c.feed_forward, c.norm, 2) {
        if (attention_.crosses())
            fail("decoder_layer", {"attention.memory_width is ", c.attention.memory_width,
                                   ", needs 0; that of the memory is cross_attention.memory_width"});
        config_.attention = attention_.config_;
        config_.cross_attention = cross_attention_.config_;
        config_.feed_forward = feed_forward_.inner.config_;
    }
    parameters start(std::uint64_t seed) const {
        const auto norm = [&] { return layer_norm_parts<T>::start(config_.attention.width); };
        return {multi_head_parameters<T, Heads>(config_.attention, seed_for(seed, 0)),
                multi_head_parameters<T, cross_heads>(config_.cross_attention, seed_for(seed, 1)),
                feed_forward_.inner.start(seed_for(seed, 2)),
                norm(),
                norm(),
                norm()};
    }

    template <class... Options>
    static constexpr bool options() {
        static_assert((is_option<Options> && ...),
                      "heed::decoder_layer: an argument behind x, memory and tape is not an option");
        static_assert(((Heads::takes(Options::kind) || resource_kind(Options::kind) ||
                        Options::kind == option_kind::dropout || Options::kind == option_kind::memory) &&
                       ...),
                      "heed::decoder_layer: neither the layer nor the attention inside takes one of these "
                      "options; heed/layers/heads/ lists what each takes");
        HEED_OPTIONS_ONCE("heed::decoder_layer");
        static_assert(
            (takes_for_memory<cross_heads, Options> && ...),
            "heed::decoder_layer: the attention over the memory does not take one of the options in "
            "for_memory(…); heed/layers/heads/ lists what each takes");
        return true;
    }
    // run(options…) with those of the attention over x, which sees no position behind its own.
    template <class Run, class... Options>
    void with_self_options(workspace& memory, const Run& run, const Options&... options_) const {
        with_attention_options<Heads>(
            attention_place, memory,
            [&](const auto&... o) {
                if constexpr (Heads::takes(option_kind::mask))
                    run(causal, o...);
                else
                    run(o...);
            },
            options_...);
    }

    void check_weights(std::string_view f, const parameters& w) const {
        const weight_path at;
        attention_.check_weights(f, at.inside("attention"), w.attention);
        cross_attention_.check_weights(f, at.inside("cross_attention"), w.cross_attention);
        feed_forward_.inner.check_weights(f, at.inside("feed_forward"), w.feed_forward);
        const auto check_norm = [&](const char* name, const layer_norm_parameters<T>& norm) {
            layer_norm_parts<T>::check_weights(f, at.inside(name), norm, config_.attention.width);
        };
        check_norm("norm1", w.norm1);
        check_norm("norm2", w.norm2);
        check_norm("norm3", w.norm3);
    }

    // attend(to, from, options…) and cross(to, from, options…) are forwards, or steps of a stream.
    template <class Attend, class Cross, class... Options>
    requires(options<Options...>())
    void run(std::string_view f, const parameters& w, const rows& y, const const_rows& x,
             decoder_rows<T>& kept, const Attend& attend, const Cross& cross,
             const Options&... options_) const {
        check_layer_rows(f, y, x, config_.attention.width);
        check_weights(f, w);
        check_results<T>(f, w, {{"y", y}}, {{"x", x}});
        check_dropout(f, options_...);
        workspace own;
        workspace& memory = memory_of(own, options_...);
        kept.batch = kept.positions = 0;
        fit(kept.second, x.batch, x.positions, x.width);
        fit(kept.third, x.batch, x.positions, x.width);
        const rows second = rows_in(kept.second), third = rows_in(kept.third);
        around_attention_.run_forward(
            f, w.norm1, second, x, kept.around_attention, memory,
            [&](const rows& to, const const_rows& from) {
                with_self_options(memory, [&](const auto&... o) { attend(to, from, o...); }, options_...);
            },
            options_...);
        around_cross_.run_forward(
            f, w.norm2, third, second, kept.around_cross, memory,
            [&](const rows& to, const const_rows& from) {
                with_memory_options<cross_heads>(
                    cross_place, memory, [&](const auto&... o) { cross(to, from, o...); }, options_...);
            },
            options_...);
        feed_forward_.run_forward(f, w.feed_forward, w.norm3, y, third, kept.feed_forward, memory,
                                  options_...);
        kept.batch = x.batch;
        kept.positions = x.positions;
    }

    template <class... Options>
    requires(options<Options...>())
    void run_backward(std::string_view f, const parameters& w, const rows& dx, const rows& d_memory,
                      const const_rows& dy, const const_rows& x, const const_rows& m,
                      decoder_tape<T, Heads>& tape, parameters& g, const Options&... options_) const {
        decoder_rows<T>& kept = tape.rows;
        check_layer_backward(f, dx, dy, x, config_.attention.width, kept.batch, kept.positions);
        cross_attention_.check_memory(f, x, m);
        check_like(f, "d_memory", d_memory, "memory", m, m.width);
        check_weights(f, w);
        check_gradients<T>(f, w, g, {{"dx", dx}, {"d_memory", d_memory}},
                           {{"x", x}, {"dy", dy}, {"memory", m}});
        check_dropout(f, options_...);
        around_attention_.check_tape(f, kept.around_attention, x);
        around_cross_.check_tape(f, kept.around_cross, x);
        attention_.check_tape(f, tape.attention, x, nullptr);
        cross_attention_.check_tape(f, tape.cross_attention, x, &m);
        feed_forward_.check_tape(f, kept.feed_forward, x);
        workspace own;
        workspace& memory = memory_of(own, options_...);
        fit(kept.d_second, x.batch, x.positions, x.width);
        fit(kept.d_third, x.batch, x.positions, x.width);
        const rows d_second = rows_in(kept.d_second), d_third = rows_in(kept.d_third);
        feed_forward_.run_backward(f, w.feed_forward, w.norm3, g.feed_forward, g.norm3, d_third, dy,
                                   rows_in(std::as_const(kept.third)), kept.feed_forward, memory,
                                   options_...);
        around_cross_.run_backward(
            f, w.norm2, g.norm2, d_second, const_rows(d_third), rows_in(std::as_const(kept.second)),
            kept.around_cross, memory,
            [&](const rows& d_from, const const_rows& d_to, const const_rows& from) {
                with_memory_options<cross_heads>(
                    cross_place, memory,
                    [&](const auto&... o) {
                        cross_attention_.run_backward(f, w.cross_attention,
                                                      {d_from, &d_memory, d_to, from, &m},
                                                      tape.cross_attention, g.cross_attention, o...);
                    },
                    options_...);
            },
            options_...);
        around_attention_.run_backward(
            f, w.norm1, g.norm1, dx, const_rows(d_second), x, kept.around_attention, memory,
            [&](const rows& d_from, const const_rows& d_to, const const_rows& from) {
                with_self_options(
                    memory,
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
