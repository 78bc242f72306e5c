// SPDX-License-Identifier: MIT
// tests/train/model.cpp: the whole model: its gradient, its stream, its size, its memory
#include <cmath>
#include <cstring>

#include "language_model/generate.hpp"
#include "language_model/model.hpp"
#include "language_model/random.hpp"
#include "language_model/source.hpp"
#include "support/allocation.hpp"
#include "support/catch.hpp"

using heed_test::contains;
using language_model::batch;
using language_model::generator;
using language_model::model;
using language_model::model_config;
using language_model::parameter;
using language_model::settings;

namespace {

settings small(const std::string& attention) {
    settings s;
    s.attention = attention;
    s.width = 32;
    s.length = 40;
    s.batch = 3;
    return s;
}
std::unique_ptr<model> make(const settings& s, const heed::thread_pool& pool) {
    return language_model::variant_named(s.attention).make(model_config(s), pool);
}
batch some_text(const settings& s) {
    batch b;
    b.resize(s.batch, s.length);
    generator random(8);
    std::string bytes(static_cast<std::size_t>(s.length) + 1, ' ');
    for (std::ptrdiff_t i = 0; i < s.batch; ++i) {
        for (char& c : bytes) c = static_cast<char>(random.below(256));
        b.set_text(i, bytes.data());
    }
    return b;
}
// Away from the start, where much is zero.
void shake(model& m) {
    generator random(9);
    for (const parameter& p : m.parameters())
        for (heed::index i = 0; i < p.size; ++i)
            p.values[i] += static_cast<float>(0.2 * random.uniform() - 0.1);
}

}  // namespace

TEST_CASE("the loss falls along the gradient as fast as the gradient says") {
    const heed::thread_pool pool(1);
    for (const language_model::variant& v : language_model::variants()) {
        CAPTURE(v.name);
        const settings s = small(v.name);
        const auto m = make(s, pool);
        shake(*m);
        const batch b = some_text(s);
        m->learn(b);
        std::vector<std::vector<float>> gradient;
        double squares = 0;
        for (const parameter& p : m->parameters()) {
            gradient.emplace_back(p.gradient, p.gradient + p.size);
            for (float g : gradient.back()) squares += static_cast<double>(g) * static_cast<double>(g);
        }
        const double h = 2e-2 / std::sqrt(squares);
        const auto move = [&](double by) {
            for (std::size_t t = 0; t < gradient.size(); ++t)
                for (std::size_t i = 0; i < gradient[t].size(); ++i)
                    m->parameters()[t].values[i] += static_cast<float>(by) * gradient[t][i];
        };
        move(h);
        const double above = m->judge(b).loss();
        move(-2 * h);
        const double below = m->judge(b).loss();
        // psa's choice of keys is held fixed by its gradient, and changes along the way.
        CHECK(std::abs((above - below) / (2 * h * squares) - 1) < (s.attention == "psa" ? 0.05 : 0.005));
    }
}

TEST_CASE("a model learns from the mean over scored bytes alone") {
    const heed::thread_pool pool(1);
    const settings s = small("exact");
    const auto m = make(s, pool);
    shake(*m);
    batch b = some_text(s);
    for (std::size_t t = 0; t < b.targets.size(); ++t)
        if (t % 3 != 0) b.targets[t] = batch::not_scored;
    const language_model::judgement learned = m->learn(b), judged = m->judge(b);
    CHECK(learned.scored == 40);
    CHECK(judged.scored == 40);
    CHECK(std::abs(learned.loss() - judged.loss()) < 1e-9);
    CHECK(judged.accuracy() >= 0);
    CHECK(judged.accuracy() <= 0.2);
    for (std::int32_t& target : b.targets) target = batch::not_scored;
    CHECK(m->learn(b).loss() == 0);
    for (const parameter& p : m->parameters())
        for (heed::index i = 0; i < p.size; ++i) REQUIRE(p.gradient[i] == 0);
}

TEST_CASE("before it has learned anything a model names every byte alike") {
    const heed::thread_pool pool(1);
    for (const language_model::variant& v : language_model::variants()) {
        const settings s = small(v.name);
        CHECK(std::abs(make(s, pool)->judge(some_text(s)).loss() - std::log(256.0)) < 1e-5);
    }
}

TEST_CASE("a stream says what the whole sequence says, in parts of any length") {
    const heed::thread_pool pool(1);
    for (const language_model::variant& v : language_model::variants()) {
        CAPTURE(v.name);
        settings s = small(v.name);
        s.batch = 1;
        const auto m = make(s, pool);
        shake(*m);
        const batch b = some_text(s);
        const double whole = m->judge(b).loss();
        for (const std::vector<int>& parts : {std::vector<int>(40, 1), std::vector<int>{1, 7, 32}}) {
            m->forget();
            double sum = 0;
            std::size_t at = 0, scored = 0;
            for (int part : parts) {
                const float* logits = m->read(b.inputs.data() + at, part);
                at += static_cast<std::size_t>(part);
                double total = 0;
                for (heed::index i = 0; i < language_model::symbols; ++i)
                    total += std::exp(static_cast<double>(logits[i]));
                batch one = b;  // this position alone
                for (std::size_t t = 0; t < one.targets.size(); ++t)
                    if (t + 1 != at) one.targets[t] = batch::not_scored;
                const double loss = std::log(total) - static_cast<double>(logits[b.targets[at - 1]]);
                CHECK(std::abs(loss - m->judge(one).loss()) < 2e-5);
                sum += loss;
                ++scored;
            }
            if (scored == 40) CHECK(std::abs(sum / 40 - whole) < 1e-5);
        }
        CHECK_THROWS_WITH(m->read(b.inputs.data(), 1), contains("the model was made for 40"));
        m->forget();
        CHECK_NOTHROW(m->read(b.inputs.data(), 1));
    }
}

TEST_CASE("all variants have the same number of parameters, to within two in a hundred") {
    const heed::thread_pool pool(1);
    for (std::int64_t width : {64, 128}) {
        settings s = small("exact");
        s.width = width;
        const auto wanted = static_cast<double>(count(make(s, pool)->parameters()));
        for (const language_model::variant& v : language_model::variants()) {
            CAPTURE(v.name, width);
            s.attention = v.name;
            CHECK(std::abs(static_cast<double>(count(make(s, pool)->parameters())) / wanted - 1) < 0.02);
        }
        s.hidden = 40;
        s.attention = "exact";
        CHECK(make(s, pool)->hidden() == 40);
    }
}

TEST_CASE("from the second batch on nothing is allocated") {
    const heed::thread_pool pool(1);
    for (const language_model::variant& v : language_model::variants()) {
        CAPTURE(v.name);
        const settings s = small(v.name);
        const auto m = make(s, pool);
        const batch b = some_text(s);
        m->learn(b);
        const support::allocation_watch watch;
        m->learn(b);
        CHECK(watch.count() == 0);
    }
}
