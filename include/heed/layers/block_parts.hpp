// SPDX-License-Identifier: MIT
// heed/layers/block_parts.hpp: the steps of encoder and decoder layers
//
// Both are a sequence of residual blocks around attention, attention over a memory (the decoder's) and a
// feed-forward. Facts says which of the two it is: its name, config, parameters and the options it refuses.
#pragma once

#include <heed/layers/block_tape.hpp>
#include <heed/layers/heads/exact.hpp>
#include <heed/layers/multi_head_parts.hpp>
#include <heed/mask/band.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class Facts>
struct block_parts : Facts {
    using T = typename Facts::value;
    using Heads = typename Facts::heads;
    using Cross = typename Facts::cross_heads;
    using config_type = typename Facts::config_type;
    using parameters = typename Facts::parameters;
    using tape = block_tape<T, Heads, Cross>;
    using stream = block_stream<T, Heads, Cross>;
    using rows = dense_rows<T>;
    using read_rows = dense_rows<const T>;
    static constexpr bool crosses = !std::is_same_v<Cross, no_cross>;
    static constexpr int count = crosses ? 3 : 2;
    // Of dropout, behind the branches.
    static constexpr index attention_site = count, cross_site = count + 1;

    config_type config_;
    multi_head_parts<T, Heads> attention_;
    multi_head_parts<T, std::conditional_t<crosses, Cross, Heads>> cross_attention_;
    feed_forward_parts<T> feed_forward_;
    residual_sequence<T, count> blocks_;

    block_parts() = default;
    explicit block_parts(const config_type& c) : config_(c), attention_(c.attention) {
        const char* f = Facts::name.text;
        Facts::check_attention(f, c.attention);
        config_.attention = attention_.config_;
        if constexpr (crosses) {
            cross_attention_ = multi_head_parts<T, Cross>(Facts::cross_config(f, c));
            config_.cross_attention = cross_attention_.config_;
        }
        blocks_ = {f, c.norm, width()};
        feed_forward_config& inner = config_.feed_forward;
        if (inner.width == 0) inner.width = width();
        if (inner.width != width())
            fail(f, {"feed_forward.width is ", inner.width, ", needs the attention's, ", width(), ", or 0"});
        feed_forward_ = feed_forward_parts<T>(inner);
        inner = feed_forward_.config_;
    }
    index width() const { return config_.attention.width; }
    index input_width() const { return width(); }
    index output_width() const { return width(); }
    parameters start(std::uint64_t seed) const {
        parameters w;
        std::uint64_t part = 0;
        w.attention = attention_.start(seed_for(seed, part++));
        if constexpr (crosses) w.cross_attention = cross_attention_.start(seed_for(seed, part++));
        w.feed_forward = feed_forward_.start(seed_for(seed, part));
        for (layer_norm_parameters<T>* norm : w.norms()) *norm = blocks_.blocks_[0].norm.start(0);
        return w;
    }

    void check_weights(std::string_view f, const parameters& w) const {
        const weight_path at;
        attention_.check_weights(f, at.inside("attention"), w.attention);
        if constexpr (crosses)
            cross_attention_.check_weights(f, at.inside("cross_attention"), w.cross_attention);
        feed_forward_.check_weights(f, at.inside("feed_forward"), w.feed_forward);
        const char* const names[] = {"norm1", "norm2", "norm3"};
        std::size_t next = 0;
        for (const layer_norm_parameters<T>* norm : w.norms())
            layer_norm_parts<T>::check_weights(f, at.inside(names[next++]), *norm, width());
    }

    // The options of the attention over x; a decoder's sees no position behind its own.
    template <class... Options>
    static auto self_options(workspace& scratch, const Options&... options) {
        if constexpr (crosses && Heads::takes(option_kind::mask))
            return attention_options<Heads>(attention_site, scratch, causal, options...);
        else
            return attention_options<Heads>(attention_site, scratch, options...);
    }
    template <class... Options>
    static auto cross_options(workspace& scratch, const Options&... options) {
        return memory_options<Cross>(cross_site, scratch, options...);
    }

    template <class... Options>
    void check_rows_and_weights(std::string_view f, const parameters& w, const forward_rows<T>& r,
                                const Options&... options) const {
        check_rows(f, r, width(), width());
        check_weights(f, w);
        check_results<T>(f, w, {{"y", r.y}}, {{"x", r.x}});
        check_dropout(f, options...);
    }
    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&... options) const {
        if constexpr (crosses) {
            check_width(f, "x", r.x.width, width());
            cross_attention_.check_memory(f, r.x, *r.second);
            memory_of_rows<T>(f, {{"y", r.y}}, {{"memory", *r.second}});
            cross_attention_.check_positions(f, 0, r.x.positions);
        }
        attention_.check_positions(f, 0, r.x.positions);
        check_rows_and_weights(f, w, r, options...);
    }
    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Options&... options) const {
        const auto attend = [&](const rows& to, const read_rows& from) {
            attention_.run_forward(f, w.attention, {to, from}, part_of(kept, &tape::attention), scratch,
                                   self_options(scratch, options...));
        };
        const auto cross = [&]([[maybe_unused]] const rows& to, [[maybe_unused]] const read_rows& from) {
            if constexpr (crosses)
                cross_attention_.run_forward(f, w.cross_attention, {to, from, r.second},
                                             part_of(kept, &tape::cross_attention), scratch,
                                             cross_options(scratch, options...));
        };
        run_blocks(f, w, r, kept, scratch, attend, cross, options...);
    }
    // attend and cross(to, from) are forwards, or steps of a stream.
    template <class Attend, class Attend2, class... Options>
    void run_blocks(std::string_view f, const parameters& w, const forward_rows<T>& r, tape* kept,
                    workspace& scratch, const Attend& attend, const Attend2& cross,
                    const Options&... options) const {
        const auto feed = [&](const rows& to, const read_rows& from) {
            feed_forward_.run_forward(f, w.feed_forward, {to, from}, part_of(kept, &tape::feed_forward),
                                      scratch, options...);
        };
        auto* const blocks = part_of(kept, &tape::blocks);
        if constexpr (crosses)
            blocks_.run_forward(f, w.norms(), r, blocks, scratch, std::tie(attend, cross, feed), options...);
        else
            blocks_.run_forward(f, w.norms(), r, blocks, scratch, std::tie(attend, feed), options...);
    }

    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&... options) const {
        check_rows(f, r, width(), width());
        if constexpr (crosses) {
            cross_attention_.check_memory(f, r.x, *r.second);
            check_like(f, "d_memory", *r.d_second, "memory", *r.second, r.second->width);
        }
        check_weights(f, w);
        if constexpr (crosses)
            check_gradients<T>(f, w, g, {{"dx", r.dx}, {"d_memory", *r.d_second}},
                               {{"x", r.x}, {"dy", r.dy}, {"memory", *r.second}});
        else
            check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"x", r.x}, {"dy", r.dy}});
        check_dropout(f, options...);
        blocks_.check_tape(f, kept.blocks, r.x);
        attention_.check_tape(f, kept.attention, r.x, nullptr);
        if constexpr (crosses) cross_attention_.check_tape(f, kept.cross_attention, r.x, r.second);
        feed_forward_.check_tape(f, kept.feed_forward, r.x.rows());
        workspace unused;
        const auto check_self = [&](const auto&... o) {
            attention_.check_options_back(f, {r.dx, nullptr, r.dy, r.x, nullptr}, kept.attention, o...);
        };
        std::apply(check_self, self_options(unused, options...));
        const auto check_cross = [&]([[maybe_unused]] const auto&... o) {
            if constexpr (crosses) cross_attention_.check_options_back(f, r, kept.cross_attention, o...);
        };
        if constexpr (crosses) std::apply(check_cross, cross_options(unused, options...));
    }
    template <class... Options>
    void run_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        const auto attend = [&](const rows& d_from, const read_rows& d_to, const read_rows& from) {
            attention_.run_backward(f, w.attention, {d_from, nullptr, d_to, from, nullptr}, kept.attention,
                                    g.attention, scratch, self_options(scratch, options...));
        };
        const auto feed = [&](const rows& d_from, const read_rows& d_to, const read_rows& from) {
            feed_forward_.run_backward(f, w.feed_forward, {d_from, nullptr, d_to, from}, kept.feed_forward,
                                       g.feed_forward, scratch, options...);
        };
        if constexpr (crosses) {
            const auto cross = [&](const rows& d_from, const read_rows& d_to, const read_rows& from) {
                cross_attention_.run_backward(
                    f, w.cross_attention, {d_from, r.d_second, d_to, from, r.second}, kept.cross_attention,
                    g.cross_attention, scratch, cross_options(scratch, options...));
            };
            blocks_.run_backward(f, w.norms(), g.norms(), r, kept.blocks, scratch,
                                 std::tie(attend, cross, feed), options...);
        } else {
            blocks_.run_backward(f, w.norms(), g.norms(), r, kept.blocks, scratch, std::tie(attend, feed),
                                 options...);
        }
    }

    template <class... Options>
    void check_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, const stream& s,
                      const Options&... options) const {
        check_rows_and_weights(f, w, r, options...);
        attention_.check_stream(f, w.attention, r.x, s.attention);
        if constexpr (crosses) cross_attention_.check_stream(f, w.cross_attention, r.x, s.cross_attention);
    }
    template <class... Options>
    void run_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, stream& s,
                    workspace& scratch, const Options&... options) const {
        const auto attend = [&](const rows& to, const read_rows& from) {
            attention_.run_extend(f, w.attention, {to, from}, s.attention, scratch,
                                  self_options(scratch, options...));
        };
        const auto cross = [&]([[maybe_unused]] const rows& to, [[maybe_unused]] const read_rows& from) {
            if constexpr (crosses)
                cross_attention_.run_extend(f, w.cross_attention, {to, from}, s.cross_attention, scratch,
                                            cross_options(scratch, options...));
        };
        run_blocks(f, w, r, &s.rows, scratch, attend, cross, options...);
    }

    void check_remember(std::string_view f, const parameters& w, const read_rows& m, const stream& s) const {
        check_weights(f, w);
        cross_attention_.check_memory_of(f, m, s.cross_attention);
    }
    template <class... Options>
    void run_remember(std::string_view f, const parameters& w, const read_rows& m, stream& s,
                      workspace& scratch, const Options&... options) const {
        cross_attention_.run_remember(f, w.cross_attention, m, s.cross_attention, scratch, options...);
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
