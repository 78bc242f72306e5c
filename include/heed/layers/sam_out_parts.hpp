// SPDX-License-Identifier: MIT
// heed/layers/sam_out_parts.hpp: the steps of the SamOut layer: join positions, attend, feed, mix, normalise;
// and back
#pragma once

#include <heed/kernel/elementwise/blend.hpp>
#include <heed/layers/multi_head_parts.hpp>
#include <heed/layers/residual_block.hpp>
#include <heed/layers/sam_out_parameters.hpp>
#include <heed/layers/sam_out_positions.hpp>

namespace heed::inline HEED_ABI {

namespace detail {

template <class T, class Heads>
struct sam_out_parts : layer_facts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::sam_out_layer<T>: T is float or double");
    static constexpr literal name{"sam_out_layer"};
    static constexpr bool reads_second = true, stream_reads_second = true, adds_second = true;
    static constexpr const char* second_name = "positions";
    static constexpr const char* d_second_name = "d_positions";
    using value = T;
    using config_type = sam_out_config;
    using parameters = sam_out_parameters<T, Heads>;
    using tape = sam_out_tape<T, Heads>;
    using stream = sam_out_stream<T, Heads>;
    using attention_parts = multi_head_parts<T, Heads>;

    sam_out_config config_;
    attention_parts attention_;
    feed_forward_parts<T> feed_forward_;
    layer_norm_parts<T> norm_;
    sam_out_positions<T> positions_;

    sam_out_parts() = default;
    explicit sam_out_parts(const sam_out_config& config) : config_(config) {
        sam_out_config& c = config_;
        if (c.width <= 0) fail("sam_out_layer", {"width is ", c.width, ", needs at least 1"});
        if (c.hidden == 0) c.hidden = checked_product("sam_out_layer", 2, c.width);
        if (c.hidden < 0) fail("sam_out_layer", {"hidden is ", c.hidden, ", needs at least 1"});
        attention_ = attention_parts({.width = c.width, .heads = c.heads, .out_projection = false});
        feed_forward_ = feed_forward_parts<T>(
            {.width = c.width, .hidden = c.hidden, .activation = activation::gated_relu, .bias = c.bias});
        positions_ = {c.width, c.positions};
        norm_ = layer_norm_parts<T>({.width = c.width, .epsilon = c.epsilon}, "sam_out_layer");
    }
    parameters start(std::uint64_t seed) const {
        const index width = config_.width;
        parameters w;
        w.join.weight = new_projection<T>(config_.positions ? 2 * width : 0, config_.positions ? width : 0,
                                          seed_for(seed, 0));
        w.attention = multi_head_parameters<T, Heads>(attention_.config_, seed_for(seed, 1));
        w.feed_forward = feed_forward_.start(seed_for(seed, 2));
        w.norm = norm_.start(0);
        w.alpha = constant_vector<T>(1, static_cast<T>(0.5));
        return w;
    }

    index input_width() const { return config_.width; }
    index output_width() const { return config_.width; }
    template <class... Options>
    static constexpr bool options() {
        return attention_parts::template options<Options...>();
    }

    void check_weights(std::string_view f, const parameters& w) const {
        const weight_path at;
        const index width = config_.width, joined = config_.positions ? width : 0;
        check_projection<T>(f, at.inside("join"), w.join, 2 * joined, joined);
        attention_.check_weights(f, at.inside("attention"), w.attention);
        feed_forward_.check_weights(f, at.inside("feed_forward"), w.feed_forward);
        norm_.check_weights(f, at.inside("norm"), w.norm, width);
        check_weight<T>(f, at.inside("alpha"), w.alpha, 1);
    }

    void check_call(std::string_view f, const parameters& w, const forward_rows<T>& r, index first) const {
        check_rows(f, r, config_.width, config_.width);
        check_weights(f, w);
        positions_.check_table(f, {r.second, first}, r.x.positions);
        check_results<T>(f, w, {{"y", r.y}}, {{"x", r.x}});
        if (r.second != nullptr) memory_of_rows<T>(f, {{"y", r.y}}, {{"positions", *r.second}});
    }
    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&...) const {
        check_call(f, w, r, 0);
    }
    template <class... Options>
    void check_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, const stream& s,
                      const Options&...) const {
        check_call(f, w, r, s.position);
        attention_.check_stream(f, w.attention, r.x, s.attention);
    }

    // attend(rows to write, rows to read) runs the attention, as a whole sequence or as part of a stream.
    template <class Attend, class... Options>
    void steps(std::string_view f, const parameters& w, const forward_rows<T>& r, index first, tape* kept,
               workspace& scratch, const Attend& attend, const Options&... options) const {
        call_rows taken(scratch);
        const index width = config_.width;
        const auto of = [&](auto member) {
            return dense_rows<T>{tape_or_scratch(kept, member, taken, r.x.batch, r.x.positions, width),
                                 r.x.batch, r.x.positions, width};
        };
        dense_rows<const T> z = r.x;
        if (r.second != nullptr) {
            T* const position_rows =
                tape_or_scratch(kept, &tape::position_rows, taken, index{2}, r.x.positions, width);
            const dense_rows<T> joined = of(&tape::z);
            positions_.join(w.join, r.x, {r.second, first}, position_rows, joined, scratch, options...);
            z = joined;
        } else if (kept != nullptr) {
            fit(kept->z, index{0}, index{0}, index{0});
        }
        const dense_rows<T> attended = of(&tape::attended), fed = of(&tape::fed), mixed = of(&tape::mixed);
        attend(attended, z);
        feed_forward_.run_forward(f, w.feed_forward, {fed, attended}, part_of(kept, &tape::feed_forward),
                                  scratch, options...);
        blend<T>(one_head(mixed), one_head(dense_rows<const T>(fed)), one_head(z), share(w),
                 device_of(options...));
        norm_.run_forward(f, w.norm, {r.y, mixed}, part_of(kept, &tape::norm), scratch, options...);
        if (r.second != nullptr) add_rows(r.y, r.y, z, device_of(options...));
    }
    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Options&... options) const {
        steps(
            f, w, r, 0, kept, scratch,
            [&](const dense_rows<T>& to, const dense_rows<const T>& from) {
                attention_.run_forward(f, w.attention, {to, from}, part_of(kept, &tape::attention), scratch,
                                       options...);
            },
            options...);
    }
    template <class... Options>
    void run_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, stream& s,
                    workspace& scratch, const Options&... options) const {
        steps(
            f, w, r, s.position, &s.rows, scratch,
            [&](const dense_rows<T>& to, const dense_rows<const T>& from) {
                attention_.run_extend(f, w.attention, {to, from}, s.attention, scratch, options...);
            },
            options...);
        s.position += r.x.positions;
    }

    void check_tape(std::string_view f, const backward_rows<T>& r, const tape& kept) const {
        if (r.second == nullptr && kept.z.size() > 0)
            fail(f, {"tape holds a forward that joined positions, this layer joins none"});
        for (const auto* rows : {&kept.mixed, &kept.attended, &kept.fed})
            attention_.check_tape(f, *rows, "x", r.x, config_.width);
        attention_.check_tape(f, kept.attention, r.x, nullptr);
        feed_forward_.check_tape(f, kept.feed_forward, r.x.rows());
        norm_.check_tape(f, kept.norm, r.x.rows());
    }
    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&... options) const {
        check_rows(f, r, config_.width, config_.width);
        for (const auto* rows : {&kept.mixed, r.second != nullptr ? &kept.z : &kept.mixed})
            if (rows->dimension(0) != r.x.batch || rows->dimension(1) != r.x.positions)
                fail(f, {"tape holds a forward of ", rows->dimension(0), " x ", rows->dimension(1),
                         " positions, x has ", r.x.batch, " x ", r.x.positions});
        positions_.check_table(f, {r.second, 0}, r.x.positions);
        check_weights(f, w);
        if (r.second == nullptr) {
            check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"x", r.x}, {"dy", r.dy}});
        } else {
            check_like(f, "d_positions", *r.d_second, "positions", *r.second, config_.width);
            check_gradients<T>(f, w, g, {{"dx", r.dx}, {"d_positions", *r.d_second}},
                               {{"x", r.x}, {"dy", r.dy}, {"positions", *r.second}});
        }
        check_tape(f, r, kept);
        attention_.check_options_back(f, {r.dx, nullptr, r.dy, r.x, nullptr}, kept.attention, options...);
    }
    template <class... Options>
    void run_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        const bool joins = r.second != nullptr;
        const dense_rows<const T> z = joins ? dense_rows<const T>(rows_in(kept.z)) : r.x;
        for (auto* rows : {&kept.work, &kept.d_fed, &kept.d_attended})
            fit(*rows, r.x.batch, r.x.positions, config_.width);
        if (joins) fit(kept.dz, r.x.batch, r.x.positions, config_.width);
        const dense_rows<T> work = rows_in(kept.work), d_fed = rows_in(kept.d_fed);
        const dense_rows<T> d_attended = rows_in(kept.d_attended), dz = joins ? rows_in(kept.dz) : r.dx;
        const auto read = [](const dense_rows<T>& rows) { return dense_rows<const T>(rows); };
        double d_alpha = 0;
        norm_.run_backward(f, w.norm, {work, nullptr, r.dy, rows_in(std::as_const(kept.mixed))}, kept.norm,
                           g.norm, scratch, options...);
        blend_backward<T>(one_head(d_fed), one_head(dz), &d_alpha, one_head(read(work)),
                          one_head(rows_in(std::as_const(kept.fed))), one_head(z), share(w),
                          device_of(options...), scratch);
        feed_forward_.run_backward(f, w.feed_forward,
                                   {d_attended, nullptr, d_fed, rows_in(std::as_const(kept.attended))},
                                   kept.feed_forward, g.feed_forward, scratch, options...);
        attention_.run_backward(f, w.attention, {work, nullptr, read(d_attended), z, nullptr}, kept.attention,
                                g.attention, scratch, options...);
        add_rows(dz, dz, work, device_of(options...));
        if (joins) add_rows(dz, dz, r.dy, device_of(options...));
        g.alpha(0) += static_cast<T>(d_alpha);
        if (joins) positions_.backward(w.join, r, kept, g.join, scratch, options...);
    }

private:
    static auto share(const parameters& w) {
        return [alpha = static_cast<double>(w.alpha(0))](index) { return alpha; };
    }
    // All features as those of one head.
    template <class U>
    static view<U> one_head(const dense_rows<U>& rows) {
        return rows.heads_from(0, 1, rows.width);
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
