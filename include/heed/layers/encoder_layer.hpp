// SPDX-License-Identifier: MIT
// heed/layers/encoder_layer.hpp: attention and a feed-forward, each with the sum around it and a norm
//
//     norm_place::after      h = norm1(x + drop(attention(x)))      y = norm2(h + drop(feed_forward(h)))
//     norm_place::before     h = x + drop(attention(norm1(x)))      y = h + drop(feed_forward(norm2(h)))
//
//     heed::encoder_layer<float> layer({.attention = {.width = 768, .heads = 12}});
//     auto y = layer(x, heed::key_lengths(lengths));
//
//     heed::encoder_layer<float>::tape tape;                                      reuse it
//     auto y = layer.forward(x, tape, heed::dropout(0.1, seed));
//     auto dx = layer.backward(dy, x, tape, gradients, heed::dropout(0.1, seed));     gradients are added to
//
//     heed::encoder_layer<float>::stream stream;                                  with a causal mask
//     auto y = layer.extend(x_next, stream, heed::causal);
//
// x and y (…, position, width). The second template argument says which attention stands inside
// (heed/layers/heads/); what it takes are the options of the calls, those of a backward being the forward's
// and its gradients. Beside them on(device), use(workspace) and dropout(p, seed), which drops numbers of
// both branches, and weights of an attention that takes the option. Layers of a stack need a seed each.
//
// Cost: 2 positions (4 width^2 + 2 width hidden) flops for equal widths of all heads, and the attention;
// three times that with the backward. A position's tape: 7 rows of width and 2 of hidden, 7 more of width
// with the backward, and what the attention keeps. The same bits for any number of threads. Throws
// heed::error before y is written, and before a backward writes anything, unless the attention refuses an
// option of it alone.
//
// Sources: Vaswani et al., 2017 (arXiv:1706.03762); norms before: Xiong et al., 2020 (arXiv:2002.04745).
#pragma once

#include <heed/layers/encoder_parts.hpp>
#include <heed/layers/heads/exact.hpp>

namespace heed::inline HEED_ABI {

template <class T, class Heads = exact_heads>
class encoder_layer : detail::encoder_parts<T, Heads> {
    using parts = detail::encoder_parts<T, Heads>;

public:
    using parameters = encoder_parameters<T, Heads>;
    using tape = encoder_tape<T, Heads>;
    using stream = encoder_stream<T, Heads>;
    parameters weights;

    encoder_layer() = default;
    explicit encoder_layer(const encoder_config& config, std::uint64_t seed = 0)
        : parts(config), weights(this->start(seed)) {}

    const encoder_config& config() const { return this->config_; }

    template <class X, class... Options>
    auto operator()(const X& x, const Options&... options) const {
        tape kept;
        return forward(x, kept, options...);
    }
    template <class X, class... Options>
    auto forward(const X& x, tape& kept, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.attention.width);
        forward_into(detail::result_view(y), x, kept, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void forward_into(Y&& y, const X& x, tape& kept, const Options&... options) const {
        constexpr const char* f = "encoder_layer::forward_into";
        this->run(
            f, weights, detail::written_rows<T, Y>(f, "y", y), detail::rows_of<const T>(f, "x", x), kept.rows,
            [&](const auto& to, const auto& from, const auto&... o) {
                this->attention_.run_forward(f, weights.attention, to, from, nullptr, kept.attention, o...);
            },
            options...);
    }

    template <class Dy, class X, class... Options>
    auto backward(const Dy& dy, const X& x, tape& kept, parameters& gradients,
                  const Options&... options) const {
        auto dx = detail::rows_like(x, this->config_.attention.width);
        backward_into(detail::result_view(dx), dy, x, kept, gradients, options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    void backward_into(Dx&& dx, const Dy& dy, const X& x, tape& kept, parameters& gradients,
                       const Options&... options) const {
        constexpr const char* f = "encoder_layer::backward_into";
        this->run_backward(f, weights, detail::written_rows<T, Dx>(f, "dx", dx),
                           detail::rows_of<const T>(f, "dy", dy), detail::rows_of<const T>(f, "x", x), kept,
                           gradients, options...);
    }

    // The next positions of a stream; what came before stands in it.
    template <class X, class... Options>
    auto extend(const X& x, stream& s, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.attention.width);
        extend_into(detail::result_view(y), x, s, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void extend_into(Y&& y, const X& x, stream& s, const Options&... options) const {
        constexpr const char* f = "encoder_layer::extend_into";
        this->run(
            f, weights, detail::written_rows<T, Y>(f, "y", y), detail::rows_of<const T>(f, "x", x), s.rows,
            [&](const auto& to, const auto& from, const auto&... o) {
                this->attention_.run_extend(f, weights.attention, to, from, s.attention, o...);
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI
