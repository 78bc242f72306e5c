// SPDX-License-Identifier: MIT
// heed/layers/multi_head.hpp: projections around attention, forward, backward and in a stream
//
//     streams = x W_in (+ b)      heads of the variant inside      y = joined heads W_out (+ b)
//
//     heed::multi_head_attention<float> mha({.width = 768, .heads = 12});
//     auto y = mha(x, heed::causal);                               self attention
//     auto y = mha(x, memory, options…);                           cross: {.memory_width = …}
//
//     heed::multi_head_attention<float>::tape tape;                what the backward needs; reuse it
//     auto y = mha.forward(x, tape, heed::causal);
//     auto dx = mha.backward(dy, x, tape, gradients, heed::causal);          gradients are added to
//
//     heed::multi_head_attention<float>::stream stream;            position after position
//     auto y = mha.extend(x_next, stream, heed::causal);
//
// x and y (…, position, width), memory (…, its positions, memory_width). The second template argument says
// which attention stands inside (heed/layers/heads/); what it takes are the options of the calls, those of a
// backward being the forward's and its gradients. Beside them on(device) and use(workspace).
//
// W_in holds the streams one behind the other, so that one product makes them all, and heads within a stream:
// queries (heads x head_dim), keys (kv_heads x head_dim), values. Cross attention has its first stream from
// x and the others, W_memory, from the memory. Rotary positions turn queries and keys after the projection.
//
// Cost: the products, 2 positions width (streams + width) flops, and the attention. Memory: the tape holds
// streams and outputs of the heads; a call without one allocates them. The same bits for any number of
// threads. Throws heed::error before y is written, and before a backward writes anything, unless the second
// of two blended variants refuses an option of it alone.
#pragma once

#include <heed/layers/heads/exact.hpp>
#include <heed/layers/multi_head_parts.hpp>

namespace heed::inline HEED_ABI {

template <class T, class Heads = exact_heads>
class multi_head_attention : detail::multi_head_parts<T, Heads> {
    using parts = detail::multi_head_parts<T, Heads>;

public:
    using parameters = multi_head_parameters<T, Heads>;
    using tape = multi_head_tape<T, Heads>;
    using stream = multi_head_stream<T, Heads>;
    parameters weights;

    multi_head_attention() = default;
    explicit multi_head_attention(const attention_config& config, std::uint64_t seed = 0)
        : parts(config), weights(this->config_, seed) {}

    const attention_config& config() const { return this->config_; }

    // Self attention.
    template <class X, class... Options>
    requires(!detail::begins_with_tensor<Options...>)
    auto operator()(const X& x, const Options&... options) const {
        tape kept;
        return forward(x, kept, options...);
    }
    template <class X, class... Options>
    auto forward(const X& x, tape& kept, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.width);
        forward_into(detail::result_view(y), x, kept, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void forward_into(Y&& y, const X& x, tape& kept, const Options&... options) const {
        constexpr const char* f = "multi_head_attention::forward_into";
        this->check_self(f);
        this->run_forward(f, weights, detail::written_rows<T, Y>(f, "y", y),
                          detail::rows_of<const T>(f, "x", x), nullptr, kept, options...);
    }
    template <class Dy, class X, class... Options>
    auto backward(const Dy& dy, const X& x, tape& kept, parameters& gradients,
                  const Options&... options) const {
        auto dx = detail::rows_like(x, this->config_.width);
        backward_into(detail::result_view(dx), dy, x, kept, gradients, options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    void backward_into(Dx&& dx, const Dy& dy, const X& x, tape& kept, parameters& gradients,
                       const Options&... options) const {
        constexpr const char* f = "multi_head_attention::backward_into";
        this->check_self(f);
        this->run_backward(
            f, weights,
            {detail::written_rows<T, Dx>(f, "dx", dx), nullptr, detail::rows_of<const T>(f, "dy", dy),
             detail::rows_of<const T>(f, "x", x), nullptr},
            kept, gradients, options...);
    }

    // Cross attention: keys and values come from memory.
    template <class X, class M, class... Options>
    requires detail::has_elements<M>
    auto operator()(const X& x, const M& memory, const Options&... options) const {
        tape kept;
        return forward(x, memory, kept, options...);
    }
    template <class X, class M, class... Options>
    requires detail::has_elements<M>
    auto forward(const X& x, const M& memory, tape& kept, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.width);
        forward_into(detail::result_view(y), x, memory, kept, options...);
        return y;
    }
    template <class Y, class X, class M, class... Options>
    requires detail::has_elements<M>
    void forward_into(Y&& y, const X& x, const M& memory, tape& kept, const Options&... options) const {
        constexpr const char* f = "multi_head_attention::forward_into";
        this->check_cross(f);
        const auto from = detail::rows_of<const T>(f, "memory", memory);
        this->run_forward(f, weights, detail::written_rows<T, Y>(f, "y", y),
                          detail::rows_of<const T>(f, "x", x), &from, kept, options...);
    }
    // Writes dx and d_memory.
    template <class Dx, class Dm, class Dy, class X, class M, class... Options>
    requires detail::has_elements<M>
    void backward_into(Dx&& dx, Dm&& d_memory, const Dy& dy, const X& x, const M& memory, tape& kept,
                       parameters& gradients, const Options&... options) const {
        constexpr const char* f = "multi_head_attention::backward_into";
        this->check_cross(f);
        const auto from = detail::rows_of<const T>(f, "memory", memory);
        const auto to = detail::written_rows<T, Dm>(f, "d_memory", d_memory);
        this->run_backward(
            f, weights,
            {detail::written_rows<T, Dx>(f, "dx", dx), &to, detail::rows_of<const T>(f, "dy", dy),
             detail::rows_of<const T>(f, "x", x), &from},
            kept, gradients, options...);
    }

    // The next positions of a stream; what came before stands in it. In cross attention memory is read once,
    // by remember(), which replaces what the stream remembered before; extend() takes no mask that counts
    // positions of x. A position costs what one query over all keys does; over a memory with linear heads,
    // the same for any length.
    template <class X, class... Options>
    auto extend(const X& x, stream& s, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.width);
        extend_into(detail::result_view(y), x, s, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void extend_into(Y&& y, const X& x, stream& s, const Options&... options) const {
        constexpr const char* f = "multi_head_attention::extend_into";
        this->check_weights(f, {}, weights);
        this->run_extend(f, weights, detail::written_rows<T, Y>(f, "y", y),
                         detail::rows_of<const T>(f, "x", x), s, options...);
    }
    template <class M, class... Options>
    void remember(const M& memory, stream& s, const Options&... options) const {
        constexpr const char* f = "multi_head_attention::remember";
        this->check_cross(f);
        this->check_weights(f, {}, weights);
        this->run_remember(f, weights, detail::rows_of<const T>(f, "memory", memory), s, options...);
    }
};

}  // namespace heed::inline HEED_ABI
