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
// of the tape. The same bits for any number of threads. All calls: heed/layers/calls.hpp.
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

template <class T>
struct feed_forward_parts : layer_facts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::feed_forward<T>: T is float or double");
    static constexpr literal name{"feed_forward"};
    using value = T;
    using config_type = feed_forward_config;
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
    index input_width() const { return config_.width; }
    index output_width() const { return config_.width; }

    template <class... Options>
    static constexpr bool options() {
        return only_resources<Options...>();
    }
    void check_weights(std::string_view f, const weight_path& at, const parameters& w) const {
        const index gates = gated() ? config_.hidden : 0;
        check_projection<T>(f, at.inside("up"), w.up, config_.width, config_.hidden);
        check_projection<T>(f, at.inside("gate"), w.gate, gated() ? config_.width : 0, gates);
        check_projection<T>(f, at.inside("down"), w.down, config_.hidden, config_.width);
    }
    // Refuses a tape of another layer, or of a forward of other rows.
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
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&...) const {
        check_rows(f, r, config_.width, config_.width);
        check_weights(f, {}, w);
        check_results<T>(f, w, {{"y", r.y}}, {{"x", r.x}});
    }
    template <class... Options>
    void run_forward(std::string_view, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Options&... options) const {
        const device_ref device = device_of(options...);
        call_rows taken(scratch);
        if (kept != nullptr) kept->config = config_;
        const index rows = r.x.rows(), hidden = config_.hidden;
        const auto of = [&](auto member, index count) {
            return matrix<T>{tape_or_scratch(kept, member, taken, count, hidden), count, hidden, hidden, 1};
        };
        const auto project = [&](const matrix<T>& to, const projection_parameters<T>& p) {
            multiply<T>(to, r.x.as_matrix(), matrix_of(p.weight), data_or_null(p.bias), false, device,
                        scratch);
        };
        const matrix<T> up = of(&tape::up, rows), gate = of(&tape::gate, gated() ? rows : 0);
        project(up, w.up);
        if (gated()) project(gate, w.gate);
        const matrix<T> work = of(&tape::work, rows);
        activate(up, gate, work, device);
        multiply<T>(r.y.as_matrix(), work, matrix_of(w.down.weight), data_or_null(w.down.bias), false, device,
                    scratch);
    }

    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&...) const {
        check_rows(f, r, config_.width, config_.width);
        check_weights(f, {}, w);
        check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"dy", r.dy}, {"x", r.x}});
        check_tape(f, kept, r.x.rows());
    }
    template <class... Options>
    void run_backward(std::string_view, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        const device_ref device = device_of(options...);
        // The activation once more; the gradient then takes its place.
        fit(kept.work, r.x.rows(), config_.hidden);
        const auto work = matrix_of(kept.work);
        activate(matrix_of(kept.up), matrix_of(kept.gate), work, device);
        const matrix<const T> dy = r.dy.as_matrix();
        multiply_backward<T>({nullptr, 0, 0, 0, 0}, false, matrix_of(g.down.weight),
                             data_or_null(g.down.bias), dy, work, matrix_of(w.down.weight), device, scratch);
        multiply<T>(work, dy, transposed(matrix_of(w.down.weight)), nullptr, false, device, scratch);
        slope(kept, device);
        const auto back = [&](bool add, const auto& d, const auto& weight, auto& gradient) {
            multiply_backward<T>(r.dx.as_matrix(), add, matrix_of(gradient.weight),
                                 data_or_null(gradient.bias), matrix_of(d), r.x.as_matrix(),
                                 matrix_of(weight.weight), device, scratch);
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
    // work = f(up) or up relu(gate).
    void activate(const matrix<const T>& up, const matrix<const T>& gate, const matrix<T>& work,
                  device_ref device) const {
        const auto& leaves = activation_leaves_on_target<T>();
        const auto leaf = gated()                                        ? leaves.gated_relu
                          : config_.activation == heed::activation::relu ? leaves.relu
                                                                         : leaves.gelu;
        for_each_row_block(device, up.rows, config_.hidden, [&](index first, index n) {
            const index at = first * config_.hidden;
            const element_rows<const T> in[] = {{up.data + at, config_.hidden},
                                                {gate.data + (gated() ? at : 0), config_.hidden}};
            const element_rows<T> out[] = {{work.data + at, config_.hidden}};
            leaf(in, out, nullptr, n, config_.hidden);
        });
    }
    // From the gradient of f's result, in work, to that of what it was made of.
    void slope(tape& kept, device_ref device) const {
        if (gated()) fit(kept.gate_gradient, kept.up.dimension(0), config_.hidden);
        const auto& leaves = activation_leaves_on_target<T>();
        const auto leaf = gated()                                        ? leaves.gated_relu_gradient
                          : config_.activation == heed::activation::relu ? leaves.relu_gradient
                                                                         : leaves.gelu_gradient;
        for_each_row_block(device, kept.up.dimension(0), config_.hidden, [&](index first, index n) {
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
class feed_forward : public detail::layer_calls<feed_forward<T>, detail::feed_forward_parts<T>> {
public:
    using detail::layer_calls<feed_forward<T>, detail::feed_forward_parts<T>>::layer_calls;
};

}  // namespace heed::inline HEED_ABI
