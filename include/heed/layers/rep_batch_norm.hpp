// SPDX-License-Identifier: MIT
// heed/layers/rep_batch_norm.hpp: a layer norm that turns into a batch norm while it is trained
//
//     y = lambda LN(x) + (1 - lambda) (BN(x) + eta x)
//
//     heed::rep_batch_norm<float> norm({.width = 256, .warm_up = 1000, .steps = 9000});
//     auto y = norm.forward(x, tape);                       a training step, with the batch's statistics
//     auto dx = norm.backward(dy, x, tape, gradients);      gradients are added to
//     norm.advance();                                       the next step: lambda falls
//     auto y = norm(x);                                     afterwards, with the running statistics;
//     norm.forward_into(y, x);                              the same into y
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
// numbers a row and a feature. The same bits for any number of threads. All calls: heed/layers/calls.hpp.
//
// Source: Guo et al., "SLAB: efficient transformers with simplified linear attention and progressive
// re-parameterized batch normalization", 2024 (arXiv:2405.11582).
#pragma once

#include <heed/layers/calls.hpp>
#include <heed/layers/projection.hpp>
#include <heed/layers/rep_batch_norm_passes.hpp>

namespace heed::inline HEED_ABI {

struct rep_batch_norm_config {
    index width = 0;
    index warm_up = 0;  // steps of layer norm alone
    index steps = 0;    // in which lambda then falls to 0
    double start = 1;   // lambda after the warm-up
    double momentum = 0.1;
    double epsilon = 1e-5;
};

namespace detail {

template <class T>
struct rep_batch_norm_parts : layer_facts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::rep_batch_norm<T>: T is float or double");
    static constexpr literal name{"rep_batch_norm"};
    using value = T;
    using config_type = rep_batch_norm_config;
    using parameters = rep_batch_norm_parameters<T>;
    using tape = rep_batch_norm_tape<T>;
    using passes = rep_batch_norm_passes<T>;
    using features = feature_statistics<T>;
    rep_batch_norm_config config_;
    running_statistics<T> running;
    double inference_lambda = 0;
    index step_ = 0;

    rep_batch_norm_parts() = default;
    explicit rep_batch_norm_parts(const rep_batch_norm_config& c) : config_(c) {
        const char* f = "rep_batch_norm";
        if (c.width <= 0) fail(f, {"width is ", c.width, ", needs at least 1"});
        check_axis(f, "width", c.width);
        if (c.warm_up < 0) fail(f, {"warm_up is ", c.warm_up, ", needs 0 or more"});
        if (c.steps < 0) fail(f, {"steps is ", c.steps, ", needs 0 or more"});
        if (!(c.start >= 0 && c.start <= 1)) fail(f, {"start is ", c.start, ", needs 0 to 1"});
        if (!(c.momentum >= 0 && c.momentum <= 1)) fail(f, {"momentum is ", c.momentum, ", needs 0 to 1"});
        check_epsilon<T>(f, c.epsilon);
        running = {constant_vector<T>(c.width, 0), constant_vector<T>(c.width, 1)};
    }
    parameters start(std::uint64_t) const {
        const auto norm = [&] {
            return layer_norm_parameters<T>{constant_vector<T>(config_.width, 1),
                                            constant_vector<T>(config_.width, 0)};
        };
        return {norm(), norm(), constant_vector<T>(1, 1)};
    }
    index input_width() const { return config_.width; }
    index output_width() const { return config_.width; }

    template <class... Options>
    static constexpr bool options() {
        return only_resources<Options...>();
    }
    double lambda_at(index step) const {
        if (step < config_.warm_up) return 1;
        const index left = config_.steps - (step - config_.warm_up);
        return left <= 0 ? 0
                         : config_.start * (static_cast<double>(left) / static_cast<double>(config_.steps));
    }

    void check_written(std::string_view f, const parameters& w, const char* what, const dense_rows<T>& to,
                       const dense_rows<const T>& x) const {
        passes::check_weights(f, w, running, config_.width);
        check_results<T>(f, w, {{what, to}},
                         {{"x", x},
                          {"running.mean", {running.mean.data(), 1, 1, config_.width}},
                          {"running.variance", {running.variance.data(), 1, 1, config_.width}}});
    }
    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&...) const {
        check_rows(f, r, config_.width, config_.width);
        check_written(f, w, "y", r.y, r.x);
    }
    // Inference.
    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const forward_rows<T>& r, tape*,
                     workspace& scratch, const Options&... options) const {
        if (!(inference_lambda >= 0 && inference_lambda <= 1))
            fail(f, {"inference_lambda is ", inference_lambda, ", needs 0 to 1"});
        call_rows taken(scratch);
        const features of(taken.take<T>(static_cast<std::size_t>(features::count * config_.width)),
                          config_.width);
        passes::recall(w, running, config_.epsilon, of);
        const index rows = inference_lambda > 0 ? r.x.rows() : 0;
        passes::write(r.y, r.x, w, inference_lambda, config_.epsilon, of,
                      statistics_of<T>(nullptr, taken, rows), device_of(options...));
    }
    // A training step with the lambda of step_; moves the running statistics.
    template <class... Options>
    void run_training(std::string_view f, const parameters& w, const forward_rows<T>& r, tape& kept,
                      workspace& scratch, const Options&... options) {
        if (r.x.rows() == 0) fail(f, {"x has no rows; a batch's statistics need at least 1"});
        const device_ref device = device_of(options...);
        kept.lambda = lambda_at(step_);
        kept.rows = r.x.rows();
        fit(kept.batch, features::count * config_.width);
        const features of(kept.batch.data(), config_.width);
        if (kept.lambda < 1)
            passes::measure(r.x, w, config_.epsilon, config_.momentum, of, running, device, scratch);
        passes::write(r.y, r.x, w, kept.lambda, config_.epsilon, of,
                      kept.layer.rows(kept.lambda > 0 ? r.x.rows() : 0), device);
    }

    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&...) const {
        check_rows(f, r, config_.width, config_.width);
        check_written(f, w, "dx", r.dx, r.x);
        check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"dy", r.dy}, {"x", r.x}});
        passes::check_tape(f, kept, r.x.rows(), config_.width);
    }
    // Through the batch's statistics, too.
    template <class... Options>
    void run_backward(std::string_view, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        if (r.x.rows() == 0) return;
        const device_ref device = device_of(options...);
        fit(kept.work, 3 * config_.width);
        T* const numbers = kept.work.data();
        if (kept.lambda > 0)
            passes::layer_backward(r.dx, r.dy, r.x, w, kept.lambda, kept.layer.rows(r.x.rows()), numbers, g,
                                   device, scratch);
        if (kept.lambda < 1)
            passes::batch_backward(r.dx, r.dy, r.x, w, kept.lambda,
                                   features(kept.batch.data(), config_.width), numbers, g, device, scratch);
    }
};

}  // namespace detail

template <class T>
class rep_batch_norm : public detail::layer_calls<rep_batch_norm<T>, detail::rep_batch_norm_parts<T>> {
    using parts = detail::rep_batch_norm_parts<T>;
    using calls = detail::layer_calls<rep_batch_norm<T>, parts>;
    friend calls;

public:
    using calls::calls;
    using parts::inference_lambda, parts::running, parts::lambda_at;
    using typename calls::tape;

    // Where training stands, and what lambda is there.
    index step() const { return this->step_; }
    void set_step(index step) {
        if (step < 0) detail::fail("rep_batch_norm::set_step", {"step is ", step, ", needs 0 or more"});
        this->step_ = step;
    }
    void advance() { ++this->step_; }
    double lambda() const { return lambda_at(this->step_); }

    // A training step, which moves the running statistics; without a tape it is inference.
    template <class X, class... Options>
    auto forward(const X& x, tape& kept, const Options&... options) {
        auto y = detail::rows_like(x, this->output_width());
        calls::template write<"::forward">(*this, detail::result_of<X>::view_of(y), x, nullptr, &kept,
                                           options...);
        return y;
    }
    template <class Y, class X, class... Options>
    void forward_into(Y&& y, const X& x, tape& kept, const Options&... options) {
        calls::template write<"::forward_into">(*this, std::forward<Y>(y), x, nullptr, &kept, options...);
    }
    using calls::forward_into;

    // The next linear layer (x -> x W + b) takes over what this one does at inference; it reads x then.
    // Exact but for rounding: W' = (weight / deviation + eta) W, b' = b + (bias - weight mean / deviation) W.
    // A bias is made where there is none. Needs lambda() and inference_lambda to be 0.
    void fold_into(projection_parameters<T>& next) const {
        constexpr const char* f = "rep_batch_norm::fold_into";
        const rep_batch_norm_config& c = this->config_;
        if (lambda() > 0)
            detail::fail(f, {"lambda is ", lambda(), " at step ", step(),
                             "; needs 0, which is reached at step ", c.warm_up + c.steps});
        if (!(inference_lambda == 0))
            detail::fail(f, {"inference_lambda is ", inference_lambda,
                             "; needs 0, a share of the layer norm does not fold"});
        parts::passes::check_weights(f, this->weights, running, c.width);
        const index outputs = next.weight.dimension(1);
        if (next.weight.dimension(0) != c.width)
            detail::fail(f, {"the projection has ", next.weight.dimension(0), " inputs, needs ", c.width});
        if (next.bias.size() > 0 && next.bias.dimension(0) != outputs)
            detail::fail(f, {"the projection's bias has ", next.bias.dimension(0), " entries, needs ",
                             outputs, ", or none"});
        if (next.bias.size() == 0) next.bias = detail::constant_vector<T>(outputs, 0);
        std::vector<double> bias(next.bias.data(), next.bias.data() + outputs);
        for (index i = 0; i < c.width; ++i) {
            const double by = static_cast<double>(this->weights.batch.weight(i)) /
                              std::sqrt(static_cast<double>(running.variance(i)) + c.epsilon);
            const double offset =
                static_cast<double>(this->weights.batch.bias(i)) - by * static_cast<double>(running.mean(i));
            for (index j = 0; j < outputs; ++j) {
                const double w = static_cast<double>(next.weight(i, j));
                bias[static_cast<std::size_t>(j)] += w * offset;
                next.weight(i, j) = static_cast<T>(w * (by + static_cast<double>(this->weights.eta(0))));
            }
        }
        for (index j = 0; j < outputs; ++j) next.bias(j) = static_cast<T>(bias[static_cast<std::size_t>(j)]);
    }

private:
    // Of a training step the layer changes.
    template <class... Options>
    void run_forward(std::string_view f, const typename parts::parameters& w,
                     const detail::forward_rows<T>& r, tape* kept, workspace& scratch,
                     const Options&... options) {
        this->run_training(f, w, r, *kept, scratch, options...);
    }
};

}  // namespace heed::inline HEED_ABI
