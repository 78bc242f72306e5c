// SPDX-License-Identifier: MIT
// heed/layers/feed_forward.hpp: two products with an activation between them, position by position
//
//     y = f(x W_up + b) W_down + b                      f = gelu_tanh or relu
//     y = (up(x) relu(gate(x))) W_down + b              gated_relu
//
//     heed::feed_forward<float> ffn({.width = 768});
//     auto y = ffn(x);
//     heed::feed_forward<float>::tape tape;                            reuse it
//     auto y = ffn.forward(x, tape);
//     auto dx = ffn.backward(dy, x, tape, gradients);                  gradients are added to
//
// gelu_tanh(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). x and y (…, position, width); hidden is 0
// for 4 width. Options: on(device), use(workspace).
//
// Cost: 4 width hidden flops a position, three times that with the backward; half as much again when gated.
// The tape keeps what stood before the activation and memory of the same size to work in: the backward
// evaluates the activation once more, which takes a hundredth of the time of its products and saves a third
// of the tape. A call without a tape allocates one. The same bits for any number of threads. Throws
// heed::error before anything is written.
//
// Sources: Vaswani et al., 2017 (arXiv:1706.03762); Hendrycks, Gimpel, "Gaussian error linear units", 2016
// (arXiv:1606.08415); the gate is that of SamOut (github.com/dfytensor/SamOutV1).
#pragma once

#include <heed/kernel/layers/row_blocks.hpp>
#include <heed/layers/projection.hpp>

namespace heed::inline HEED_ABI {

enum class activation { gelu_tanh, relu, gated_relu };

struct feed_forward_config {
    index width = 0;
    index hidden = 0;  // 0: 4 width
    heed::activation activation = heed::activation::gelu_tanh;
    bool bias = true;

    bool operator==(const feed_forward_config&) const = default;
};

template <class T>
struct feed_forward_parameters {
    projection_parameters<T> up;    // (width, hidden)
    projection_parameters<T> gate;  // (width, hidden), empty unless gated
    projection_parameters<T> down;  // (hidden, width)

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("up", f, p.up...);
        visit("gate", f, p.gate...);
        visit("down", f, p.down...);
    }
};

template <class T>
struct feed_forward_tape {
    Eigen::Tensor<T, 2, Eigen::RowMajor> up{0, 0}, gate{0, 0};             // before the activation
    Eigen::Tensor<T, 2, Eigen::RowMajor> work{0, 0}, gate_gradient{0, 0};  // where a call works
    feed_forward_config config;                                            // of the layer of the forward
};

namespace detail {

// The calls on parameters that stand elsewhere: a layer made of several keeps them in a struct of its own.
template <class T>
struct feed_forward_parts {
    using parameters = feed_forward_parameters<T>;
    using tape = feed_forward_tape<T>;
    feed_forward_config config_;

    feed_forward_parts() = default;
    explicit feed_forward_parts(const feed_forward_config& config) : config_(config) {
        feed_forward_config& c = config_;
        if (c.width <= 0) fail("feed_forward", {"width is ", c.width, ", needs at least 1"});
        if (c.hidden == 0) c.hidden = checked_product("feed_forward", 4, c.width);
        if (c.hidden < 0)
            fail("feed_forward", {"hidden is ", c.hidden, ", needs at least 1, or 0 for 4 x width"});
        checked_product("feed_forward", c.width, c.hidden);
        check_enumerator("feed_forward", "activation", c.activation, 3);
    }
    parameters start(std::uint64_t seed) const {
        parameters w;
        make(w.up, config_.width, config_.hidden, seed_for(seed, 0));
        if (gated()) make(w.gate, config_.width, config_.hidden, seed_for(seed, 1));
        make(w.down, config_.hidden, config_.width, seed_for(seed, 2));
        return w;
    }

    void check_weights(std::string_view f, const weight_path& at, const parameters& w) const {
        const index gates = gated() ? config_.hidden : 0;
        check_projection<T>(f, at.inside("up"), w.up, config_.width, config_.hidden);
        check_projection<T>(f, at.inside("gate"), w.gate, gated() ? config_.width : 0, gates);
        check_projection<T>(f, at.inside("down"), w.down, config_.hidden, config_.width);
    }
    // A tape of this layer, and of a forward of as many rows?
    void check_tape(std::string_view f, const tape& kept, index rows) const {
        if (kept.up.dimension(0) != rows)
            fail(f, {"tape holds a forward of ", kept.up.dimension(0), " rows, x has ", rows});
        const feed_forward_config &c = config_, &k = kept.config;
        if (k != c || kept.up.dimension(1) != c.hidden || (gated() && kept.gate.size() != kept.up.size()))
            fail(f, {"tape holds the forward of another feed-forward (", k.width, " wide, ", k.hidden,
                     " hidden, ", name_of(k.activation), bias_of(k), "); needs one of this (", c.width,
                     " wide, ", c.hidden, " hidden, ", name_of(c.activation), bias_of(c), ")"});
    }

    template <class... Options>
    requires(only_resources<Options...>())
    void run_forward(std::string_view f, const parameters& w, const dense_rows<T>& y,
                     const dense_rows<const T>& x, tape& kept, const Options&... options) const {
        check_width(f, "x", x.width, config_.width);
        check_like(f, "y", y, "x", x, config_.width);
        check_weights(f, {}, w);
        check_results<T>(f, w, {{"y", y}}, {{"x", x}});
        kept.config = config_;
        const device_ref device_ = device_of(options...);
        workspace own;
        workspace& memory = memory_of(own, options...);
        project(kept.up, x, w.up, device_, memory);
        if (gated()) project(kept.gate, x, w.gate, device_, memory);
        fit(kept.work, x.rows(), config_.hidden);
        activate(kept, device_);
        multiply<T>(y.as_matrix(), matrix_of(kept.work), matrix_of(w.down.weight), data_or_null(w.down.bias),
                    false, device_, memory);
    }

    template <class... Options>
    requires(only_resources<Options...>())
    void run_backward(std::string_view f, const parameters& w, const dense_rows<T>& dx,
                      const dense_rows<const T>& dy, const dense_rows<const T>& x, tape& kept, parameters& g,
                      const Options&... options) const {
        check_width(f, "x", x.width, config_.width);
        check_like(f, "dy", dy, "x", x, config_.width);
        check_like(f, "dx", dx, "x", x, config_.width);
        check_weights(f, {}, w);
        check_gradients<T>(f, w, g, {{"dx", dx}}, {{"dy", dy}, {"x", x}});
        check_tape(f, kept, x.rows());
        const device_ref device_ = device_of(options...);
        workspace own;
        workspace& memory = memory_of(own, options...);
        // The activation once more; the gradient then takes its place.
        fit(kept.work, x.rows(), config_.hidden);
        activate(kept, device_);
        const auto work = matrix_of(kept.work);
        const matrix<const T> dy_ = dy.as_matrix();
        multiply_backward<T>({nullptr, 0, 0, 0, 0}, false, matrix_of(g.down.weight),
                             data_or_null(g.down.bias), dy_, work, matrix_of(w.down.weight), device_, memory);
        multiply<T>(work, dy_, transposed(matrix_of(w.down.weight)), nullptr, false, device_, memory);
        slope(kept, device_);
        const auto back = [&](bool add, const auto& d, const auto& weight, auto& gradient) {
            multiply_backward<T>(dx.as_matrix(), add, matrix_of(gradient.weight), data_or_null(gradient.bias),
                                 matrix_of(d), x.as_matrix(), matrix_of(weight.weight), device_, memory);
        };
        back(false, kept.work, w.up, g.up);
        if (gated()) back(true, kept.gate_gradient, w.gate, g.gate);
    }

private:
    static const char* name_of(heed::activation a) {
        return a == heed::activation::gelu_tanh ? "gelu_tanh"
               : a == heed::activation::relu    ? "relu"
                                                : "gated_relu";
    }
    static const char* bias_of(const feed_forward_config& c) { return c.bias ? "" : ", no bias"; }
    bool gated() const { return config_.activation == heed::activation::gated_relu; }
    void make(projection_parameters<T>& p, index inputs, index outputs, std::uint64_t seed) const {
        p.weight = new_projection<T>(inputs, outputs, seed);
        p.bias = constant_vector<T>(config_.bias ? outputs : 0, 0);
    }
    void project(Eigen::Tensor<T, 2, Eigen::RowMajor>& to, const dense_rows<const T>& x,
                 const projection_parameters<T>& p, device_ref device_, workspace& memory) const {
        fit(to, x.rows(), config_.hidden);
        multiply<T>(matrix_of(to), x.as_matrix(), matrix_of(p.weight), data_or_null(p.bias), false, device_,
                    memory);
    }
    // work = f(up) or up relu(gate).
    void activate(tape& kept, device_ref device_) const {
        const auto& leaves = activation_leaves_on_target<T>();
        const auto leaf = gated()                                        ? leaves.gated_relu
                          : config_.activation == heed::activation::relu ? leaves.relu
                                                                         : leaves.gelu;
        for_each_row_block(device_, kept.up.dimension(0), config_.hidden, [&](index first, index n) {
            const index at = first * config_.hidden;
            const element_rows<const T> in[] = {{kept.up.data() + at, config_.hidden},
                                                {kept.gate.data() + (gated() ? at : 0), config_.hidden}};
            const element_rows<T> out[] = {{kept.work.data() + at, config_.hidden}};
            leaf(in, out, nullptr, n, config_.hidden);
        });
    }
    // From the gradient of f's result, in work, to that of what it was made of.
    void slope(tape& kept, device_ref device_) const {
        if (gated()) fit(kept.gate_gradient, kept.up.dimension(0), config_.hidden);
        const auto& leaves = activation_leaves_on_target<T>();
        const auto leaf = gated()                                        ? leaves.gated_relu_gradient
                          : config_.activation == heed::activation::relu ? leaves.relu_gradient
                                                                         : leaves.gelu_gradient;
        for_each_row_block(device_, kept.up.dimension(0), config_.hidden, [&](index first, index n) {
            const index at = first * config_.hidden;
            const index gate = gated() ? at : 0;
            const element_rows<const T> in[] = {{kept.work.data() + at, config_.hidden},
                                                {kept.up.data() + at, config_.hidden},
                                                {kept.gate.data() + gate, config_.hidden}};
            const element_rows<T> out[] = {{kept.work.data() + at, config_.hidden},
                                           {kept.gate_gradient.data() + gate, config_.hidden}};
            leaf(in, out, nullptr, n, config_.hidden);
        });
    }
};

}  // namespace detail

template <class T>
class feed_forward : detail::feed_forward_parts<T> {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::feed_forward<T>: T is float or double");

public:
    using parameters = feed_forward_parameters<T>;
    using tape = feed_forward_tape<T>;
    parameters weights;

    feed_forward() = default;
    explicit feed_forward(const feed_forward_config& config, std::uint64_t seed = 0)
        : detail::feed_forward_parts<T>(config), weights(this->start(seed)) {}
    const feed_forward_config& config() const { return this->config_; }

    template <class X, class... Options>
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
        constexpr const char* f = "feed_forward::forward_into";
        this->run_forward(f, weights, detail::written_rows<T, Y>(f, "y", y),
                          detail::rows_of<const T>(f, "x", x), kept, options...);
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
        constexpr const char* f = "feed_forward::backward_into";
        this->run_backward(f, weights, detail::written_rows<T, Dx>(f, "dx", dx),
                           detail::rows_of<const T>(f, "dy", dy), detail::rows_of<const T>(f, "x", x), kept,
                           gradients, options...);
    }
};

}  // namespace heed::inline HEED_ABI
