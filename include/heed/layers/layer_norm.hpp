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
// over the width. A mean that is large against the deviation costs no digits. Options: on(device),
// use(workspace).
//
// Cost: memory traffic, x and y once. The tape holds three numbers a row. A call without a tape allocates
// them, and y. The same bits for any number of threads. Throws heed::error before anything is written.
//
// Source: Ba, Kiros, Hinton, "Layer normalization", 2016 (arXiv:1607.06450).
#pragma once

#include <heed/kernel/layers/row_blocks.hpp>
#include <heed/layers/parameters.hpp>
#include <heed/layers/projection.hpp>
#include <heed/layers/rows.hpp>

namespace heed {
inline namespace HEED_ABI {

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

// Mean, what it was rounded by, and 1 / deviation of each row of the forward.
template <class T>
struct layer_norm_tape {
    Eigen::Tensor<T, 1, Eigen::RowMajor> mean{0}, mean_rest{0}, inverse_deviation{0};

    detail::row_statistics<T> rows(index count) {
        detail::fit(mean, count);
        detail::fit(mean_rest, count);
        detail::fit(inverse_deviation, count);
        return {mean.data(), mean_rest.data(), inverse_deviation.data()};
    }
};

template <class T>
class layer_norm {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::layer_norm<T>: T is float or double");

public:
    using parameters = layer_norm_parameters<T>;
    using tape = layer_norm_tape<T>;
    parameters weights;

    layer_norm() = default;
    explicit layer_norm(index width, double epsilon = 1e-5) : epsilon_(epsilon) {
        if (width <= 0) detail::fail("layer_norm", {"width is ", width, ", needs at least 1"});
        if (!(epsilon >= 0)) detail::fail("layer_norm", {"epsilon is ", epsilon, ", needs 0 or more"});
        weights.gain = detail::constant_vector<T>(width, 1);
        weights.offset = detail::constant_vector<T>(width, 0);
    }
    index width() const { return weights.gain.dimension(0); }
    double epsilon() const { return epsilon_; }

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
    requires(detail::only_resources<Options...>()) void forward_into(Y&& y, const X& x, tape& kept,
                                                                     const Options&... options) const {
        constexpr const char* function = "layer_norm::forward_into";
        const auto from = detail::rows_of<const T>(function, "x", x);
        const auto to = detail::rows_of<T>(function, "y", y);
        detail::check_width(function, "x", from.width, width());
        detail::check_like(function, "y", to, "x", from, width());
        detail::check_apart(function, "y", to, "x", from);
        const detail::row_statistics<T> rows = kept.rows(from.rows());
        const auto leaf = detail::norm_leaves_on_target<T>().forward;
        detail::for_each_row_block(
            detail::device_of(options...), from.rows(), width(), [&](index first, index count) {
                leaf(from.data + first * width(), count, width(), weights.gain.data(), weights.offset.data(),
                     static_cast<T>(epsilon_), to.data + first * width(), rows.from(first));
            });
    }

    // With g = dy gain and x' the normalised row: dx = (g - mean(g) - x' mean(g x')) / deviation.
    template <class Dy, class X, class... Options>
    auto backward(const Dy& dy, const X& x, tape& kept, parameters& gradients,
                  const Options&... options) const {
        auto dx = detail::rows_like(x, width());
        backward_into(detail::result_view(dx), dy, x, kept, gradients, options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    requires(detail::only_resources<Options...>()) void backward_into(Dx&& dx, const Dy& dy, const X& x,
                                                                      tape& kept, parameters& gradients,
                                                                      const Options&... options) const {
        constexpr const char* function = "layer_norm::backward_into";
        const auto from = detail::rows_of<const T>(function, "x", x);
        const auto up = detail::rows_of<const T>(function, "dy", dy);
        const auto to = detail::rows_of<T>(function, "dx", dx);
        detail::check_width(function, "x", from.width, width());
        detail::check_like(function, "dy", up, "x", from, width());
        detail::check_like(function, "dx", to, "x", from, width());
        detail::check_apart(function, "dx", to, "dy", up);
        detail::check_apart(function, "dx", to, "x", from);
        detail::check_gradients(function, weights, gradients);
        if (kept.mean.dimension(0) != from.rows())
            detail::fail(function,
                         {"tape holds a forward of ", kept.mean.dimension(0), " rows, x has ", from.rows()});
        const detail::row_statistics<T> rows = kept.rows(from.rows());
        const auto leaf = detail::norm_leaves_on_target<T>().backward;
        workspace own;
        T* const sums[] = {gradients.gain.data(), gradients.offset.data()};
        detail::add_over_rows(sums, from.rows(), width(), detail::device_of(options...),
                              detail::memory_of(own, options...),
                              [&](index first, index count, T* const(&add)[2]) {
                                  const index at = first * width();
                                  leaf(up.data + at, from.data + at, rows.from(first), count, width(),
                                       weights.gain.data(), to.data + at, add[0], add[1]);
                              });
    }

private:
    double epsilon_ = 1e-5;
};

}  // namespace HEED_ABI
}  // namespace heed
