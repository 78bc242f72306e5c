// SPDX-License-Identifier: MIT
// tests/train/runs.cpp: a run is a function of its settings: threads, stops and resumes change no bit
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <heed/core/error.hpp>

#include "language_model/error.hpp"
#include "language_model/generate.hpp"
#include "language_model/trainer.hpp"
#include "support/catch.hpp"
#include "support/traps.hpp"

using heed_test::contains;
using language_model::parameter;
using language_model::settings;
using language_model::trainer;

namespace {

const std::string path = "train_runs_test.bin";
struct without_file {
    ~without_file() { std::filesystem::remove(path); }
};

settings small(const std::string& attention) {
    settings s;
    s.attention = attention;
    s.width = 32;
    s.length = 32;
    s.batch = 4;
    s.steps = 6;
    s.warmup = 2;
    return s;
}
// All parameters, as they stand in memory.
std::string bits(trainer& run) {
    std::string all;
    for (const parameter& p : run.trained().parameters())
        all.append(reinterpret_cast<const char*>(p.values), static_cast<std::size_t>(p.size) * sizeof(float));
    return all;
}
std::string file_bytes() {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void steps(trainer& run, int count) {
    for (int i = 0; i < count; ++i) run.step();
}
settings resumed(const settings& s) {
    settings again = s;
    again.checkpoint = path;
    again.resume = true;
    return again;
}

}  // namespace

TEST_CASE("threads change no bit of a run") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    for (const language_model::variant& v : language_model::variants()) {
        CAPTURE(v.name);
        settings s = small(v.name);
        trainer one(s);
        s.threads = 2;
        trainer two(s);
        steps(one, 3);
        steps(two, 3);
        CHECK(bits(one) == bits(two));
        CHECK(one.validate().loss() == two.validate().loss());
    }
}

TEST_CASE("a seed decides a run") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    settings s = small("exact");
    trainer one(s), same(s);
    s.seed = 2;
    trainer other(s);
    steps(one, 2);
    steps(same, 2);
    steps(other, 2);
    CHECK(bits(one) == bits(same));
    CHECK(bits(one) != bits(other));
}

TEST_CASE("the loss falls, on bytes that were not learned from too") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    settings s = small("exact");
    s.steps = 60;
    s.length = 64;
    trainer run(s);
    const double before = run.validate().loss(), first = run.step().loss();
    steps(run, 58);
    CHECK(run.step().loss() < first - 2);
    CHECK(run.validate().loss() < before - 2);
}

TEST_CASE("a resumed run has the bits of one that was not interrupted") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    const without_file cleanup;
    for (const std::string attention : {"exact", "hybrid", "maxstate_super"})
        for (const std::string task : {"text", "recall"}) {
            CAPTURE(attention, task);
            settings s = small(attention);
            s.task = task;
            s.checkpoint = path;
            trainer whole(s);
            steps(whole, 6);
            {
                trainer first(s);
                steps(first, 3);
                first.save_checkpoint();
                steps(first, 2);  // lost: they came after the checkpoint
            }
            trainer second(resumed(s));
            CHECK(second.steps() == 3);
            steps(second, 3);
            CHECK(bits(second) == bits(whole));
            whole.save_checkpoint();
            const std::string wanted = file_bytes();
            second.save_checkpoint();
            CHECK(file_bytes() == wanted);  // moments and the generator too
        }
}

TEST_CASE("a run goes on with the settings of its checkpoint") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    const without_file cleanup;
    settings s = small("linear");
    s.checkpoint = path;
    trainer first(s);
    steps(first, 2);
    first.save_checkpoint();
    const std::vector<const char*> words{
        "train_language_model", "--checkpoint", path.c_str(), "--resume", "--steps", "6"};
    trainer second(settings::parse(static_cast<int>(words.size()), words.data()));
    CHECK(second.asked().attention == "linear");
    CHECK(second.asked().width == 32);
    steps(first, 2);
    steps(second, 2);
    CHECK(bits(first) == bits(second));
}

TEST_CASE("a run goes on to the steps it was asked for at first") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    const without_file cleanup;
    settings s = small("cummax");
    s.steps = 40;  // the learning rate follows them
    s.checkpoint = path;
    trainer whole(s);
    steps(whole, 6);
    {
        trainer first(s);
        steps(first, 4);
        first.save_checkpoint();
    }
    const auto resumed_with = [](std::vector<const char*> more) {
        std::vector<const char*> words{"train_language_model", "--checkpoint", path.c_str(), "--resume"};
        words.insert(words.end(), more.begin(), more.end());
        return settings::parse(static_cast<int>(words.size()), words.data());
    };
    trainer second(resumed_with({}));
    CHECK(second.asked().steps == 40);
    CHECK(second.steps() == 4);
    steps(second, 2);
    CHECK(bits(second) == bits(whole));
    CHECK(trainer(resumed_with({"--steps", "50"})).asked().steps == 50);
    CHECK(trainer(resumed_with({"--steps", "4"})).asked().steps == 4);
    CHECK_THROWS_WITH(trainer(resumed_with({"--steps", "3"})),
                      contains("is that of 4 steps; --steps got 3, needs no fewer"));
}

TEST_CASE("a checkpoint that cannot be written is known before the first step") {
    settings s = small("cummax");
    s.checkpoint = "/nowhere/at/all/c.bin";
    CHECK_THROWS_WITH(trainer(s), contains("cannot write the checkpoint /nowhere/at/all/c.bin"));
    s.steps = 0;  // nothing to save
    CHECK_NOTHROW(trainer(s));
}

TEST_CASE("settings refuse the heads that a model would, and no others") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    for (const language_model::variant& v : language_model::variants())
        for (const std::int64_t heads : {8, 16}) {
            CAPTURE(v.name, heads);
            settings s = small(v.name);
            s.layers = 1;
            s.width = 16;
            s.heads = heads;
            bool refused = false, made = true;
            try {
                s.check();
            } catch (const language_model::bad_argument&) {
                refused = true;
            }
            try {
                trainer(s).step();
            } catch (const heed::error&) {
                made = false;
            }
            CHECK(refused == !made);
        }
}

TEST_CASE("a checkpoint of another run is refused, and named") {
    const without_file cleanup;
    settings s = small("exact");
    s.checkpoint = path;
    trainer(s).save_checkpoint();
    const std::string whole = file_bytes();

    settings other = resumed(s);
    other.attention = "cummax";
    other.given = {"attention"};
    CHECK_THROWS_WITH(trainer(other), contains("was made with --attention exact, this run asks for cummax"));
    other = resumed(s);
    other.width = 64;
    other.given = {"width"};
    CHECK_THROWS_WITH(trainer(other), contains("was made with --width 32, this run asks for 64"));

    // The model itself is asked too: shapes of a file that agrees in nothing else.
    settings wider = small("exact");
    wider.hidden = 40;
    trainer run(wider);
    const std::string before = bits(run);
    CHECK_THROWS_WITH(language_model::checkpoint_file(path).restore(run.trained().parameters()),
                      contains("the model has"));
    CHECK(bits(run) == before);

    const std::string text = "train_runs_test.txt";
    std::ofstream(text) << std::string(2000, 'x');
    other = resumed(s);
    other.texts = {text};
    other.given = {"text"};
    CHECK_THROWS_WITH(trainer(other), contains("learned from another text"));
    std::filesystem::remove(text);

    std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() / 2);
    CHECK_THROWS_WITH(trainer(resumed(s)), contains("cut off or damaged"));
    std::filesystem::remove(path);
    CHECK_THROWS_WITH(trainer(resumed(s)), contains("cannot read the checkpoint"));
}

TEST_CASE("what a model says follows from its seed and temperature") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    trainer run(small("exact"));
    steps(run, 2);
    const auto say = [&](double temperature, std::uint64_t seed) {
        std::string text;
        language_model::generate(run.trained(), "abc", 20, temperature, language_model::generator(seed),
                                 [&](char c) { text += c; });
        return text;
    };
    CHECK(say(1, 1).size() == 20);
    CHECK(say(1, 1) == say(1, 1));
    CHECK(say(1, 1) != say(1, 2));
    CHECK(say(0, 1) == say(0, 2));
    CHECK_THROWS_WITH(
        language_model::generate(run.trained(), "", 1, 1, language_model::generator(1), [](char) {}),
        contains("a prompt needs one byte at least"));

    std::vector<float> logits(256, -100.0f);
    logits[65] = 1;
    logits[66] = 0;
    language_model::generator random(3);
    int first = 0;
    for (int i = 0; i < 10000; ++i) {
        const int byte = language_model::choose(logits.data(), 0.5, random);
        REQUIRE((byte == 65 || byte == 66));
        first += byte == 65;
    }
    CHECK(std::abs(first / 10000.0 - 1 / (1 + std::exp(-2.0))) < 0.015);
    CHECK(language_model::choose(logits.data(), 0, random) == 65);
}
