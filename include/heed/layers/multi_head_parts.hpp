// SPDX-License-Identifier: MIT
// heed/layers/multi_head_parts.hpp: the steps of a multi-head layer: project, attend, join, and back
//
// All that a caller can get wrong is checked before the first gradient is added to or dx, d_memory or y is
// written: by the layer itself on entry, then by the attention inside, whose call comes before the products
// that write.
#pragma once

#include <algorithm>

#include <heed/layers/apart.hpp>
#include <heed/layers/multi_head_parameters.hpp>
#include <heed/layers/multi_head_shape.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T, class Heads>
struct multi_head_parts : multi_head_shape<T, Heads> {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::multi_head_attention<T>: T is float or double");
    using shape = multi_head_shape<T, Heads>;
    using shape::config_, shape::streams;
    using parameters = multi_head_parameters<T, Heads>;
    using tape = multi_head_tape<T, Heads>;
    using turning = typename shape::turning;

    multi_head_parts() = default;
    explicit multi_head_parts(const attention_config& config) : shape(config) {}

    template <class... Options>
    static constexpr bool options() {
        static_assert((is_option<Options> && ...),
                      "heed::multi_head_attention: an argument behind x, memory and tape is not an option");
        static_assert(((Heads::takes(Options::kind) || resource_kind(Options::kind)) && ...),
                      "heed::multi_head_attention: the attention inside does not take one of these options; "
                      "heed/layers/heads/ lists what each takes");
        return true;
    }

    void check_self(std::string_view f) const {
        if (this->crosses()) fail(f, {"this layer was made for cross attention; needs memory behind x"});
    }
    void check_cross(std::string_view f) const {
        if (!this->crosses())
            fail(f, {"this layer was made for self attention; give memory_width in its config"});
    }
    void check_memory(std::string_view f, const dense_rows<const T>& x, const dense_rows<const T>& m) const {
        check_width(f, "memory", m.width, config_.memory_width);
        if (m.batch != x.batch) fail(f, {"memory has ", m.batch, " batch entries, x has ", x.batch});
        this->check_positions(f, 0, m.positions);
    }
    void check_weights(std::string_view f, const weight_path& at, const parameters& w) const {
        const attention_config& c = config_;
        const index joined = c.out_projection ? this->joined_width() : 0;
        check_projection<T>(f, at.inside("in"), w.in, c.width, this->width_of(0, this->own_streams()));
        check_projection<T>(f, at.inside("memory"), w.memory, c.memory_width,
                            this->width_of(this->own_streams(), streams));
        check_projection<T>(f, at.inside("out"), w.out, joined, c.out_projection ? c.width : 0);
        std::size_t next = 0;
        const auto check_heads = [&](const parameter_name& name, const auto& t) {
            for (std::size_t axis = 0; axis < static_cast<std::size_t>(t.rank()); ++axis, ++next) {
                const index needed = next < this->heads_extents_.size() ? this->heads_extents_[next] : 0;
                if (t.dimension(axis) != needed)
                    fail(f, {std::string_view(at.inside("heads").text()), ".",
                             std::string_view(std::string(name)), " has ", t.dimension(axis),
                             " entries along axis ", axis, ", needs ", needed});
            }
        };
        visit("", check_heads, w.heads);
    }
    void check_forward(std::string_view f, const parameters& w, const dense_rows<T>& y,
                       const dense_rows<const T>& x) const {
        check_width(f, "x", x.width, config_.width);
        check_like(f, "y", y, "x", x, config_.width);
        check_results<T>(f, w, {{"y", y}}, {{"x", x}});
    }
    // A tape of this layer, and of a forward with these extents?
    static void check_tape(std::string_view f, const typename tape::rows& kept, const char* name,
                           const dense_rows<const T>& x, index width) {
        if (kept.dimension(0) != x.batch || kept.dimension(1) != x.positions || kept.dimension(2) != width)
            fail(f, {"tape holds ", kept.dimension(0), " x ", kept.dimension(1), " positions of ", name,
                     ", of ", kept.dimension(2), " features; needs the forward of this call, ", x.batch,
                     " x ", x.positions, " of ", width});
    }

    // All that a backward reads of one; m is null in self attention.
    void check_tape(std::string_view f, const tape& kept, const dense_rows<const T>& x,
                    const dense_rows<const T>* m) const {
        check_tape(f, kept.streams, "x", x, this->width_of(0, this->own_streams()));
        check_tape(f, kept.joined, "joined heads", x, this->joined_width());
        if (m != nullptr)
            check_tape(f, kept.memory_streams, "memory", *m, this->width_of(this->own_streams(), streams));
        const attention_config &c = config_, &k = kept.config;
        if (k != c)
            fail(f, {"tape holds the forward of another attention (heads ", k.heads, ", kv_heads ",
                     k.kv_heads, ", head_dim ", k.head_dim, ", rotary_positions ", k.rotary_positions,
                     "); needs one of the same config (heads ", c.heads, ", kv_heads ", c.kv_heads,
                     ", head_dim ", c.head_dim, ", rotary_positions ", c.rotary_positions, ")"});
        if (!kept.whole) fail(f, {"tape is empty: its forward was refused, or there was none"});
    }

    // What a stream carries has the shapes of the layer it began with.
    void check_owner(std::string_view f, const multi_head_stream<T, Heads>& s) const {
        if (s.of) check_same_sizes(f, *s.of, config_);
    }
    // Can the stream go on with x?
    void check_stream(std::string_view f, const parameters& w, const dense_rows<const T>& x,
                      const multi_head_stream<T, Heads>& s) const {
        check_owner(f, s);
        this->check_positions(f, s.position, x.positions);
        if (this->crosses() && s.rows.memory_streams.dimension(2) != w.memory.weight.dimension(1))
            fail(f, {"the stream remembers no memory of this layer; call remember(memory, stream) first"});
        if ((this->crosses() || s.position > 0) && s.batch != x.batch)
            fail(f, {"x has ", x.batch, " batch entries, the stream runs with ", s.batch});
    }

    // Streams of x, and of the memory, into the tape.
    template <class... Options>
    void project(const parameters& w, const dense_rows<const T>& x, index first, tape& kept,
                 workspace& memory, const Options&... options) const {
        project_part(w.in, kept.streams, x, 0, this->own_streams(), first, memory, options...);
    }
    template <class... Options>
    void project_memory(const parameters& w, const dense_rows<const T>& m, tape& kept, workspace& memory,
                        const Options&... options) const {
        project_part(w.memory, kept.memory_streams, m, this->own_streams(), streams, 0, memory, options...);
    }
    template <class... Options>
    void project_part(const projection_parameters<T>& p, typename tape::rows& to,
                      const dense_rows<const T>& from, int begin, int end, index first, workspace& memory,
                      const Options&... options) const {
        fit(to, from.batch, from.positions, p.weight.dimension(1));
        multiply<T>(rows_in(to).as_matrix(), from.as_matrix(), matrix_of(p.weight), data_or_null(p.bias),
                    false, device_of(options...), memory);
        typename shape::template stream_views<T> parts;
        this->split(parts, rows_in(to), begin, end);
        this->turn(parts, begin, end, first, turning::forward, options...);
    }
    auto streams_of(const tape& kept) const {
        return this->template split_all<const T>(rows_in(kept.streams), rows_in(kept.memory_streams));
    }
    // y from the outputs of the heads.
    template <class... Options>
    void join(const parameters& w, const dense_rows<T>& y, const tape& kept, workspace& memory,
              const Options&... options) const {
        if (config_.out_projection)
            multiply<T>(y.as_matrix(), rows_in(kept.joined).as_matrix(), matrix_of(w.out.weight),
                        data_or_null(w.out.bias), false, device_of(options...), memory);
        else
            std::copy(kept.joined.data(), kept.joined.data() + kept.joined.size(), y.data);
    }

    template <class... Options>
    requires(options<Options...>())
    void run_forward(std::string_view f, const parameters& w, const dense_rows<T>& y,
                     const dense_rows<const T>& x, const dense_rows<const T>* m, tape& kept,
                     const Options&... options_) const {
        check_forward(f, w, y, x);
        this->check_positions(f, 0, x.positions);
        if (m != nullptr) {
            check_memory(f, x, *m);
            memory_of_rows<T>(f, {{"y", y}}, {{"memory", *m}});
        }
        check_weights(f, {}, w);
        kept.config = config_;
        workspace own;
        workspace& memory = memory_of(own, options_...);
        kept.whole = false;
        project(w, x, 0, kept, memory, options_...);
        if (m != nullptr) project_memory(w, *m, kept, memory, options_...);
        fit(kept.joined, x.batch, x.positions, this->joined_width());
        with_options_of<Heads>(
            [&](const auto&... o) {
                Heads::forward(f, this->joined_heads(rows_in(kept.joined)), streams_of(kept), w.heads,
                               kept.heads, o...);
            },
            options_...);
        join(w, y, kept, memory, options_...);
        kept.whole = true;
    }

    // What a backward writes and reads; memory and its gradient stay null in self attention.
    struct backward_rows {
        dense_rows<T> dx;
        const dense_rows<T>* d_memory;
        dense_rows<const T> dy, x;
        const dense_rows<const T>* memory;
    };
    void check_backward(std::string_view f, const parameters& w, const backward_rows& r, const tape& kept,
                        const parameters& g) const {
        check_width(f, "x", r.x.width, config_.width);
        check_like(f, "dx", r.dx, "x", r.x, config_.width);
        check_like(f, "dy", r.dy, "x", r.x, config_.width);
        check_weights(f, {}, w);
        if (r.memory != nullptr) {
            check_memory(f, r.x, *r.memory);
            check_like(f, "d_memory", *r.d_memory, "memory", *r.memory, config_.memory_width);
        }
        check_tape(f, kept, r.x, r.memory);
        if (r.memory == nullptr)
            check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"x", r.x}, {"dy", r.dy}});
        else
            check_gradients<T>(f, w, g, {{"dx", r.dx}, {"d_memory", *r.d_memory}},
                               {{"x", r.x}, {"dy", r.dy}, {"memory", *r.memory}});
    }

    template <class... Options>
    requires(options<Options...>())
    void run_backward(std::string_view f, const parameters& w, const backward_rows& r, tape& kept,
                      parameters& g, const Options&... options_) const {
        check_backward(f, w, r, kept, g);
        workspace own;
        workspace& memory = memory_of(own, options_...);
        const device_ref device = device_of(options_...);
        fit(kept.d_streams, r.x.batch, r.x.positions, kept.streams.dimension(2));
        fit(kept.d_memory_streams, kept.memory_streams.dimension(0), kept.memory_streams.dimension(1),
            kept.memory_streams.dimension(2));
        view<const T> d_heads = this->joined_heads(r.dy);
        if (config_.out_projection) {
            fit(kept.d_joined, r.x.batch, r.x.positions, this->joined_width());
            multiply<T>(rows_in(kept.d_joined).as_matrix(), r.dy.as_matrix(),
                        transposed(matrix_of(w.out.weight)), nullptr, false, device, memory);
            d_heads = this->joined_heads(rows_in(std::as_const(kept.d_joined)));
        }
        const auto d = this->template split_all<T>(rows_in(kept.d_streams), rows_in(kept.d_memory_streams));
        with_options_of<Heads>(
            [&](const auto&... o) {
                Heads::backward(f, d, d_heads, streams_of(kept),
                                this->joined_heads(rows_in(std::as_const(kept.joined))), w.heads, kept.heads,
                                g.heads, o...);
            },
            options_...);
        this->turn(d, 0, this->own_streams(), 0, turning::back, options_...);
        if (config_.out_projection)
            multiply_backward<T>({}, false, matrix_of(g.out.weight), data_or_null(g.out.bias),
                                 r.dy.as_matrix(), rows_in(std::as_const(kept.joined)).as_matrix(),
                                 matrix_of(w.out.weight), device, memory);
        multiply_backward<T>(r.dx.as_matrix(), false, matrix_of(g.in.weight), data_or_null(g.in.bias),
                             rows_in(std::as_const(kept.d_streams)).as_matrix(), r.x.as_matrix(),
                             matrix_of(w.in.weight), device, memory);
        if (r.memory == nullptr) return;
        this->turn(d, this->own_streams(), streams, 0, turning::back, options_...);
        multiply_backward<T>(r.d_memory->as_matrix(), false, matrix_of(g.memory.weight),
                             data_or_null(g.memory.bias),
                             rows_in(std::as_const(kept.d_memory_streams)).as_matrix(), r.memory->as_matrix(),
                             matrix_of(w.memory.weight), device, memory);
    }

    template <class... Options>
    requires(options<Options...>())
    void run_extend(std::string_view f, const parameters& w, const dense_rows<T>& y,
                    const dense_rows<const T>& x, multi_head_stream<T, Heads>& s,
                    const Options&... options_) const {
        check_forward(f, w, y, x);
        check_stream(f, w, x, s);
        if (!s.of) s.heads = {};  // of a first call that failed, or had no positions
        tape& kept = s.rows;
        workspace own;
        workspace& memory = memory_of(own, options_...);
        project(w, x, s.position, kept, memory, options_...);
        fit(kept.joined, x.batch, x.positions, this->joined_width());
        with_options_of<Heads>(
            [&](const auto&... o) {
                const view<T> to = this->joined_heads(rows_in(kept.joined));
                if (!this->crosses())
                    Heads::extend(f, to, streams_of(kept), w.heads, s.heads, o...);
                else if constexpr (keeps_memory<T, Heads>)
                    Heads::extend_cross(f, to, streams_of(kept), w.heads, kept.heads, s.heads, o...);
                else
                    Heads::forward(f, to, streams_of(kept), w.heads, kept.heads, o...);
            },
            options_...);
        join(w, y, kept, memory, options_...);
        if (x.positions == 0) return;
        s.position += x.positions;
        s.batch = x.batch;
        s.of = config_;
    }

    template <class... Options>
    requires(options<Options...>())
    void run_remember(std::string_view f, const parameters& w, const dense_rows<const T>& m,
                      multi_head_stream<T, Heads>& s, const Options&... options_) const {
        check_width(f, "memory", m.width, config_.memory_width);
        check_owner(f, s);
        this->check_positions(f, 0, m.positions);
        if constexpr (keeps_memory<T, Heads>) s.heads.memory.forget();
        workspace own;
        project_memory(w, m, s.rows, memory_of(own, options_...), options_...);
        s.batch = m.batch;
        s.of = config_;
    }
};

}  // namespace heed::inline HEED_ABI::detail
