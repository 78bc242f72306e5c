// SPDX-License-Identifier: MIT
// heed/layers/sam_out_layer.hpp: the cummax language-model layer of SamOut, forward, backward and in a stream
//
//     y = LN(alpha F(A(x)) + (1 - alpha) x)
//
// A: heads of maxstate without an output projection, or other ones by the second template argument;
// F: (up relu(gate)) W_down + b, twice as wide inside; alpha: one learned number, 0.5 at first.
//
//     heed::sam_out_layer<float> layer({.width = 512, .heads = 8});
//     auto y = layer(x);
//     heed::sam_out_layer<float>::tape tape;                           reuse it
//     auto y = layer.forward(x, tape);
//     auto dx = layer.backward(dy, x, tape, gradients);                gradients are added to
//     heed::sam_out_layer<float>::stream stream;
//     auto y = layer.extend(x_next, stream);
//
// With {.positions = true} it is the whole of what SamOut repeats, and takes a table of positions that all
// layers share, a learned (P, width), published with P = 1024:
//
//     z = [p; x] W_join,   y = z + LN(alpha F(A(z)) + (1 - alpha) z)
//     p(t) = table[t mod P], and table[t / P] added to it from t = P on; t < P^2
//
//     auto y = layer.forward(x, table, tape);
//     auto dx = layer.backward(dy, x, table, tape, gradients, d_table);      d_table is added to
//     auto y = layer.extend(x_next, table, stream);
//
// The published code adds table[0] to the first P positions too, where a sequence is longer than P; here what
// came before does not depend on what comes after, so that a stream gives the bits of the whole sequence.
//
// x and y (…, position, width). Options: those of the heads inside (heed::causal says what they do anyway),
// on(device), use(workspace). Cost: 2 positions width (3 width + 3 hidden) flops, and with positions 2
// width^2 more; O(width) memory a stream. The same bits for any number of threads. Throws heed::error before
// anything is written, in a backward unless the attention refuses an option of it alone. Source: SamOutV1
// (dfytensor).
#pragma once

#include <heed/layers/heads/maxstate.hpp>
#include <heed/layers/sam_out_parts.hpp>

namespace heed::inline HEED_ABI {

template <class T, class Heads = maxstate_heads>
class sam_out_layer : detail::sam_out_parts<T, Heads> {
    using parts = detail::sam_out_parts<T, Heads>;
    template <class X>
    static auto read(std::string_view f, const char* name, const X& x) {
        return detail::rows_of<const T>(f, name, x);
    }

public:
    using parameters = sam_out_parameters<T, Heads>;
    using tape = sam_out_tape<T, Heads>;
    using stream = sam_out_stream<T, Heads>;
    parameters weights;

    sam_out_layer() = default;
    explicit sam_out_layer(const sam_out_config& config, std::uint64_t seed = 0)
        : parts(config), weights(this->start(seed)) {}
    const sam_out_config& config() const { return this->config_; }

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
        constexpr const char* f = "sam_out_layer::forward_into";
        this->run_forward(f, weights, detail::written_rows<T, Y>(f, "y", y), read(f, "x", x), {}, kept,
                          options...);
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
        constexpr const char* f = "sam_out_layer::backward_into";
        this->run_backward(
            f, weights,
            {detail::written_rows<T, Dx>(f, "dx", dx), nullptr, read(f, "dy", dy), read(f, "x", x), nullptr},
            kept, gradients, options...);
    }
    // The next positions of a stream; what came before stands in it.
    template <class X, class... Options>
    auto extend(const X& x, stream& s, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.width);
        extend_into(detail::result_view(y), x, s, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void extend_into(Y&& y, const X& x, stream& s, const Options&... options) const {
        constexpr const char* f = "sam_out_layer::extend_into";
        this->run_extend(f, weights, detail::written_rows<T, Y>(f, "y", y), read(f, "x", x), nullptr, s,
                         options...);
    }

    // With positions: the same, the table behind x.
    template <class X, class P, class... Options>
    requires detail::has_elements<P>
    auto operator()(const X& x, const P& positions, const Options&... options) const {
        tape kept;
        return forward(x, positions, kept, options...);
    }
    template <class X, class P, class... Options>
    requires detail::has_elements<P>
    auto forward(const X& x, const P& positions, tape& kept, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.width);
        forward_into(detail::result_view(y), x, positions, kept, options...);
        return y;
    }
    template <class Y, class X, class P, class... Options>
    requires detail::has_elements<P>
    void forward_into(Y&& y, const X& x, const P& positions, tape& kept, const Options&... options) const {
        constexpr const char* f = "sam_out_layer::forward_into";
        const auto table = read(f, "positions", positions);
        this->run_forward(f, weights, detail::written_rows<T, Y>(f, "y", y), read(f, "x", x), {&table, 0},
                          kept, options...);
    }
    template <class Dy, class X, class P, class Dp, class... Options>
    requires detail::has_elements<P>
    auto backward(const Dy& dy, const X& x, const P& positions, tape& kept, parameters& gradients,
                  Dp&& d_positions, const Options&... options) const {
        auto dx = detail::rows_like(x, this->config_.width);
        backward_into(detail::result_view(dx), std::forward<Dp>(d_positions), dy, x, positions, kept,
                      gradients, options...);
        return dx;
    }
    // Writes dx; d_positions and gradients are added to.
    template <class Dx, class Dp, class Dy, class X, class P, class... Options>
    requires detail::has_elements<P>
    void backward_into(Dx&& dx, Dp&& d_positions, const Dy& dy, const X& x, const P& positions, tape& kept,
                       parameters& gradients, const Options&... options) const {
        constexpr const char* f = "sam_out_layer::backward_into";
        const auto table = read(f, "positions", positions);
        const auto d_table = detail::written_rows<T, Dp>(f, "d_positions", d_positions);
        this->run_backward(
            f, weights,
            {detail::written_rows<T, Dx>(f, "dx", dx), &d_table, read(f, "dy", dy), read(f, "x", x), &table},
            kept, gradients, options...);
    }
    template <class X, class P, class... Options>
    requires detail::has_elements<P>
    auto extend(const X& x, const P& positions, stream& s, const Options&... options) const {
        auto y = detail::rows_like(x, this->config_.width);
        extend_into(detail::result_view(y), x, positions, s, options...);
        return y;
    }
    template <class Y, class X, class P, class... Options>
    requires detail::has_elements<P>
    void extend_into(Y&& y, const X& x, const P& positions, stream& s, const Options&... options) const {
        constexpr const char* f = "sam_out_layer::extend_into";
        const auto table = read(f, "positions", positions);
        this->run_extend(f, weights, detail::written_rows<T, Y>(f, "y", y), read(f, "x", x), &table, s,
                         options...);
    }
};

}  // namespace heed::inline HEED_ABI
