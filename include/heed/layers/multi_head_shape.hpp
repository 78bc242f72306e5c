// SPDX-License-Identifier: MIT
// heed/layers/multi_head_shape.hpp: the sizes of a multi-head layer, where its projections stand in fused
// rows, and the rotary positions that rotate them
#pragma once

#include <array>
#include <vector>

#include <heed/layers/heads/concept.hpp>
#include <heed/layers/rows.hpp>
#include <heed/rotary.hpp>

namespace heed::inline HEED_ABI::detail {

// True where one of the projections uses this part of a config.
template <class Heads>
bool has_rotary_projection(const attention_config& c) {
    for (int i = 0; i < Heads::streams; ++i)
        if (Heads::stream_of(c, i).rotary) return true;
    return false;
}
template <class Heads>
bool has_shared_projection(const attention_config& c) {
    for (int i = 0; i < Heads::streams; ++i)
        if (Heads::stream_of(c, i).heads == c.kv_heads) return true;
    return false;
}

// Sizes whose projections no index can count are errors here, before the sums and products below wrap.
template <class Heads>
void check_projection_sizes(std::string_view f, const attention_config& c) {
    index sum = 0;
    for (int i = 0; i < Heads::streams; ++i) {
        const stream_shape s = Heads::stream_of(c, i);
        const index width = checked_product(f, s.heads, s.dim);
        if (sum > PTRDIFF_MAX - width) fail(f, {"heads x head_dim, ", width, ", does not fit in memory"});
        sum += width;
    }
    checked_product(f, c.width > c.memory_width ? c.width : c.memory_width, sum);
    checked_product(f, checked_product(f, c.heads, Heads::value_dim(c)), c.width);
}

// The config with its zeros filled in, or heed::error.
template <class Heads>
attention_config checked_config(attention_config c) {
    constexpr const char* f = "multi_head_attention";
    if (c.width <= 0) fail(f, {"width is ", c.width, ", needs at least 1"});
    if (c.heads <= 0) fail(f, {"heads is ", c.heads, ", needs at least 1"});
    if (c.kv_heads == 0) c.kv_heads = c.heads;
    if (c.kv_heads < 0)
        fail(f, {"kv_heads is ", c.kv_heads, ", needs at least 1, or 0 for as many as heads"});
    if (c.heads % c.kv_heads != 0)
        fail(f, {"heads is ", c.heads, ", needs a multiple of kv_heads, ", c.kv_heads});
    if (!has_shared_projection<Heads>(c))
        fail(f, {"kv_heads is ", c.kv_heads, ", but this attention has no keys to share; needs heads, ",
                 c.heads});
    if (c.head_dim < 0) fail(f, {"head_dim is ", c.head_dim, ", needs at least 1"});
    if (c.head_dim == 0) {
        if (c.width % c.heads != 0)
            fail(f, {"a width of ", c.width, " does not divide into ", c.heads, " heads; give head_dim"});
        c.head_dim = c.width / c.heads;
    }
    check_projection_sizes<Heads>(f, c);
    if (c.memory_width < 0) fail(f, {"memory_width is ", c.memory_width, ", needs 0 or more"});
    if (c.memory_width > 0 && !Heads::crosses)
        fail(f, {"memory_width is ", c.memory_width, ", but this attention has no cross form; needs 0"});
    if (!c.out_projection && c.heads * Heads::value_dim(c) != c.width)
        fail(f, {"without an output projection heads x head_dim is the width; it is ",
                 c.heads * Heads::value_dim(c), ", the width ", c.width});
    if (!c.out_projection && c.out_bias) fail(f, {"out_bias is set, needs an output projection"});
    if (c.rotary_positions < 0) fail(f, {"rotary_positions is ", c.rotary_positions, ", needs 0 or more"});
    if (c.rotary_positions > 0 && !has_rotary_projection<Heads>(c))
        fail(f, {"rotary_positions is ", c.rotary_positions,
                 ", but this attention has no queries and keys to turn; needs 0"});
    if (c.rotary_positions > 0 && c.head_dim % 2 != 0)
        fail(f, {"head_dim is ", c.head_dim, ", rotary positions need an even one"});
    return c;
}

// The extents of what the attention inside learns, one behind the other.
template <class T, class Heads>
std::vector<index> heads_extents(const attention_config& c) {
    std::vector<index> extents;
    const typename Heads::template parameters<T> learned(c, 0);
    for_each_tensor(
        [&](const auto& t) {
            for (std::size_t axis = 0; axis < static_cast<std::size_t>(t.rank()); ++axis)
                extents.push_back(t.dimension(axis));
        },
        learned);
    return extents;
}

// Can a layer of sizes `ours` go on with the stream of one of sizes `theirs`? It may have rotary positions
// for a longer sequence.
inline void check_same_sizes(std::string_view f, const attention_config& theirs,
                             const attention_config& ours) {
    const auto validate = [&](const char* name, auto its, auto own) {
        if (its != own)
            fail(f, {"the stream is that of a layer whose ", name, " is ", its, ", this one's is ", own,
                     "; begin with a new stream"});
    };
    validate("width", theirs.width, ours.width);
    validate("heads", theirs.heads, ours.heads);
    validate("kv_heads", theirs.kv_heads, ours.kv_heads);
    validate("head_dim", theirs.head_dim, ours.head_dim);
    validate("memory_width", theirs.memory_width, ours.memory_width);
    if (theirs.rotary_positions == 0 || ours.rotary_positions == 0)
        validate("rotary_positions", theirs.rotary_positions, ours.rotary_positions);
    else
        validate("rotary_base", theirs.rotary_base, ours.rotary_base);
}

template <class T, class Heads>
struct multi_head_shape {
    static_assert(
        concepts::heads<Heads>,
        "heed::multi_head_attention: the attention inside needs streams, stream_of, value_dim, takes, "
        "crosses, parameters<T>, tape<T> and stream_state<T>; heed/layers/heads/concept.hpp lists what "
        "each of them is");
    static constexpr int projections = Heads::streams;
    template <class U>
    using projection_views = std::array<view<U>, projections>;

    attention_config config_;
    rotary_caches<T> angles_;
    std::vector<index> heads_extents_;

    multi_head_shape() = default;
    explicit multi_head_shape(const attention_config& config)
        : config_(checked_config<Heads>(config)), heads_extents_(heads_extents<T, Heads>(config_)) {
        if (config_.rotary_positions > 0)
            angles_ = rotary_table<T>(config_.rotary_positions, config_.head_dim, config_.rotary_base);
    }

    bool crosses() const { return config_.memory_width > 0; }
    // Projections [0, own_projections()) are made of x, the others of the memory.
    int own_projections() const { return crosses() ? 1 : projections; }
    index joined_width() const { return config_.heads * Heads::value_dim(config_); }

    // Features of projections [begin, end).
    index width_of(int begin, int end) const {
        index width = 0;
        for (int i = begin; i < end; ++i) width += Heads::stream_of(config_, i).width();
        return width;
    }
    // Streams [begin, end), one behind the other in fused rows.
    template <class U>
    void split(projection_views<U>& parts, const dense_rows<U>& fused, int begin, int end) const {
        index first = 0;
        for (int i = begin; i < end; ++i) {
            const stream_shape s = Heads::stream_of(config_, i);
            parts[static_cast<std::size_t>(i)] = fused.heads_from(first, s.heads, s.dim);
            first += s.width();
        }
    }
    // All of them, from rows made of x and of the memory.
    template <class U>
    projection_views<U> split_all(const dense_rows<U>& own, const dense_rows<U>& memory) const {
        projection_views<U> parts;
        split(parts, own, 0, own_projections());
        split(parts, memory, own_projections(), projections);
        return parts;
    }
    template <class U>
    view<U> joined_heads(const dense_rows<U>& rows) const {
        return rows.heads_from(0, config_.heads, Heads::value_dim(config_));
    }

    void check_positions(std::string_view f, index first, index count) const {
        if (config_.rotary_positions > 0 && count > config_.rotary_positions - first)
            fail(f, {"reaches position ", first + count, ", rotary positions were made for ",
                     config_.rotary_positions});
    }
    // Rotates those of projections [begin, end) that have rotary positions, from position `first` on;
    // gradients are rotated back.
    enum class rotation { forward, back };
    void rotate(const projection_views<T>& parts, int begin, int end, index first, rotation way,
                device_ref device) const {
        if (config_.rotary_positions == 0) return;
        for (int i = begin; i < end; ++i) {
            if (!Heads::stream_of(config_, i).rotary) continue;
            const view<T>& x = parts[static_cast<std::size_t>(i)];
            const auto cos = as_view(angles_.cos).slice_positions(first, x.positions());
            const auto sin = as_view(angles_.sin).slice_positions(first, x.positions());
            if (way == rotation::forward)
                rotary_into(x, x, cos, sin, on_option(device));
            else
                rotary_backward_into(x, x, cos, sin, on_option(device));
        }
    }
};

}  // namespace heed::inline HEED_ABI::detail
