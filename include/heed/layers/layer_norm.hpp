// SPDX-License-Identifier: MIT
// heed/layers/layer_norm.hpp: y = (x - mean) / sqrt(variance + epsilon) weight + bias, row by row
//
//     heed::layer_norm<float> norm({.width = 768});
//     auto y = norm(x);
//     heed::layer_norm<float>::tape tape;                              reuse it
//     auto y = norm.forward(x, tape);
//     auto dx = norm.backward(dy, x, tape, gradients);                 gradients are added to
//
// x and y (…, position, width), weight and bias (width). The variance is the biased one, the sum of squares
// over the width; epsilon is positive. A mean that is large against the deviation costs no digits. Numbers
// may be as large as T holds, as long as none is further from its row's mean than that: rows whose squares
// overflow are measured a second time. Options: on(device), use(workspace).
//
// Cost: memory traffic, x and y once. The tape holds three numbers a row. The same bits for any number of
// threads. All calls: heed/layers/calls.hpp.
//
// Source: Ba, Kiros, Hinton, "Layer normalization", 2016 (arXiv:1607.06450).
#pragma once

#include <limits>

#include <heed/kernel/layers/row_blocks.hpp>
#include <heed/layers/apart.hpp>
#include <heed/layers/calls.hpp>

namespace heed::inline HEED_ABI {

struct layer_norm_config {
    index width = 0;
    double epsilon = 1e-5;

    bool operator==(const layer_norm_config&) const = default;
};

template <class T>
struct layer_norm_parameters {
    Eigen::Tensor<T, 1, Eigen::RowMajor> weight;  // (width), starts as ones
    Eigen::Tensor<T, 1, Eigen::RowMajor> bias;    // (width), starts as zeros

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("weight", f, p.weight...);
        visit("bias", f, p.bias...);
    }
};

// Mean, what it was rounded by, and 1 / deviation of each row of the forward, and the rows' width.
template <class T>
struct layer_norm_tape {
    Eigen::Tensor<T, 1, Eigen::RowMajor> mean{0}, mean_rest{0}, inverse_deviation{0};
    index width = 0;

    detail::row_statistics<T> rows(index count) {
        detail::fit(mean, count);
        detail::fit(mean_rest, count);
        detail::fit(inverse_deviation, count);
        return {mean.data(), mean_rest.data(), inverse_deviation.data()};
    }
};

namespace detail {

// Added to a variance whose root divides: rows of equal numbers need it.
template <class T>
void check_epsilon(std::string_view f, double epsilon) {
    if (!(epsilon > 0 && epsilon <= static_cast<double>((std::numeric_limits<T>::max)()) &&
          static_cast<T>(epsilon) > 0))
        fail(f, {"epsilon is ", epsilon, ", needs a positive finite number",
                 epsilon > 0 && std::is_same_v<T, float> ? " in float" : ""});
}

// Three numbers a row: the tape's, or without one the call's scratch.
template <class T>
row_statistics<T> statistics_of(layer_norm_tape<T>* kept, call_rows& taken, index rows) {
    if (kept != nullptr) return kept->rows(rows);
    const auto take = [&] { return taken.take<T>(static_cast<std::size_t>(rows)); };
    T* const mean = take();
    T* const rest = take();
    return {mean, rest, take()};
}

template <class T>
struct layer_norm_parts : layer_facts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::layer_norm<T>: T is float or double");
    static constexpr literal name{"layer_norm"};
    using value = T;
    using config_type = layer_norm_config;
    using parameters = layer_norm_parameters<T>;
    using tape = layer_norm_tape<T>;
    layer_norm_config config_;

    layer_norm_parts() = default;
    explicit layer_norm_parts(const layer_norm_config& config, std::string_view f = "layer_norm")
        : config_(config) {
        if (config.width <= 0) fail(f, {"width is ", config.width, ", needs at least 1"});
        check_axis(f, "width", config.width);
        check_epsilon<T>(f, config.epsilon);
    }
    parameters start(std::uint64_t) const {
        return {constant_vector<T>(config_.width, 1), constant_vector<T>(config_.width, 0)};
    }
    index input_width() const { return config_.width; }
    index output_width() const { return config_.width; }

    template <class... Options>
    static constexpr bool options() {
        return only_resources<Options...>();
    }
    static void check_weights(std::string_view f, const weight_path& at, const parameters& w, index width) {
        check_weight<T>(f, at.inside("weight"), w.weight, width);
        check_weight<T>(f, at.inside("bias"), w.bias, width);
    }
    // Refuses a tape of a forward of other rows.
    void check_tape(std::string_view f, const tape& kept, index rows) const {
        if (kept.mean.dimension(0) != rows)
            fail(f, {"tape holds a forward of ", kept.mean.dimension(0), " rows, x has ", rows});
        if (kept.width != config_.width)
            fail(f, {"tape holds a forward of a width of ", kept.width, ", x has ", config_.width});
    }

    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&...) const {
        check_rows(f, r, config_.width, config_.width);
        check_weights(f, {}, w, config_.width);
        check_results<T>(f, w, {{"y", r.y}}, {{"x", r.x}});
    }
    template <class... Options>
    void run_forward(std::string_view, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Options&... options) const {
        const index width = config_.width;
        call_rows taken(scratch);
        if (kept != nullptr) kept->width = width;
        const row_statistics<T> rows = statistics_of(kept, taken, r.x.rows());
        const auto leaf = norm_leaves_on_target<T>().forward;
        for_each_row_block(device_of(options...), r.x.rows(), width, [&](index first, index count) {
            leaf(r.x.data + first * width, count, width, w.weight.data(), w.bias.data(),
                 static_cast<T>(config_.epsilon), r.y.data + first * width, rows.from(first));
        });
    }

    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&...) const {
        check_rows(f, r, config_.width, config_.width);
        check_weights(f, {}, w, config_.width);
        check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"dy", r.dy}, {"x", r.x}});
        check_tape(f, kept, r.x.rows());
    }
    // With g = dy weight and x' the normalised row: dx = (g - mean(g) - x' mean(g x')) / deviation.
    template <class... Options>
    void run_backward(std::string_view, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        const index width = config_.width;
        const row_statistics<T> rows = kept.rows(r.x.rows());
        const auto leaf = norm_leaves_on_target<T>().backward;
        T* const sums[] = {g.weight.data(), g.bias.data()};
        add_over_rows(sums, r.x.rows(), width, device_of(options...), scratch,
                      [&](index first, index count, T* const(&add)[2]) {
                          const index at = first * width;
                          leaf(r.dy.data + at, r.x.data + at, rows.from(first), count, width, w.weight.data(),
                               r.dx.data + at, add[0], add[1]);
                      });
    }
};

}  // namespace detail

template <class T>
class layer_norm : public detail::layer_calls<layer_norm<T>, detail::layer_norm_parts<T>> {
public:
    using detail::layer_calls<layer_norm<T>, detail::layer_norm_parts<T>>::layer_calls;
};

}  // namespace heed::inline HEED_ABI
