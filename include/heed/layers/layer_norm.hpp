// SPDX-License-Identifier: MIT
// heed/layers/layer_norm.hpp: y = (x - mean) / sqrt(variance + epsilon) gain + offset, row by row
//
//     heed::layer_norm<float> norm(768);
//     auto y = norm(x);
//     heed::layer_norm<float>::tape tape;                              reuse it
//     auto y = norm.forward(x, tape);
//     auto dx = norm.backward(dy, x, tape, gradients);                 gradients are added to
//
// x and y (…, position, width), gain and offset (width). The variance is the biased one, the sum of squares
// over the width; epsilon is positive. A mean that is large against the deviation costs no digits. Numbers
// may be as large as T holds, as long as none is further from its row's mean than that: rows whose squares
// overflow are measured a second time. Options: on(device), use(workspace).
//
// Cost: memory traffic, x and y once. The tape holds three numbers a row. A call without a tape allocates
// them, and y. The same bits for any number of threads. Throws heed::error before anything is written.
//
// Source: Ba, Kiros, Hinton, "Layer normalization", 2016 (arXiv:1607.06450).
#pragma once

#include <limits>

#include <heed/kernel/layers/row_blocks.hpp>
#include <heed/layers/apart.hpp>
#include <heed/layers/projection.hpp>

namespace heed::inline HEED_ABI {

template <class T>
struct layer_norm_parameters {
    Eigen::Tensor<T, 1, Eigen::RowMajor> gain;    // (width), starts as ones
    Eigen::Tensor<T, 1, Eigen::RowMajor> offset;  // (width), starts as zeros

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("gain", f, p.gain...);
        visit("offset", f, p.offset...);
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

// The calls on parameters that stand elsewhere: a layer made of several keeps them in a struct of its own.
template <class T>
struct layer_norm_parts {
    using parameters = layer_norm_parameters<T>;
    using tape = layer_norm_tape<T>;
    double epsilon_ = 1e-5;

    static parameters start(index width) {
        return {constant_vector<T>(width, 1), constant_vector<T>(width, 0)};
    }
    static void check_weights(std::string_view f, const weight_path& at, const parameters& w, index width) {
        check_weight<T>(f, at.inside("gain"), w.gain, width);
        check_weight<T>(f, at.inside("offset"), w.offset, width);
    }
    // A tape of a forward of these rows?
    static void check_tape(std::string_view f, const tape& kept, index rows, index width) {
        if (kept.mean.dimension(0) != rows)
            fail(f, {"tape holds a forward of ", kept.mean.dimension(0), " rows, x has ", rows});
        if (kept.width != width)
            fail(f, {"tape holds a forward of a width of ", kept.width, ", x has ", width});
    }

    template <class... Options>
    requires(only_resources<Options...>())
    void run_forward(std::string_view f, const parameters& w, const dense_rows<T>& y,
                     const dense_rows<const T>& x, tape& kept, const Options&... options) const {
        const index width = w.gain.dimension(0);
        check_width(f, "x", x.width, width);
        check_like(f, "y", y, "x", x, width);
        check_weights(f, {}, w, width);
        check_results<T>(f, w, {{"y", y}}, {{"x", x}});
        kept.width = width;
        const row_statistics<T> rows = kept.rows(x.rows());
        const auto leaf = norm_leaves_on_target<T>().forward;
        for_each_row_block(device_of(options...), x.rows(), width, [&](index first, index count) {
            leaf(x.data + first * width, count, width, w.gain.data(), w.offset.data(),
                 static_cast<T>(epsilon_), y.data + first * width, rows.from(first));
        });
    }

    // With g = dy gain and x' the normalised row: dx = (g - mean(g) - x' mean(g x')) / deviation.
    template <class... Options>
    requires(only_resources<Options...>())
    void run_backward(std::string_view f, const parameters& w, const dense_rows<T>& dx,
                      const dense_rows<const T>& dy, const dense_rows<const T>& x, tape& kept, parameters& g,
                      const Options&... options) const {
        const index width = w.gain.dimension(0);
        check_width(f, "x", x.width, width);
        check_like(f, "dy", dy, "x", x, width);
        check_like(f, "dx", dx, "x", x, width);
        check_weights(f, {}, w, width);
        check_gradients<T>(f, w, g, {{"dx", dx}}, {{"dy", dy}, {"x", x}});
        check_tape(f, kept, x.rows(), width);
        const row_statistics<T> rows = kept.rows(x.rows());
        const auto leaf = norm_leaves_on_target<T>().backward;
        workspace own;
        T* const sums[] = {g.gain.data(), g.offset.data()};
        add_over_rows(sums, x.rows(), width, device_of(options...), memory_of(own, options...),
                      [&](index first, index count, T* const(&add)[2]) {
                          const index at = first * width;
                          leaf(dy.data + at, x.data + at, rows.from(first), count, width, w.gain.data(),
                               dx.data + at, add[0], add[1]);
                      });
    }
};

}  // namespace detail

template <class T>
class layer_norm : detail::layer_norm_parts<T> {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::layer_norm<T>: T is float or double");

public:
    using parameters = layer_norm_parameters<T>;
    using tape = layer_norm_tape<T>;
    parameters weights;

    layer_norm() = default;
    explicit layer_norm(index width, double epsilon = 1e-5) {
        if (width <= 0) detail::fail("layer_norm", {"width is ", width, ", needs at least 1"});
        detail::check_axis("layer_norm", "width", width);
        detail::check_epsilon<T>("layer_norm", epsilon);
        this->epsilon_ = epsilon;
        weights = this->start(width);
    }
    index width() const { return weights.gain.dimension(0); }
    double epsilon() const { return this->epsilon_; }

    template <class X, class... Options>
    auto operator()(const X& x, const Options&... options) const {
        tape kept;
        return forward(x, kept, options...);
    }
    template <class X, class... Options>
    auto forward(const X& x, tape& kept, const Options&... options) const {
        auto y = detail::rows_like(x, width());
        forward_into(detail::result_view(y), x, kept, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void forward_into(Y&& y, const X& x, tape& kept, const Options&... options) const {
        constexpr const char* f = "layer_norm::forward_into";
        this->run_forward(f, weights, detail::written_rows<T, Y>(f, "y", y),
                          detail::rows_of<const T>(f, "x", x), kept, options...);
    }

    template <class Dy, class X, class... Options>
    auto backward(const Dy& dy, const X& x, tape& kept, parameters& gradients,
                  const Options&... options) const {
        auto dx = detail::rows_like(x, width());
        backward_into(detail::result_view(dx), dy, x, kept, gradients, options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    void backward_into(Dx&& dx, const Dy& dy, const X& x, tape& kept, parameters& gradients,
                       const Options&... options) const {
        constexpr const char* f = "layer_norm::backward_into";
        this->run_backward(f, weights, detail::written_rows<T, Dx>(f, "dx", dx),
                           detail::rows_of<const T>(f, "dy", dy), detail::rows_of<const T>(f, "x", x), kept,
                           gradients, options...);
    }
};

}  // namespace heed::inline HEED_ABI
