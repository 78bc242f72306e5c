// SPDX-License-Identifier: MIT
// examples/language_model/transformer.hpp: a causal transformer over bytes, with any attention inside
//
//     x_0     = embedding[byte] (+ sinusoidal positions)
//     x_{i+1} = layer_i(x_i)                    pre-norm: x + attention(norm x), then x + feed_forward(norm
//     x) logits  = norm(x_n) W                     loss = mean of -log softmax(logits)[next byte]
//
// A variant is a type with: heads (the attention inside), rotary and sinusoidal (which positions it has), and
// options(config), the options of a call of its attention as a tuple.
//
// Memory: the inputs of the layers and their tapes, all kept from batch to batch.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <tuple>
#include <vector>

#include <heed/layers.hpp>
#include <heed/thread_pool.hpp>

#include "error.hpp"
#include "model.hpp"
#include "random.hpp"

namespace language_model {

template <class Heads>
index attention_parameters(const heed::attention_config& config) {
    return heed::parameter_count(heed::multi_head_attention<float, Heads>(config).weights);
}

// The feed-forward's features with which a layer has the parameters of one with exact attention and four
// times its width, to within 4 x (2 width + 1) for a multiple of 8.
template <class Heads>
index matched_hidden(const heed::attention_config& config) {
    const double width = static_cast<double>(config.width);
    const double over = static_cast<double>(attention_parameters<Heads>(config)) -
                        static_cast<double>(attention_parameters<heed::exact_heads>(
                            {.width = config.width, .heads = config.heads}));
    return std::max<index>(8, 8 * static_cast<index>(std::lround((4 * width - over / (2 * width + 1)) / 8)));
}

template <class Variant>
class transformer final : public model {
    using layer = heed::encoder_layer<float, typename Variant::heads>;
    using rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;  // (sequence, position, feature)
    using matrix = Eigen::Tensor<float, 2, Eigen::RowMajor>;
    using norm = heed::layer_norm<float>;
    using projection = heed::projection<float>;

public:
    transformer(const model_config& config, const heed::thread_pool& pool)
        : config_(config),
          pool_(pool),
          embedding_(symbols, config.width),
          norm_({.width = config.width}),
          to_symbols_({.inputs = config.width, .outputs = symbols, .bias = false}) {
        heed::attention_config attention{.width = config.width, .heads = config.heads};
        if (Variant::rotary) attention.rotary_positions = config.positions;
        if (config_.hidden == 0) config_.hidden = matched_hidden<typename Variant::heads>(attention);
        heed::encoder_config inside;
        inside.attention = attention;
        inside.feed_forward.width = config.width;
        inside.feed_forward.hidden = config_.hidden;
        inside.norm = heed::norm_place::before;
        // What the branches add keeps the size of x, however many there are.
        const float share = 1 / std::sqrt(2 * static_cast<float>(config.layers));
        for (index i = 0; i < config.layers; ++i) {
            layers_.emplace_back(inside, seed(static_cast<std::uint64_t>(i) + 1));
            scale(layers_.back().weights.attention.out, share);
            scale(layers_.back().weights.feed_forward.down, share);
            layer_gradients_.push_back(heed::zeros_like(layers_.back().weights));
        }
        generator random(seed(0));
        for (index i = 0; i < embedding_.size(); ++i)  // variance 1/2, as sinusoids have
            embedding_.data()[i] = static_cast<float>(std::sqrt(1.5) * (2 * random.uniform() - 1));
        to_symbols_.weights.weight.setZero();  // no byte is favoured at the start
        if (Variant::sinusoidal)
            positions_ = heed::sinusoidal_positions<float>(config.positions, config.width);

        embedding_gradient_ = heed::zeros_like(embedding_);
        norm_gradient_ = heed::zeros_like(norm_.weights);
        to_symbols_gradient_ = heed::zeros_like(to_symbols_.weights);
        append(list_, "embedding", embedding_, embedding_gradient_);
        for (std::size_t i = 0; i < layers_.size(); ++i)
            append(list_, "layers." + std::to_string(i), layers_[i].weights, layer_gradients_[i]);
        append(list_, "norm", norm_.weights, norm_gradient_);
        append(list_, "to_symbols", to_symbols_.weights, to_symbols_gradient_);
        inputs_.resize(layers_.size() + 1);
        tapes_.resize(layers_.size());
        streams_.resize(layers_.size());
    }

    const parameter_list& parameters() const override { return list_; }
    index hidden() const override { return config_.hidden; }

    judgement judge(const batch& b) override {
        forward(b);
        return score(b, false);
    }

    judgement learn(const batch& b) override {
        for (const parameter& p : list_) std::fill_n(p.gradient, p.size, 0.0f);
        forward(b);
        const judgement found = score(b, true);
        fit(d_normed_, b);
        fit(d_x_, b);
        fit(d_y_, b);
        to_symbols_.backward_into(d_normed_, logits_, normed_, to_symbols_gradient_, on_(), use_());
        norm_.backward_into(d_y_, d_normed_, inputs_.back(), norm_tape_, norm_gradient_, on_(), use_());
        for (std::size_t i = layers_.size(); i-- > 0;) {
            with_options([&](const auto&... options) {
                layers_[i].backward_into(d_x_, d_y_, inputs_[i], tapes_[i], layer_gradients_[i], options...);
            });
            std::swap(d_x_, d_y_);
        }
        for (index t = 0; t < b.tokens(); ++t) {
            float* to = embedding_gradient_.data() + b.inputs[static_cast<std::size_t>(t)] * config_.width;
            const float* from = d_y_.data() + t * config_.width;
            for (index f = 0; f < config_.width; ++f) to[f] += from[f];
        }
        return found;
    }

    void forget() override {
        for (auto& s : streams_) s = {};
        read_ = 0;
    }

    const float* read(const std::uint8_t* bytes, index count) override {
        if (read_ + count > config_.positions)
            throw error("a stream of " + std::to_string(read_ + count) + " bytes, the model was made for " +
                        std::to_string(config_.positions));
        rows x(1, count, config_.width), y(1, count, config_.width);
        embed(x, bytes, 1, count, read_);
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            with_options(
                [&](const auto&... options) { layers_[i].extend_into(y, x, streams_[i], options...); });
            std::swap(x, y);
        }
        read_ += count;
        rows last(1, 1, config_.width), normed(1, 1, config_.width);
        std::copy_n(x.data() + (count - 1) * config_.width, config_.width, last.data());
        norm_.forward_into(normed, last, on_(), use_());
        next_.resize(1, 1, symbols);
        to_symbols_.forward_into(next_, normed, on_(), use_());
        return next_.data();
    }

private:
    model_config config_;
    const heed::thread_pool& pool_;
    heed::workspace memory_;
    parameter_list list_;

    matrix embedding_, positions_;
    std::vector<layer> layers_;
    norm norm_;
    projection to_symbols_;

    matrix embedding_gradient_;
    std::vector<typename layer::parameters> layer_gradients_;
    typename norm::parameters norm_gradient_;
    typename projection::parameters to_symbols_gradient_;

    std::vector<rows> inputs_;  // of each layer, and what the last one gave
    std::vector<typename layer::tape> tapes_;
    typename norm::tape norm_tape_;
    rows normed_, logits_, d_normed_, d_x_, d_y_;

    std::vector<typename layer::stream> streams_;
    index read_ = 0;
    rows next_;

    // Another seed for each place that draws numbers.
    std::uint64_t seed(std::uint64_t place) const {
        return generator(generator(config_.seed).next() + place).next();
    }
    auto on_() const { return heed::on(pool_); }
    auto use_() { return heed::use(memory_); }

    template <class Call>
    void with_options(const Call& call) {
        std::apply([&](const auto&... options) { call(options..., on_(), use_()); },
                   Variant::options(config_));
    }
    static void scale(heed::projection_parameters<float>& p, float by) { p.weight = p.weight * by; }

    void fit(rows& x, const batch& b) const { x.resize(b.sequences, b.length, config_.width); }

    void embed(rows& x, const std::uint8_t* bytes, index sequences, index length, index first) const {
        for (index s = 0; s < sequences; ++s)
            for (index p = 0; p < length; ++p) {
                float* to = x.data() + (s * length + p) * config_.width;
                std::copy_n(embedding_.data() + bytes[s * length + p] * config_.width, config_.width, to);
                if (!Variant::sinusoidal) continue;
                const float* position = positions_.data() + (first + p) * config_.width;
                for (index f = 0; f < config_.width; ++f) to[f] += position[f];
            }
    }

    void forward(const batch& b) {
        for (rows& x : inputs_) fit(x, b);
        fit(normed_, b);
        logits_.resize(b.sequences, b.length, symbols);
        embed(inputs_[0], b.inputs.data(), b.sequences, b.length, 0);
        for (std::size_t i = 0; i < layers_.size(); ++i)
            with_options([&](const auto&... options) {
                layers_[i].forward_into(inputs_[i + 1], inputs_[i], tapes_[i], options...);
            });
        norm_.forward_into(normed_, inputs_.back(), norm_tape_, on_(), use_());
        to_symbols_.forward_into(logits_, normed_, on_(), use_());
    }

    // Loss and right answers; with `gradient` the logits become their own gradients.
    judgement score(const batch& b, bool gradient) {
        judgement found;
        for (index t = 0; t < b.tokens(); ++t) {
            const std::int32_t target = b.targets[static_cast<std::size_t>(t)];
            if (target < 0) continue;
            ++found.scored;
            if (gradient) continue;
            const float* row = logits_.data() + t * symbols;
            found.right += std::max_element(row, row + symbols) - row == target;
        }
        const double mean = gradient ? heed::cross_entropy(logits_, b.targets, logits_, on_(), use_())
                                     : heed::cross_entropy(logits_, b.targets, on_(), use_());
        found.loss_sum = mean * static_cast<double>(found.scored);
        return found;
    }
};

}  // namespace language_model
