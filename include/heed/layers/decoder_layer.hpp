// SPDX-License-Identifier: MIT
// heed/layers/decoder_layer.hpp: causal attention, attention over a memory, and a feed-forward
//
//     norm_place::after      h = norm1(x + drop(attention(x)))
//                            u = norm2(h + drop(cross_attention(h, memory)))
//                            y = norm3(u + drop(feed_forward(u)))
//     norm_place::before     the same sums, the norms in front of the branches
//
//     heed::decoder_layer<float> layer({.attention = {.width = 512, .heads = 8}});
//     auto y = layer(x, memory, heed::for_memory(heed::key_lengths(lengths)));
//
//     heed::decoder_layer<float>::tape tape;                                      reuse it
//     auto y = layer.forward(x, memory, tape);
//     layer.backward_into(dx, d_memory, dy, x, memory, tape, gradients);          gradients are added to
//
//     heed::decoder_layer<float>::stream stream;                                  position after position
//     layer.remember(memory, stream);
//     auto y = layer.extend(x_next, stream);
//
// x and y (…, position, width), memory (…, its positions, memory_width). The second template argument says
// which attention stands inside (heed/layers/heads/); one without a cross form leaves the memory to the exact
// one. Options go to the attention over x, which is causal without being told so; those within
// for_memory(…) to the attention over the memory; those of a backward are the forward's and its gradients.
// Beside them on(device), use(workspace) and dropout(p, seed), which drops numbers of all branches and
// weights of an attention that takes the option. Layers of a stack need a seed each.
//
// Cost: 2 positions (6 width^2 + 2 width hidden) + 4 memory positions memory_width width flops for equal
// widths of all heads, and both attentions; three times that with the backward. In a stream the memory is
// projected once. The same bits for any number of threads. Throws heed::error before y is written, and before
// a backward writes anything, unless an attention refuses an option of it alone; a stream whose attention
// over the memory refuses one has taken the positions in all the same.
//
// Source: Vaswani et al., 2017 (arXiv:1706.03762).
#pragma once

#include <heed/layers/decoder_parts.hpp>

namespace heed::inline HEED_ABI {

template <class T, class Heads = exact_heads>
class decoder_layer : detail::decoder_parts<T, Heads> {
    using parts = detail::decoder_parts<T, Heads>;

public:
    using parameters = decoder_parameters<T, Heads>;
    using tape = decoder_tape<T, Heads>;
    using stream = decoder_stream<T, Heads>;
    parameters weights;

    decoder_layer() = default;
    explicit decoder_layer(const decoder_config& config, std::uint64_t seed = 0)
        : parts(config), weights(this->start(seed)) {}

    const decoder_config& config() const { return this->config_; }

    template <class X, class M, class... Options>
    auto operator()(const X& x, const M& memory, const Options&... options) const {
        tape kept;
        return forward(x, memory, kept, options...);
    }
    template <class X, class M, class... Options>
    auto forward(const X& x, const M& memory, tape& kept, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.attention.width);
        forward_into(detail::result_view(y), x, memory, kept, options...);
        return y;
    }
    template <class Y, class X, class M, class... Options>
    void forward_into(Y&& y, const X& x, const M& memory, tape& kept, const Options&... options) const {
        constexpr const char* f = "decoder_layer::forward_into";
        const auto to = detail::written_rows<T, Y>(f, "y", y);
        const auto from = detail::rows_of<const T>(f, "x", x);
        const auto m = detail::rows_of<const T>(f, "memory", memory);
        this->cross_attention_.check_memory(f, from, m);
        detail::memory_of_rows<T>(f, {{"y", to}}, {{"memory", m}});
        this->run(
            f, weights, to, from, kept.rows,
            [&](const auto& out, const auto& in, const auto&... o) {
                this->attention_.run_forward(f, weights.attention, out, in, nullptr, kept.attention, o...);
            },
            [&](const auto& out, const auto& in, const auto&... o) {
                this->cross_attention_.run_forward(f, weights.cross_attention, out, in, &m,
                                                   kept.cross_attention, o...);
            },
            options...);
    }

    // Writes dx and d_memory.
    template <class Dx, class Dm, class Dy, class X, class M, class... Options>
    void backward_into(Dx&& dx, Dm&& d_memory, const Dy& dy, const X& x, const M& memory, tape& kept,
                       parameters& gradients, const Options&... options) const {
        constexpr const char* f = "decoder_layer::backward_into";
        this->run_backward(f, weights, detail::written_rows<T, Dx>(f, "dx", dx),
                           detail::written_rows<T, Dm>(f, "d_memory", d_memory),
                           detail::rows_of<const T>(f, "dy", dy), detail::rows_of<const T>(f, "x", x),
                           detail::rows_of<const T>(f, "memory", memory), kept, gradients, options...);
    }

    // Reads the memory of a stream, once; another one replaces it.
    template <class M, class... Options>
    void remember(const M& memory, stream& s, const Options&... options) const {
        constexpr const char* f = "decoder_layer::remember";
        this->check_weights(f, weights);
        this->cross_attention_.run_remember(f, weights.cross_attention,
                                            detail::rows_of<const T>(f, "memory", memory), s.cross_attention,
                                            options...);
    }
    // The next positions of a stream; what came before, and the memory, stand in it.
    template <class X, class... Options>
    auto extend(const X& x, stream& s, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.attention.width);
        extend_into(detail::result_view(y), x, s, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void extend_into(Y&& y, const X& x, stream& s, const Options&... options) const {
        constexpr const char* f = "decoder_layer::extend_into";
        const auto to = detail::written_rows<T, Y>(f, "y", y);
        const auto from = detail::rows_of<const T>(f, "x", x);
        this->check_weights(f, weights);
        this->cross_attention_.check_stream(f, weights.cross_attention, from, s.cross_attention);
        this->run(
            f, weights, to, from, s.rows,
            [&](const auto& out, const auto& in, const auto&... o) {
                this->attention_.run_extend(f, weights.attention, out, in, s.attention, o...);
            },
            [&](const auto& out, const auto& in, const auto&... o) {
                this->cross_attention_.run_extend(f, weights.cross_attention, out, in, s.cross_attention,
                                                  o...);
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI
