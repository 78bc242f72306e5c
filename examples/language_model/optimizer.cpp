// SPDX-License-Identifier: MIT
// examples/language_model/optimizer.cpp: the update, tensor by tensor
#include "optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "error.hpp"

namespace language_model {
namespace {

using numbers = Eigen::Map<Eigen::ArrayXf>;

// f(i) for every tensor, on the pool's threads; tensors share nothing.
template <class F>
void for_each_tensor(const heed::thread_pool& pool, std::size_t count, const F& f) {
    pool.parallelFor(static_cast<std::ptrdiff_t>(count), 0, [&](std::ptrdiff_t first, std::ptrdiff_t last) {
        for (std::ptrdiff_t i = first; i < last; ++i) f(static_cast<std::size_t>(i));
    });
}

}  // namespace

adamw::adamw(parameter_list parameters, const adamw_options& options)
    : parameters_(std::move(parameters)), options_(options) {
    for (const parameter& p : parameters_) {
        means_.emplace_back(static_cast<std::size_t>(p.size));
        squares_.emplace_back(static_cast<std::size_t>(p.size));
    }
    norms_.resize(parameters_.size());
}

double adamw::step(double learning_rate, const heed::thread_pool& pool) {
    for_each_tensor(pool, parameters_.size(), [&](std::size_t i) {
        const parameter& p = parameters_[i];
        norms_[i] = numbers(p.gradient, p.size).cast<double>().square().sum();
    });
    double sum = 0;
    for (double norm : norms_) sum += norm;
    const double norm = std::sqrt(sum);
    if (!std::isfinite(norm))
        throw error("the gradient of step " + std::to_string(steps_) +
                    " is not finite; nothing was changed. A smaller --lr may help");

    ++steps_;
    const adamw_options& o = options_;
    const double t = static_cast<double>(steps_);
    const float shrink = static_cast<float>(o.clip > 0 && norm > o.clip ? o.clip / norm : 1);
    const float b1 = static_cast<float>(o.b1), b2 = static_cast<float>(o.b2);
    const float rate = static_cast<float>(learning_rate / (1 - std::pow(o.b1, t)));
    const float root = static_cast<float>(1 / std::sqrt(1 - std::pow(o.b2, t)));
    const float epsilon = static_cast<float>(o.epsilon);
    for_each_tensor(pool, parameters_.size(), [&](std::size_t i) {
        const parameter& p = parameters_[i];
        const float keep = static_cast<float>(p.shape.size() > 1 ? 1 - learning_rate * o.decay : 1);
        // In parts that stay in the first-level cache between the three lines.
        constexpr index part = 1024;
        for (index first = 0; first < p.size; first += part) {
            const index n = std::min(part, p.size - first);
            numbers w(p.values + first, n), g(p.gradient + first, n);
            numbers m(means_[i].data() + first, n), v(squares_[i].data() + first, n);
            m = b1 * m + ((1 - b1) * shrink) * g;
            v = b2 * v + ((1 - b2) * shrink * shrink) * g.square();
            w = keep * w - rate * m / (v.sqrt() * root + epsilon);
        }
    });
    return norm;
}

parameter_list adamw::moments() {
    parameter_list list;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
        const parameter& p = parameters_[i];
        list.push_back({"mean." + p.name, p.shape, means_[i].data(), nullptr, p.size});
        list.push_back({"square." + p.name, p.shape, squares_[i].data(), nullptr, p.size});
    }
    return list;
}

double learning_rate_at(std::uint64_t step, std::uint64_t steps, std::uint64_t warmup, double highest) {
    if (step < warmup) return highest * static_cast<double>(step + 1) / static_cast<double>(warmup);
    if (step >= steps) return highest / 10;
    const double share = static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
    return highest * (0.55 + 0.45 * std::cos(std::numbers::pi * share));
}

}  // namespace language_model
