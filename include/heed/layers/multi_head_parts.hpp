// SPDX-License-Identifier: MIT
// heed/layers/multi_head_parts.hpp: what forward, backward and stream of a multi-head layer are made of
#pragma once

#include <heed/layers/heads/concept.hpp>
#include <heed/layers/projection.hpp>
#include <heed/layers/rows.hpp>
#include <heed/rotary.hpp>

namespace heed {
inline namespace HEED_ABI {

// Self attention: in makes all streams. Cross attention: in makes the first, memory the others.
template <class T, class Heads>
struct multi_head_parameters {
    projection_parameters<T> in;
    projection_parameters<T> memory;
    projection_parameters<T> out;
    typename Heads::template parameters<T> heads;

    multi_head_parameters() = default;
    multi_head_parameters(const attention_config& c, std::uint64_t seed)
        : heads(c, detail::seed_for(seed, 3)) {
        index widths[2] = {0, 0};
        for (int i = 0; i < Heads::streams; ++i)
            widths[c.memory_width > 0 && i > 0 ? 1 : 0] += Heads::stream_of(c, i).width();
        in.weight = detail::new_projection<T>(c.width, widths[0], detail::seed_for(seed, 0));
        in.bias = detail::constant_vector<T>(c.in_bias ? widths[0] : 0, 0);
        memory.weight = detail::new_projection<T>(c.memory_width, widths[1], detail::seed_for(seed, 1));
        memory.bias = detail::constant_vector<T>(c.in_bias ? widths[1] : 0, 0);
        const index joined = c.out_projection ? c.heads * Heads::value_dim(c) : 0;
        out.weight = detail::new_projection<T>(joined, joined > 0 ? c.width : 0, detail::seed_for(seed, 2));
        out.bias = detail::constant_vector<T>(c.out_projection && c.out_bias ? c.width : 0, 0);
    }
    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("in", f, p.in...);
        visit("memory", f, p.memory...);
        visit("out", f, p.out...);
        visit("heads", f, p.heads...);
    }
};

// Rows of the forward that the backward reads, and rows it works in; they keep their memory between calls.
template <class T, class Heads>
struct multi_head_tape {
    Eigen::Tensor<T, 3, Eigen::RowMajor> streams{0, 0, 0}, memory_streams{0, 0, 0}, joined{0, 0, 0};
    Eigen::Tensor<T, 3, Eigen::RowMajor> d_streams{0, 0, 0}, d_memory_streams{0, 0, 0}, d_joined{0, 0, 0};
    typename Heads::template tape<T> heads;
};

// What a stream carries from call to call.
template <class T, class Heads>
struct multi_head_stream {
    index position = 0;
    typename Heads::template stream_state<T> heads;
    multi_head_tape<T, Heads> scratch;
};

namespace detail {

template <class T, class Heads>
struct multi_head_parts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::multi_head_attention<T>: T is float or double");
    using parameters = multi_head_parameters<T, Heads>;
    using tape = multi_head_tape<T, Heads>;
    static constexpr int streams = Heads::streams;

    attention_config config_;
    rotary_caches<T> angles_;

    multi_head_parts() = default;
    explicit multi_head_parts(const attention_config& config) : config_(config) {
        attention_config& c = config_;
        const char* f = "multi_head_attention";
        if (c.width <= 0) fail(f, {"width is ", c.width, ", needs at least 1"});
        if (c.heads <= 0) fail(f, {"heads is ", c.heads, ", needs at least 1"});
        if (c.kv_heads == 0) c.kv_heads = c.heads;
        if (c.kv_heads < 0 || c.heads % c.kv_heads != 0)
            fail(f, {"heads is ", c.heads, ", needs a multiple of kv_heads, ", c.kv_heads});
        if (c.head_dim == 0) {
            if (c.width % c.heads != 0)
                fail(f, {"a width of ", c.width, " does not divide into ", c.heads, " heads; give head_dim"});
            c.head_dim = c.width / c.heads;
        }
        if (c.head_dim < 0) fail(f, {"head_dim is ", c.head_dim, ", needs at least 1"});
        if (c.memory_width < 0) fail(f, {"memory_width is ", c.memory_width, ", needs 0 or more"});
        if (c.memory_width > 0 && !Heads::crosses)
            fail(f, {"memory_width is ", c.memory_width, ", but this attention has no cross form; needs 0"});
        if (!uses([&](const stream_shape& s) { return s.rotary; }) && c.rotary_positions > 0)
            fail(f, {"rotary_positions is ", c.rotary_positions,
                     ", but this attention has no queries and keys to turn; needs 0"});
        if (!uses([&](const stream_shape& s) { return s.heads == c.kv_heads; }))
            fail(f, {"kv_heads is ", c.kv_heads, ", but this attention has no keys to share; needs heads, ",
                     c.heads});
        if (!c.out_projection && c.heads * Heads::value_dim(c) != c.width)
            fail(f, {"without an output projection heads x head_dim is the width; it is ",
                     c.heads * Heads::value_dim(c), ", the width ", c.width});
        if (c.rotary_positions < 0)
            fail(f, {"rotary_positions is ", c.rotary_positions, ", needs 0 or more"});
        if (c.rotary_positions > 0) {
            if (c.head_dim % 2 != 0)
                fail(f, {"head_dim is ", c.head_dim, ", rotary positions need an even one"});
            angles_ = rotary_table<T>(c.rotary_positions, c.head_dim, c.rotary_base);
        }
    }

    // Is there a stream of that kind?
    template <class Kind>
    bool uses(const Kind& kind) const {
        for (int i = 0; i < streams; ++i)
            if (kind(Heads::stream_of(config_, i))) return true;
        return false;
    }
    bool crosses() const { return config_.memory_width > 0; }
    void check_self(std::string_view f) const {
        if (crosses()) fail(f, {"this layer was made for cross attention; needs memory behind x"});
    }
    void check_cross(std::string_view f) const {
        if (!crosses()) fail(f, {"this layer was made for self attention; give memory_width in its config"});
    }
    template <class... Options>
    static constexpr bool options() {
        static_assert((is_option<Options> && ...),
                      "heed::multi_head_attention: an argument behind x, memory and tape is not an option");
        static_assert(((Heads::takes(Options::kind) || resource_kind(Options::kind)) && ...),
                      "heed::multi_head_attention: the attention inside does not take one of these options; "
                      "heed/layers/heads/ lists what each takes");
        return true;
    }

    // Stream i in fused rows: those of the input projection, or of the memory's.
    template <class U>
    std::array<view<U>, streams> split(const dense_rows<U>& own, const dense_rows<U>& other) const {
        std::array<view<U>, streams> parts;
        index first[2] = {0, 0};
        for (int i = 0; i < streams; ++i) {
            const stream_shape s = Heads::stream_of(config_, i);
            const int from = crosses() && i > 0 ? 1 : 0;
            parts[static_cast<std::size_t>(i)] =
                (from == 0 ? own : other).heads_from(first[from], s.heads, s.dim);
            first[from] += s.width();
        }
        return parts;
    }
    template <class U>
    static std::array<view<const U>, streams> read(const std::array<view<U>, streams>& parts) {
        std::array<view<const U>, streams> same;
        for (std::size_t i = 0; i < parts.size(); ++i) same[i] = parts[i];
        return same;
    }
    template <class Tensor>
    static auto rows(Tensor& t) {
        using U = std::conditional_t<std::is_const_v<Tensor>, const T, T>;
        return dense_rows<U>{t.data(), t.dimension(0), t.dimension(1), t.dimension(2)};
    }

    void check_rotary(std::string_view f, index first, index positions) const {
        if (config_.rotary_positions > 0 && first + positions > config_.rotary_positions)
            fail(f, {"reaches position ", first + positions, ", rotary positions were made for ",
                     config_.rotary_positions});
    }
    // Streams that rotary positions turn, from position `first` on; back again for gradients.
    template <class... Options>
    void turn(const std::array<view<T>, streams>& parts, int begin, int end, index first, bool back,
              const Options&... options) const {
        if (config_.rotary_positions == 0) return;
        for (int i = begin; i < end; ++i) {
            if (!Heads::stream_of(config_, i).rotary) continue;
            const view<T>& x = parts[static_cast<std::size_t>(i)];
            const auto cos = as_view(angles_.cos).slice_positions(first, x.positions());
            const auto sin = as_view(angles_.sin).slice_positions(first, x.positions());
            if (back)
                rotary_backward_into(x, x, cos, sin, options...);
            else
                rotary_into(x, x, cos, sin, options...);
        }
    }
    template <class... Options>
    void turn_on(const std::array<view<T>, streams>& parts, int begin, int end, index first, bool back,
                 const Options&... options) const {
        const auto& on_ = pick<option_kind::on>(options...);
        if constexpr (is_absent<decltype(on_)>)
            turn(parts, begin, end, first, back);
        else
            turn(parts, begin, end, first, back, on_);
    }

    // Streams of x and of the memory, into the tape.
    template <class... Options>
    void project(const parameters& w, const dense_rows<const T>& x, index first, tape& kept,
                 workspace& memory, const Options&... options) const {
        fit(kept.streams, x.batch, x.positions, w.in.weight.dimension(1));
        multiply<T>(rows(kept.streams).as_matrix(), x.as_matrix(), matrix_of(w.in.weight),
                    data_or_null(w.in.bias), false, device_of(options...), memory);
        turn_on(split<T>(rows(kept.streams), rows(kept.memory_streams)), 0, crosses() ? 1 : streams, first,
                false, options...);
    }
    template <class... Options>
    void project_memory(const parameters& w, const dense_rows<const T>& m, tape& kept, workspace& memory,
                        const Options&... options) const {
        fit(kept.memory_streams, m.batch, m.positions, w.memory.weight.dimension(1));
        multiply<T>(rows(kept.memory_streams).as_matrix(), m.as_matrix(), matrix_of(w.memory.weight),
                    data_or_null(w.memory.bias), false, device_of(options...), memory);
        turn_on(split<T>(rows(kept.streams), rows(kept.memory_streams)), 1, streams, 0, false, options...);
    }
    view<T> joined_heads(const dense_rows<T>& r) const {
        return r.heads_from(0, config_.heads, Heads::value_dim(config_));
    }
    // y from the outputs of the heads.
    template <class... Options>
    void finish(const parameters& w, const dense_rows<T>& y, tape& kept, workspace& memory,
                const Options&... options) const {
        if (config_.out_projection)
            multiply<T>(y.as_matrix(), rows(kept.joined).as_matrix(), matrix_of(w.out.weight),
                        data_or_null(w.out.bias), false, device_of(options...), memory);
        else
            std::copy(kept.joined.data(), kept.joined.data() + kept.joined.size(), y.data);
    }
    void check_rows(std::string_view f, const dense_rows<T>& y, const dense_rows<const T>& x) const {
        check_width(f, "x", x.width, config_.width);
        check_like(f, "y", y, "x", x, config_.width);
        check_apart(f, "y", y, "x", x);
    }
    void check_memory(std::string_view f, const dense_rows<const T>& x, const dense_rows<const T>& m) const {
        if (!crosses()) return;
        check_width(f, "memory", m.width, config_.memory_width);
        if (m.batch != x.batch) fail(f, {"memory has ", m.batch, " batch entries, x has ", x.batch});
        check_rotary(f, 0, m.positions);
    }

    template <class... Options>
    requires(options<Options...>()) void run_forward(std::string_view f, const parameters& w,
                                                     const dense_rows<T>& y, const dense_rows<const T>& x,
                                                     const dense_rows<const T>& m, tape& kept,
                                                     const Options&... options_) const {
        check_rows(f, y, x);
        check_memory(f, x, m);
        check_rotary(f, 0, x.positions);
        workspace own;
        workspace& memory = memory_of(own, options_...);
        project(w, x, 0, kept, memory, options_...);
        if (crosses()) project_memory(w, m, kept, memory, options_...);
        fit(kept.joined, x.batch, x.positions, config_.heads * Heads::value_dim(config_));
        const auto parts = read<T>(split<T>(rows(kept.streams), rows(kept.memory_streams)));
        with_options_of<Heads>(
            [&](const auto&... o) {
                Heads::forward(f, joined_heads(rows(kept.joined)), parts, w.heads, kept.heads, o...);
            },
            options_...);
        finish(w, y, kept, memory, options_...);
    }

    template <class... Options>
    requires(options<Options...>()) void run_backward(std::string_view f, const parameters& w,
                                                      const dense_rows<T>& dx, const dense_rows<T>& dm,
                                                      const dense_rows<const T>& dy,
                                                      const dense_rows<const T>& x,
                                                      const dense_rows<const T>& m, tape& kept, parameters& g,
                                                      const Options&... options_) const {
        check_rows(f, dx, x);
        check_memory(f, x, m);
        check_like(f, "dy", dy, "x", x, config_.width);
        check_apart(f, "dx", dx, "dy", dy);
        check_gradients(f, w, g);
        if (crosses()) {
            check_like(f, "d_memory", dm, "memory", m, config_.memory_width);
            check_apart(f, "d_memory", dm, "memory", m);
        }
        if (kept.joined.dimension(0) != x.batch || kept.joined.dimension(1) != x.positions ||
            (crosses() && kept.memory_streams.dimension(1) != m.positions))
            fail(f, {"tape holds a forward of ", kept.joined.dimension(0), " x ", kept.joined.dimension(1),
                     " positions, x has ", x.batch, " x ", x.positions});
        workspace own;
        workspace& memory = memory_of(own, options_...);
        const auto* device = device_of(options_...);
        fit(kept.d_streams, x.batch, x.positions, kept.streams.dimension(2));
        fit(kept.d_memory_streams, kept.memory_streams.dimension(0), kept.memory_streams.dimension(1),
            kept.memory_streams.dimension(2));
        view<const T> d_heads =
            dense_rows<const T>(dy).heads_from(0, config_.heads, Heads::value_dim(config_));
        if (config_.out_projection) {
            fit(kept.d_joined, x.batch, x.positions, kept.joined.dimension(2));
            multiply_backward<T>(rows(kept.d_joined).as_matrix(), false, matrix_of(g.out.weight),
                                 data_or_null(g.out.bias), dy.as_matrix(), rows(kept.joined).as_matrix(),
                                 matrix_of(w.out.weight), device, memory);
            d_heads = joined_heads(rows(kept.d_joined));
        }
        const auto parts = read<T>(split<T>(rows(kept.streams), rows(kept.memory_streams)));
        const auto d = split<T>(rows(kept.d_streams), rows(kept.d_memory_streams));
        with_options_of<Heads>(
            [&](const auto&... o) {
                Heads::backward(f, d, d_heads, parts, view<const T>(joined_heads(rows(kept.joined))), w.heads,
                                kept.heads, g.heads, o...);
            },
            options_...);
        turn_on(d, 0, streams, 0, true, options_...);
        multiply_backward<T>(dx.as_matrix(), false, matrix_of(g.in.weight), data_or_null(g.in.bias),
                             rows(kept.d_streams).as_matrix(), x.as_matrix(), matrix_of(w.in.weight), device,
                             memory);
        if (crosses())
            multiply_backward<T>(dm.as_matrix(), false, matrix_of(g.memory.weight),
                                 data_or_null(g.memory.bias), rows(kept.d_memory_streams).as_matrix(),
                                 m.as_matrix(), matrix_of(w.memory.weight), device, memory);
    }

    template <class... Options>
    requires(options<Options...>()) void run_extend(std::string_view f, const parameters& w,
                                                    const dense_rows<T>& y, const dense_rows<const T>& x,
                                                    multi_head_stream<T, Heads>& s,
                                                    const Options&... options_) const {
        check_rows(f, y, x);
        check_rotary(f, s.position, x.positions);
        tape& kept = s.scratch;
        if (crosses() && kept.memory_streams.dimension(0) != x.batch)
            fail(f, {"the stream remembers a memory of ", kept.memory_streams.dimension(0),
                     " batch entries, x has ", x.batch, "; call remember(memory, stream) first"});
        workspace own;
        workspace& memory = memory_of(own, options_...);
        project(w, x, s.position, kept, memory, options_...);
        fit(kept.joined, x.batch, x.positions, config_.heads * Heads::value_dim(config_));
        const auto parts = read<T>(split<T>(rows(kept.streams), rows(kept.memory_streams)));
        with_options_of<Heads>(
            [&](const auto&... o) {
                const view<T> to = joined_heads(rows(kept.joined));
                if (crosses())
                    Heads::forward(f, to, parts, w.heads, kept.heads, o...);
                else
                    Heads::extend(f, to, parts, w.heads, s.heads, o...);
            },
            options_...);
        finish(w, y, kept, memory, options_...);
        s.position += x.positions;
    }

    template <class... Options>
    requires(options<Options...>()) void run_remember(std::string_view f, const parameters& w,
                                                      const dense_rows<const T>& m,
                                                      multi_head_stream<T, Heads>& s,
                                                      const Options&... options_) const {
        check_width(f, "memory", m.width, config_.memory_width);
        check_rotary(f, 0, m.positions);
        workspace own;
        project_memory(w, m, s.scratch, memory_of(own, options_...), options_...);
    }
};

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
