// SPDX-License-Identifier: MIT
// tests/train/optimizer.cpp: AdamW against its formula in double, and its learning rate
#include <cmath>
#include <cstring>
#include <limits>

#include "language_model/error.hpp"
#include "language_model/optimizer.hpp"
#include "language_model/random.hpp"
#include "support/catch.hpp"

using heed_test::contains;
using language_model::adamw;
using language_model::adamw_options;
using language_model::generator;
using language_model::parameter_list;

namespace {

// A matrix, a vector, and a matrix larger than a part of the update.
struct problem {
    std::vector<std::vector<float>> values, gradients;
    parameter_list list;

    explicit problem(std::uint64_t seed) {
        generator random(seed);
        const std::vector<std::vector<heed::index>> shapes = {{5, 7}, {11}, {37, 101}};
        for (const auto& shape : shapes) {
            std::size_t size = 1;
            for (heed::index extent : shape) size *= static_cast<std::size_t>(extent);
            values.emplace_back(size);
            gradients.emplace_back(size);
            for (float& w : values.back()) w = static_cast<float>(2 * random.uniform() - 1);
        }
        for (std::size_t i = 0; i < shapes.size(); ++i)
            list.push_back({"t" + std::to_string(i), shapes[i], values[i].data(), gradients[i].data(),
                            static_cast<heed::index>(values[i].size())});
    }
    void draw(std::uint64_t seed, double size) {
        generator random(seed);
        for (auto& g : gradients)
            for (float& x : g) x = static_cast<float>(size * (2 * random.uniform() - 1));
    }
};

}  // namespace

TEST_CASE("AdamW is its formula") {
    for (double clip : {0.0, 0.5, 1e6}) {
        CAPTURE(clip);
        problem p(1);
        adamw_options o;
        o.clip = clip;
        o.decay = 0.3;
        adamw optimizer(p.list, o);
        const heed::thread_pool pool(1);
        std::vector<std::vector<double>> w, m, v;
        for (const auto& values : p.values) {
            w.emplace_back(values.begin(), values.end());
            m.emplace_back(values.size());
            v.emplace_back(values.size());
        }
        for (int t = 1; t <= 5; ++t) {
            p.draw(static_cast<std::uint64_t>(t), t == 3 ? 10 : 0.01);
            const double lr = 0.01 * t;
            double squares = 0;
            for (const auto& g : p.gradients)
                for (float x : g) squares += static_cast<double>(x) * static_cast<double>(x);
            const double norm = std::sqrt(squares);
            CHECK(std::abs(optimizer.step(lr, pool) - norm) < 1e-12 * norm);
            const double factor = clip > 0 ? std::fmin(1, clip / norm) : 1;
            for (std::size_t i = 0; i < w.size(); ++i)
                for (std::size_t j = 0; j < w[i].size(); ++j) {
                    const double g = static_cast<double>(p.gradients[i][j]) * factor;
                    m[i][j] = o.b1 * m[i][j] + (1 - o.b1) * g;
                    v[i][j] = o.b2 * v[i][j] + (1 - o.b2) * g * g;
                    const double decay = p.list[i].shape.size() > 1 ? o.decay : 0;
                    w[i][j] -= lr * (m[i][j] / (1 - std::pow(o.b1, t)) /
                                         (std::sqrt(v[i][j] / (1 - std::pow(o.b2, t))) + o.epsilon) +
                                     decay * w[i][j]);
                }
            for (std::size_t i = 0; i < w.size(); ++i)
                for (std::size_t j = 0; j < w[i].size(); ++j)
                    REQUIRE(std::abs(static_cast<double>(p.values[i][j]) - w[i][j]) < 2e-6);
        }
        CHECK(optimizer.steps() == 5);
    }
}

TEST_CASE("threads change no bit of an update") {
    problem one(2), three(2);
    adamw first(one.list, {}), second(three.list, {});
    const heed::thread_pool alone(1), pool(3);
    for (std::uint64_t t = 0; t < 4; ++t) {
        one.draw(t, 1);
        three.draw(t, 1);
        CHECK(first.step(0.01, alone) == second.step(0.01, pool));
    }
    CHECK(one.values == three.values);
}

TEST_CASE("a gradient that is not finite changes nothing") {
    problem p(3);
    adamw optimizer(p.list, {});
    const heed::thread_pool pool(1);
    p.draw(1, 1);
    optimizer.step(0.01, pool);
    const auto before = p.values;
    std::vector<float> moments;
    for (const auto& t : optimizer.moments()) moments.insert(moments.end(), t.values, t.values + t.size);
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        p.draw(2, 1);
        p.gradients[1][4] = bad;
        CHECK_THROWS_WITH(optimizer.step(0.01, pool), contains("gradient of step 1 is not finite"));
        CHECK(p.values == before);
        CHECK(optimizer.steps() == 1);
        std::vector<float> now;
        for (const auto& t : optimizer.moments()) now.insert(now.end(), t.values, t.values + t.size);
        CHECK(now == moments);
    }
}

TEST_CASE("the learning rate rises in a line and falls as half a cosine to a tenth") {
    using language_model::learning_rate_at;
    const auto near = [](double x, double wanted) { return std::abs(x - wanted) < 1e-12; };
    CHECK(near(learning_rate_at(0, 100, 10, 2), 0.2));
    CHECK(near(learning_rate_at(9, 100, 10, 2), 2));
    CHECK(near(learning_rate_at(10, 100, 10, 2), 2));
    CHECK(near(learning_rate_at(55, 100, 10, 2), 1.1));
    CHECK(near(learning_rate_at(100, 100, 10, 2), 0.2));
    CHECK(near(learning_rate_at(1000, 100, 10, 2), 0.2));
    CHECK(near(learning_rate_at(0, 100, 0, 2), 2));
    CHECK(near(learning_rate_at(3, 3, 10, 2), 0.8));
    for (std::uint64_t step = 10; step < 99; ++step)
        CHECK(learning_rate_at(step + 1, 100, 10, 2) < learning_rate_at(step, 100, 10, 2));
}
