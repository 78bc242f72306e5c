// SPDX-License-Identifier: MIT
// heed/layers/multi_head_parts.hpp: the steps of a multi-head layer: project, attend, join, and back
//
// All that a caller can get wrong is checked before the first gradient is added to or dx, d_memory or y is
// written: by the layer on entry, the gradients that options ask for included. What the attention inside
// refuses of other options it has refused in the forward.
#pragma once

#include <heed/layers/apart.hpp>
#include <heed/layers/gradient_options.hpp>
#include <heed/layers/layer_options.hpp>
#include <heed/layers/multi_head_checks.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T, class Heads>
struct multi_head_parts : layer_facts, multi_head_checks<T, Heads> {
    using checks = multi_head_checks<T, Heads>;
    using checks::check_stream, checks::check_owner;
    using checks::check_weights, checks::check_kind, checks::check_memory, checks::check_tape;
    using checks::config_, checks::projections;
    using shape = multi_head_shape<T, Heads>;
    static constexpr literal name{"multi_head_attention"};
    static constexpr bool reads_second = true;
    using value = T;
    using config_type = attention_config;
    using parameters = multi_head_parameters<T, Heads>;
    using tape = multi_head_tape<T, Heads>;
    using stream = multi_head_stream<T, Heads>;
    using rows = dense_rows<T>;
    using read_rows = dense_rows<const T>;
    using rotation = typename shape::rotation;

    multi_head_parts() = default;
    explicit multi_head_parts(const attention_config& config) : checks(config) {}
    parameters start(std::uint64_t seed) const { return parameters(config_, seed); }
    index input_width() const { return config_.width; }
    index output_width() const { return config_.width; }

    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&...) const {
        check_kind(f, r.second);
        check_rows(f, r, config_.width, config_.width);
        this->check_positions(f, 0, r.x.positions);
        if (r.second != nullptr) check_memory(f, r.x, *r.second);
        check_weights(f, {}, w);
        check_results<T>(f, w, {{"y", r.y}}, {{"x", r.x}});
        if (r.second != nullptr) memory_of_rows<T>(f, {{"y", r.y}}, {{"memory", *r.second}});
    }
    // Projections [begin, end) of `from`, with its rotary positions, into `to`.
    void project(const projection_parameters<T>& p, const rows& to, const read_rows& from, int begin, int end,
                 index first, device_ref device, workspace& scratch) const {
        multiply<T>(to.as_matrix(), from.as_matrix(), matrix_of(p.weight), data_or_null(p.bias), false,
                    device, scratch);
        typename shape::template projection_views<T> parts;
        this->split(parts, to, begin, end);
        this->rotate(parts, begin, end, first, rotation::forward, device);
    }
    void project_memory(const parameters& w, const rows& to, const read_rows& m, device_ref device,
                        workspace& scratch) const {
        project(w.memory, to, m, this->own_projections(), projections, 0, device, scratch);
    }
    // y from the outputs of the heads.
    void join(const parameters& w, const rows& y, const rows& joined, device_ref device,
              workspace& scratch) const {
        if (config_.out_projection)
            multiply<T>(y.as_matrix(), joined.as_matrix(), matrix_of(w.out.weight), data_or_null(w.out.bias),
                        false, device, scratch);
        else
            copy(joined.data, y.data, joined.rows() * joined.width);
    }
    auto projections_of(const read_rows& own, const read_rows& of_memory) const {
        return this->template split_all<const T>(own, of_memory);
    }
    auto projections_of(const tape& kept) const {
        return projections_of(rows_in(kept.projections), rows_in(kept.memory_projections));
    }
    // Where the layer has no tape, that of the heads is scratch.
    using heads_tape = typename Heads::template tape<T>;
    static heads_tape& heads_tape_of(tape* kept, workspace& scratch, heads_tape& empty) {
        if (kept != nullptr) return kept->heads;
        if constexpr (std::is_empty_v<heads_tape>)
            return empty;
        else
            return scratch.template kept<heads_tape>();
    }

    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Options&... options) const {
        run_forward(f, w, r, kept, scratch, std::tie(options...));
    }
    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const std::tuple<Options...>& options) const {
        const device_ref device = device_in(options);
        call_rows taken(scratch);
        const auto of = [&](auto member, const read_rows& like, index width) {
            return rows{tape_or_scratch(kept, member, taken, like.batch, like.positions, width), like.batch,
                        like.positions, width};
        };
        if (kept != nullptr) {
            kept->config = config_;
            kept->whole = false;
        }
        const rows own = of(&tape::projections, r.x, w.in.weight.dimension(1));
        project(w.in, own, r.x, 0, this->own_projections(), 0, device, scratch);
        rows of_memory;
        if (r.second != nullptr) {
            of_memory = of(&tape::memory_projections, *r.second, w.memory.weight.dimension(1));
            project_memory(w, of_memory, *r.second, device, scratch);
        }
        const rows joined = of(&tape::joined, r.x, this->joined_width());
        const view<T> y = this->joined_heads(joined);
        const auto u = projections_of(own, of_memory);
        const auto attend = [&](const auto&... o) {
            if constexpr (requires { Heads::attend(f, y, u, w.heads, o...); })
                if (kept == nullptr) return Heads::attend(f, y, u, w.heads, o...);
            heads_tape none;
            Heads::forward(f, y, u, w.heads, heads_tape_of(kept, scratch, none), o...);
        };
        std::apply(attend, heads_options<Heads>(scratch, options));
        join(w, r.y, joined, device, scratch);
        if (kept != nullptr) kept->whole = true;
    }
    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&... options) const {
        check_kind(f, r.second);
        check_rows(f, r, config_.width, config_.width);
        check_weights(f, {}, w);
        if (r.second != nullptr) {
            check_memory(f, r.x, *r.second);
            check_like(f, "d_memory", *r.d_second, "memory", *r.second, config_.memory_width);
        }
        check_tape(f, kept, r.x, r.second);
        if (r.second == nullptr)
            check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"x", r.x}, {"dy", r.dy}});
        else
            check_gradients<T>(f, w, g, {{"dx", r.dx}, {"d_memory", *r.d_second}},
                               {{"x", r.x}, {"dy", r.dy}, {"memory", *r.second}});
        check_options_back(f, r, kept, options...);
    }
    // Options of a backward alone: the gradients that the attention writes.
    template <class... Options>
    void check_options_back(std::string_view f, const backward_rows<T>& r, const tape& kept,
                            const Options&... options) const {
        with_options_of<Heads>([&](const auto&... o) { check_gradient_options(f, r, config_, o...); },
                               options...);
        check_options_of<Heads>(f, options...);
        check_heads_backward<Heads>(f, projections_of(kept), options...);
    }

    template <class... Options>
    void run_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        run_backward(f, w, r, kept, g, scratch, std::tie(options...));
    }
    template <class... Options>
    void run_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const std::tuple<Options...>& options) const {
        const device_ref device = device_in(options);
        fit(kept.d_projections, r.x.batch, r.x.positions, kept.projections.dimension(2));
        fit(kept.d_memory_projections, kept.memory_projections.dimension(0),
            kept.memory_projections.dimension(1), kept.memory_projections.dimension(2));
        view<const T> d_heads = this->joined_heads(r.dy);
        if (config_.out_projection) {
            fit(kept.d_joined, r.x.batch, r.x.positions, this->joined_width());
            multiply<T>(rows_in(kept.d_joined).as_matrix(), r.dy.as_matrix(),
                        transposed(matrix_of(w.out.weight)), nullptr, false, device, scratch);
            d_heads = this->joined_heads(rows_in(std::as_const(kept.d_joined)));
        }
        const auto d =
            this->template split_all<T>(rows_in(kept.d_projections), rows_in(kept.d_memory_projections));
        const auto attend_back = [&](const auto&... o) {
            Heads::backward(f, d, d_heads, projections_of(kept),
                            this->joined_heads(rows_in(std::as_const(kept.joined))), w.heads, kept.heads,
                            g.heads, o...);
        };
        std::apply(attend_back, heads_options<Heads>(scratch, options));
        this->rotate(d, 0, this->own_projections(), 0, rotation::back, device);
        if (config_.out_projection)
            multiply_backward<T>({}, false, matrix_of(g.out.weight), data_or_null(g.out.bias),
                                 r.dy.as_matrix(), rows_in(std::as_const(kept.joined)).as_matrix(),
                                 matrix_of(w.out.weight), device, scratch);
        multiply_backward<T>(r.dx.as_matrix(), false, matrix_of(g.in.weight), data_or_null(g.in.bias),
                             rows_in(std::as_const(kept.d_projections)).as_matrix(), r.x.as_matrix(),
                             matrix_of(w.in.weight), device, scratch);
        if (r.second == nullptr) return;
        this->rotate(d, this->own_projections(), projections, 0, rotation::back, device);
        multiply_backward<T>(r.d_second->as_matrix(), false, matrix_of(g.memory.weight),
                             data_or_null(g.memory.bias),
                             rows_in(std::as_const(kept.d_memory_projections)).as_matrix(),
                             r.second->as_matrix(), matrix_of(w.memory.weight), device, scratch);
    }

    template <class... Options>
    void check_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, const stream& s,
                      const Options&...) const {
        check_rows(f, r, config_.width, config_.width);
        check_weights(f, {}, w);
        check_results<T>(f, w, {{"y", r.y}}, {{"x", r.x}});
        check_stream(f, w, r.x, s);
    }
    template <class... Options>
    void run_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, stream& s,
                    workspace& scratch, const Options&... options) const {
        run_extend(f, w, r, s, scratch, std::tie(options...));
    }
    template <class... Options>
    void run_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, stream& s,
                    workspace& scratch, const std::tuple<Options...>& options) const {
        const device_ref device = device_in(options);
        if (!s.of) s.heads = {};  // of a first call that failed, or had no positions
        tape& kept = s.rows;
        fit(kept.projections, r.x.batch, r.x.positions, w.in.weight.dimension(1));
        project(w.in, rows_in(kept.projections), r.x, 0, this->own_projections(), s.position, device,
                scratch);
        fit(kept.joined, r.x.batch, r.x.positions, this->joined_width());
        const auto attend = [&](const auto&... o) {
            const view<T> to = this->joined_heads(rows_in(kept.joined));
            if (!this->crosses())
                Heads::extend(f, to, projections_of(kept), w.heads, s.heads, o...);
            else if constexpr (keeps_memory<T, Heads>)
                Heads::extend_cross(f, to, projections_of(kept), w.heads, kept.heads, s.heads, o...);
            else
                Heads::forward(f, to, projections_of(kept), w.heads, kept.heads, o...);
        };
        std::apply(attend, heads_options<Heads>(scratch, options));
        join(w, r.y, rows_in(kept.joined), device, scratch);
        if (r.x.positions == 0) return;
        s.position += r.x.positions;
        s.batch = r.x.batch;
        s.of = config_;
    }

    void check_remember(std::string_view f, const parameters& w, const read_rows& m, const stream& s) const {
        check_kind(f, &m);
        check_weights(f, {}, w);
        check_memory_of(f, m, s);
    }
    void check_memory_of(std::string_view f, const read_rows& m, const stream& s) const {
        check_width(f, "memory", m.width, config_.memory_width);
        check_owner(f, s);
        this->check_positions(f, 0, m.positions);
    }
    template <class... Options>
    void run_remember(std::string_view, const parameters& w, const read_rows& m, stream& s,
                      workspace& scratch, const Options&... options) const {
        if constexpr (keeps_memory<T, Heads>) s.heads.memory.forget();
        fit(s.rows.memory_projections, m.batch, m.positions, w.memory.weight.dimension(1));
        project_memory(w, rows_in(s.rows.memory_projections), m, device_of(options...), scratch);
        s.batch = m.batch;
        s.of = config_;
    }
};

}  // namespace heed::inline HEED_ABI::detail
