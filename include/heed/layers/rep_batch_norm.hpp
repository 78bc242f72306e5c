// SPDX-License-Identifier: MIT
// heed/layers/rep_batch_norm.hpp: a layer norm that turns into a batch norm while it is trained
//
//     y = lambda LN(x) + (1 - lambda) (BN(x) + eta x)
//
//     heed::rep_batch_norm<float> norm({.width = 256, .warm_up = 1000, .steps = 9000});
//     auto y = norm.forward(x, tape);                       a training step, with the batch's statistics
//     auto dx = norm.backward(dy, x, tape, gradients);      gradients are added to
//     norm.advance();                                       the next step: lambda falls
//     auto y = norm(x);                                     afterwards, with the running statistics
//     norm.fold_into(next.weights);                         next(x) is now next(norm(x)) of before
//
// lambda is 1 for `warm_up` steps, then start (steps left) / steps, and at the end 0. LN normalises a row
// over its width (heed/layers/layer_norm.hpp), BN a feature over all rows of the batch; eta is one number.
// What is left at the end is a multiplication and an addition for each feature, which the next linear layer
// takes over.
//
// A training step moves the running statistics by `momentum` towards the batch's (the unbiased variance),
// except while lambda is 1. Inference takes lambda = 0, or inference_lambda. x and y (…, position, width).
// A feature's sum over the rows, and that of its squared differences from the mean, have to be numbers that T
// holds; rows of the layer norm may be larger. Options: on(device), use(workspace).
//
// Cost: memory traffic, x three times forward and twice backward more than a layer norm. The tape holds three
// numbers a row and a feature. The same bits for any number of threads. Throws heed::error before anything is
// written.
//
// Source: Guo et al., "SLAB: efficient transformers with simplified linear attention and progressive
// re-parameterized batch normalization", 2024 (arXiv:2405.11582).
#pragma once

#include <heed/layers/rep_batch_norm_parts.hpp>

namespace heed::inline HEED_ABI {

struct rep_batch_norm_config {
    index width = 0;
    index warm_up = 0;  // steps of layer norm alone
    index steps = 0;    // in which lambda then falls to 0
    double start = 1;   // lambda after the warm-up
    double momentum = 0.1;
    double epsilon = 1e-5;
};

template <class T>
class rep_batch_norm {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::rep_batch_norm<T>: T is float or double");

public:
    using parameters = rep_batch_norm_parameters<T>;
    using tape = rep_batch_norm_tape<T>;
    parameters weights;
    running_statistics<T> running;
    double inference_lambda = 0;

    rep_batch_norm() = default;
    explicit rep_batch_norm(const rep_batch_norm_config& config) : config_(config) {
        const rep_batch_norm_config& c = config_;
        const char* f = "rep_batch_norm";
        if (c.width <= 0) detail::fail(f, {"width is ", c.width, ", needs at least 1"});
        detail::check_axis(f, "width", c.width);
        if (c.warm_up < 0) detail::fail(f, {"warm_up is ", c.warm_up, ", needs 0 or more"});
        if (c.steps < 0) detail::fail(f, {"steps is ", c.steps, ", needs 0 or more"});
        if (!(c.start >= 0 && c.start <= 1)) detail::fail(f, {"start is ", c.start, ", needs 0 to 1"});
        if (!(c.momentum >= 0 && c.momentum <= 1))
            detail::fail(f, {"momentum is ", c.momentum, ", needs 0 to 1"});
        detail::check_epsilon<T>(f, c.epsilon);
        weights.layer.gain = weights.batch.gain = running.variance = detail::constant_vector<T>(c.width, 1);
        weights.layer.offset = weights.batch.offset = running.mean = detail::constant_vector<T>(c.width, 0);
        weights.eta = detail::constant_vector<T>(1, 1);
    }
    const rep_batch_norm_config& config() const { return config_; }

    // Where training stands, and what lambda is there.
    index step() const { return step_; }
    void set_step(index step) {
        if (step < 0) detail::fail("rep_batch_norm::set_step", {"step is ", step, ", needs 0 or more"});
        step_ = step;
    }
    void advance() { ++step_; }
    double lambda() const { return lambda_at(step_); }
    double lambda_at(index step) const {
        if (step < config_.warm_up) return 1;
        const index left = config_.steps - (step - config_.warm_up);
        return left <= 0 ? 0
                         : config_.start * (static_cast<double>(left) / static_cast<double>(config_.steps));
    }

    // Inference.
    template <class X, class... Options>
    auto operator()(const X& x, const Options&... options) const {
        auto y = detail::rows_like(x, config_.width);
        infer_into(detail::result_view(y), x, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires(detail::only_resources<Options...>())
    void infer_into(Y&& y, const X& x, const Options&... options) const {
        constexpr const char* f = "rep_batch_norm::infer_into";
        const auto from = detail::rows_of<const T>(f, "x", x);
        const auto to = detail::written_rows<T, Y>(f, "y", y);
        validate(f, "y", to, from);
        if (!(inference_lambda >= 0 && inference_lambda <= 1))
            detail::fail(f, {"inference_lambda is ", inference_lambda, ", needs 0 to 1"});
        const index width = config_.width;
        const index per_row = inference_lambda > 0 ? from.rows() : 0;
        workspace own;
        const index numbers = parts::features::count * width + 3 * per_row;
        T* const room = static_cast<T*>(
            detail::memory_of(own, options...).reserve(static_cast<std::size_t>(numbers) * sizeof(T)));
        T* const after = room + parts::features::count * width;
        const typename parts::features features(room, width);
        parts::recall(weights, running, config_.epsilon, features);
        parts::write(to, from, weights, inference_lambda, config_.epsilon, features,
                     {after, after + per_row, after + 2 * per_row}, detail::device_of(options...));
    }

    // A training step with the lambda of step(); moves the running statistics.
    template <class X, class... Options>
    auto forward(const X& x, tape& kept, const Options&... options) {
        auto y = detail::rows_like(x, config_.width);
        forward_into(detail::result_view(y), x, kept, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires(detail::only_resources<Options...>())
    void forward_into(Y&& y, const X& x, tape& kept, const Options&... options) {
        constexpr const char* f = "rep_batch_norm::forward_into";
        const auto from = detail::rows_of<const T>(f, "x", x);
        const auto to = detail::written_rows<T, Y>(f, "y", y);
        validate(f, "y", to, from);
        if (from.rows() == 0) detail::fail(f, {"x has no rows; a batch's statistics need at least 1"});
        workspace own;
        const detail::device_ref device_ = detail::device_of(options...);
        kept.lambda = lambda();
        kept.rows = from.rows();
        detail::fit(kept.batch, parts::features::count * config_.width);
        const typename parts::features features(kept.batch.data(), config_.width);
        if (kept.lambda < 1)
            parts::measure(from, weights, config_.epsilon, config_.momentum, features, running, device_,
                           detail::memory_of(own, options...));
        parts::write(to, from, weights, kept.lambda, config_.epsilon, features,
                     kept.layer.rows(kept.lambda > 0 ? from.rows() : 0), device_);
    }

    // Through the batch's statistics, too.
    template <class Dy, class X, class... Options>
    auto backward(const Dy& dy, const X& x, tape& kept, parameters& gradients,
                  const Options&... options) const {
        auto dx = detail::rows_like(x, config_.width);
        backward_into(detail::result_view(dx), dy, x, kept, gradients, options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    requires(detail::only_resources<Options...>())
    void backward_into(Dx&& dx, const Dy& dy, const X& x, tape& kept, parameters& gradients,
                       const Options&... options) const {
        constexpr const char* f = "rep_batch_norm::backward_into";
        const auto from = detail::rows_of<const T>(f, "x", x);
        const auto to = detail::written_rows<T, Dx>(f, "dx", dx);
        validate(f, "dx", to, from);
        const auto up = detail::rows_of<const T>(f, "dy", dy);
        detail::check_like(f, "dy", up, "x", from, config_.width);
        detail::check_gradients<T>(f, weights, gradients, {{"dx", to}}, {{"dy", up}, {"x", from}});
        parts::check_tape(f, kept, from.rows(), config_.width);
        if (from.rows() == 0) return;
        workspace own;
        const detail::device_ref device_ = detail::device_of(options...);
        workspace& memory = detail::memory_of(own, options...);
        detail::fit(kept.work, 3 * config_.width);
        T* const room = kept.work.data();
        if (kept.lambda > 0)
            parts::layer_backward(to, up, from, weights, kept.lambda, kept.layer.rows(from.rows()), room,
                                  gradients, device_, memory);
        if (kept.lambda < 1)
            parts::batch_backward(to, up, from, weights, kept.lambda,
                                  typename parts::features(kept.batch.data(), config_.width), room, gradients,
                                  device_, memory);
    }

    // The next linear layer (x -> x W + b) takes over what this one does at inference; it reads x then.
    // Exact but for rounding: W' = (gain / deviation + eta) W, b' = b + (offset - gain mean / deviation) W. A
    // bias is made where there is none. Needs lambda() and inference_lambda to be 0.
    void fold_into(projection_parameters<T>& next) const {
        constexpr const char* f = "rep_batch_norm::fold_into";
        if (lambda() > 0)
            detail::fail(f, {"lambda is ", lambda(), " at step ", step_,
                             "; needs 0, which is reached at step ", config_.warm_up + config_.steps});
        if (!(inference_lambda == 0))
            detail::fail(f, {"inference_lambda is ", inference_lambda,
                             "; needs 0, a share of the layer norm does not fold"});
        parts::check_weights(f, weights, running, config_.width);
        const index outputs = next.weight.dimension(1);
        if (next.weight.dimension(0) != config_.width)
            detail::fail(f,
                         {"the projection has ", next.weight.dimension(0), " inputs, needs ", config_.width});
        if (next.bias.size() > 0 && next.bias.dimension(0) != outputs)
            detail::fail(f, {"the projection's bias has ", next.bias.dimension(0), " entries, needs ",
                             outputs, ", or none"});
        if (next.bias.size() == 0) next.bias = detail::constant_vector<T>(outputs, 0);
        std::vector<double> bias(next.bias.data(), next.bias.data() + outputs);
        for (index i = 0; i < config_.width; ++i) {
            const double by = static_cast<double>(weights.batch.gain(i)) /
                              std::sqrt(static_cast<double>(running.variance(i)) + config_.epsilon);
            const double offset =
                static_cast<double>(weights.batch.offset(i)) - by * static_cast<double>(running.mean(i));
            for (index j = 0; j < outputs; ++j) {
                const double w = static_cast<double>(next.weight(i, j));
                bias[static_cast<std::size_t>(j)] += w * offset;
                next.weight(i, j) = static_cast<T>(w * (by + static_cast<double>(weights.eta(0))));
            }
        }
        for (index j = 0; j < outputs; ++j) next.bias(j) = static_cast<T>(bias[static_cast<std::size_t>(j)]);
    }

private:
    using parts = detail::rep_batch_norm_parts<T>;
    rep_batch_norm_config config_;
    index step_ = 0;

    void validate(const char* f, const char* name, const detail::dense_rows<T>& to,
                  const detail::dense_rows<const T>& x) const {
        detail::check_width(f, "x", x.width, config_.width);
        detail::check_like(f, name, to, "x", x, config_.width);
        parts::check_weights(f, weights, running, config_.width);
        detail::check_results<T>(f, weights, {{name, to}},
                                 {{"x", x},
                                  {"running.mean", {running.mean.data(), 1, 1, config_.width}},
                                  {"running.variance", {running.variance.data(), 1, 1, config_.width}}});
    }
};

}  // namespace heed::inline HEED_ABI
