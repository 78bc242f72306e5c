// SPDX-License-Identifier: MIT
// heed/layers/multi_head_checks.hpp: what can be wrong with the weights, tapes and streams of a multi-head
// layer
#pragma once

#include <heed/layers/multi_head_parameters.hpp>
#include <heed/layers/multi_head_shape.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T, class Heads>
struct multi_head_checks : multi_head_shape<T, Heads> {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::multi_head_attention<T>: T is float or double");
    using shape = multi_head_shape<T, Heads>;
    using shape::config_, shape::projections;
    using parameters = multi_head_parameters<T, Heads>;
    using tape = multi_head_tape<T, Heads>;
    using stream = multi_head_stream<T, Heads>;
    using rows = dense_rows<T>;
    using read_rows = dense_rows<const T>;

    multi_head_checks() = default;
    explicit multi_head_checks(const attention_config& config) : shape(config) {}

    template <class... Options>
    static constexpr bool options() {
        static_assert((is_option<Options> && ...),
                      "heed::multi_head_attention: an argument behind x, memory and tape is not an option");
        static_assert(((Heads::takes(Options::kind) || resource_kind(Options::kind)) && ...),
                      "heed::multi_head_attention: the attention inside does not take one of these options; "
                      "heed/layers/heads/ lists what each takes");
        return true;
    }

    void check_kind(std::string_view f, const read_rows* m) const {
        if (m == nullptr && this->crosses())
            fail(f, {"this layer was made for cross attention; needs memory behind x"});
        if (m != nullptr && !this->crosses())
            fail(f, {"this layer was made for self attention; give memory_width in its config"});
    }
    void check_memory(std::string_view f, const read_rows& x, const read_rows& m) const {
        check_width(f, "memory", m.width, config_.memory_width);
        if (m.batch != x.batch) fail(f, {"memory has ", m.batch, " batch entries, x has ", x.batch});
        this->check_positions(f, 0, m.positions);
    }
    void check_weights(std::string_view f, const weight_path& at, const parameters& w) const {
        const attention_config& c = config_;
        const index joined = c.out_projection ? this->joined_width() : 0;
        check_projection<T>(f, at.inside("in"), w.in, c.width, this->width_of(0, this->own_projections()));
        check_projection<T>(f, at.inside("memory"), w.memory, c.memory_width,
                            this->width_of(this->own_projections(), projections));
        check_projection<T>(f, at.inside("out"), w.out, joined, c.out_projection ? c.width : 0);
        std::size_t next = 0;
        const auto check_heads = [&](const parameter_name& own, const auto& t) {
            for (std::size_t axis = 0; axis < static_cast<std::size_t>(t.rank()); ++axis, ++next) {
                const index needed = next < this->heads_extents_.size() ? this->heads_extents_[next] : 0;
                if (t.dimension(axis) != needed)
                    fail(f, {std::string_view(at.inside("heads").text()), ".",
                             std::string_view(std::string(own)), " has ", t.dimension(axis),
                             " entries along axis ", axis, ", needs ", needed});
            }
        };
        visit("", check_heads, w.heads);
    }
    // Refuses a tape of another layer, or of a forward with other extents.
    static void check_tape(std::string_view f, const typename tape::rows& kept, const char* what,
                           const read_rows& x, index width) {
        if (kept.dimension(0) != x.batch || kept.dimension(1) != x.positions || kept.dimension(2) != width)
            fail(f, {"tape holds ", kept.dimension(0), " x ", kept.dimension(1), " positions of ", what,
                     ", of ", kept.dimension(2), " features; needs the forward of this call, ", x.batch,
                     " x ", x.positions, " of ", width});
    }

    // All that a backward reads of one; m is null in self attention.
    void check_tape(std::string_view f, const tape& kept, const read_rows& x, const read_rows* m) const {
        check_tape(f, kept.projections, "x", x, this->width_of(0, this->own_projections()));
        check_tape(f, kept.joined, "joined heads", x, this->joined_width());
        if (m != nullptr)
            check_tape(f, kept.memory_projections, "memory", *m,
                       this->width_of(this->own_projections(), projections));
        const attention_config &c = config_, &k = kept.config;
        if (k != c)
            fail(f, {"tape holds the forward of another attention (heads ", k.heads, ", kv_heads ",
                     k.kv_heads, ", head_dim ", k.head_dim, ", rotary_positions ", k.rotary_positions,
                     "); needs one of the same config (heads ", c.heads, ", kv_heads ", c.kv_heads,
                     ", head_dim ", c.head_dim, ", rotary_positions ", c.rotary_positions, ")"});
        if (!kept.whole) fail(f, {"tape is empty: its forward was refused, or there was none"});
    }

    // What a stream carries has the shapes of the layer it began with.
    void check_owner(std::string_view f, const stream& s) const {
        if (s.of) check_same_sizes(f, *s.of, config_);
    }
    // Refuses an x that the stream cannot go on with.
    void check_stream(std::string_view f, const parameters& w, const read_rows& x, const stream& s) const {
        check_owner(f, s);
        this->check_positions(f, s.position, x.positions);
        if (this->crosses() && s.rows.memory_projections.dimension(2) != w.memory.weight.dimension(1))
            fail(f, {"the stream remembers no memory of this layer; call remember(memory, stream) first"});
        if ((this->crosses() || s.position > 0) && s.batch != x.batch)
            fail(f, {"x has ", x.batch, " batch entries, the stream runs with ", s.batch});
    }
};

}  // namespace heed::inline HEED_ABI::detail
