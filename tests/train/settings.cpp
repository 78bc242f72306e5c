// SPDX-License-Identifier: MIT
// tests/train/settings.cpp: the command line of the language model, and what a checkpoint remembers of it
#include <initializer_list>

#include "language_model/settings.hpp"
#include "support/catch.hpp"
#include "support/traps.hpp"

using heed_test::contains;
using language_model::settings;

namespace {

settings parsed(std::initializer_list<const char*> words) {
    std::vector<const char*> all{"train_language_model"};
    all.insert(all.end(), words);
    return settings::parse(static_cast<int>(all.size()), all.data());
}

}  // namespace

TEST_CASE("settings are read, and the others keep their defaults") {
    const settings s = parsed({"--width", "64", "--lr", "1e-3", "--overfit", "--attention", "linear",
                               "--text", "a", "--text", "b", "--decode", "16,4096", "--prompt", "a b"});
    CHECK(s.width == 64);
    CHECK(s.lr == 1e-3);
    CHECK(s.overfit);
    CHECK(s.attention == "linear");
    CHECK(s.texts == std::vector<std::string>{"a", "b"});
    CHECK(s.decode_lengths() == std::vector<std::int64_t>{16, 4096});
    CHECK(s.prompt == "a b");
    CHECK(s.layers == settings().layers);
    CHECK(s.given.count("width") == 1);
    CHECK(s.given.count("layers") == 0);
}

TEST_CASE("a bad argument is named, with what it needs") {
    const heed_test::without_traps quiet;
    using language_model::bad_argument;
    CHECK_THROWS_AS(parsed({"--nonsense"}), bad_argument);
    CHECK_THROWS_WITH(parsed({"--nonsense"}), contains("unknown option '--nonsense'"));
    CHECK_THROWS_WITH(parsed({"--width"}), contains("--width needs a value behind it"));
    CHECK_THROWS_WITH(parsed({"--width", "many"}),
                      contains("--width got 'many', needs a whole number from 8 to"));
    CHECK_THROWS_WITH(parsed({"--width", "12.5"}), contains("whole number"));
    CHECK_THROWS_WITH(parsed({"--layers", "0"}),
                      contains("--layers got '0', needs a whole number from 1 to 1000"));
    CHECK_THROWS_WITH(parsed({"--steps", "-1"}), contains("--steps got '-1'"));
    CHECK_THROWS_WITH(parsed({"--lr", "nan"}), contains("--lr got 'nan', needs a number from 0 to 10"));
    CHECK_THROWS_WITH(parsed({"--attention", "exac"}),
                      contains("--attention got 'exac', needs one of: exact cummax"));
    CHECK_THROWS_WITH(parsed({"--attention", "exact cummax"}), contains("needs one of"));
    CHECK_THROWS_WITH(parsed({"--task", "poetry"}), contains("needs one of: text copy_first recall"));
    CHECK_THROWS_WITH(parsed({"--width", "100", "--heads", "3"}),
                      contains("--width 100 does not divide into --heads 3"));
    CHECK_THROWS_WITH(parsed({"--resume"}), contains("--resume needs --checkpoint"));
    CHECK_THROWS_WITH(parsed({"--text", "a", "--task", "recall"}), contains("--text goes with --task text"));
    CHECK_THROWS_WITH(parsed({"--decode", "16,,32"}), contains("--decode got ''"));
    CHECK_THROWS_WITH(parsed({"--attention", "hybrid", "--heads", "16", "--width", "16"}),
                      contains("--width 16 over --heads 16 gives heads of 1, needs an even number"));
    CHECK_THROWS_WITH(parsed({"--generate", "20", "--prompt", ""}), contains("--prompt got ''"));
    CHECK_NOTHROW(parsed({"--prompt", ""}));
    CHECK_THROWS_WITH(parsed({"--text", "a\nb"}), contains("line break"));
    CHECK_THROWS_WITH(parsed({"--decode", "0"}), contains("--decode got '0'"));
}

TEST_CASE("--help names every setting") {
    const std::string usage = settings::usage();
    settings any;
    language_model::each_setting(
        any, [&](const std::string& name, auto&, auto, const char* meaning, language_model::remembered) {
            CHECK_THAT(usage, contains("--" + name + ": " + meaning));
        });
}

TEST_CASE("a configuration brings back what makes a run what it is, and nothing of its process") {
    const settings made = parsed({"--width",
                                  "96",
                                  "--heads",
                                  "3",
                                  "--lr",
                                  "0.0012345678901234567",
                                  "--attention",
                                  "psa",
                                  "--steps",
                                  "77",
                                  "--threads",
                                  "2",
                                  "--seed",
                                  "5",
                                  "--text",
                                  "a b",
                                  "--text",
                                  "c",
                                  "--checkpoint-every",
                                  "7",
                                  "--validate-every",
                                  "11",
                                  "--generate",
                                  "5"});
    settings resumed = parsed({"--checkpoint", "c", "--resume"});
    resumed.adopt(made.configuration(), "c");
    CHECK(resumed.configuration() == made.configuration());
    CHECK(resumed.width == 96);
    CHECK(resumed.lr == made.lr);
    CHECK(resumed.attention == "psa");
    CHECK(resumed.steps == 77);
    CHECK(resumed.texts == std::vector<std::string>{"a b", "c"});
    CHECK(resumed.checkpoint_every == 7);
    CHECK(resumed.validate_every == 11);
    CHECK(resumed.threads == 1);
    CHECK(resumed.generate == 0);
    CHECK(resumed.checkpoint == "c");
}

TEST_CASE("what says how far a run goes may be given anew") {
    const settings made =
        parsed({"--steps", "77", "--text", "a", "--checkpoint-every", "7", "--validate-every", "11"});
    settings resumed = parsed({"--checkpoint", "c", "--resume", "--steps", "200", "--text", "b", "--text",
                               "d", "--checkpoint-every", "8", "--validate-every", "0"});
    resumed.adopt(made.configuration(), "c");
    CHECK(resumed.steps == 200);  // the default, but given
    CHECK(resumed.texts == std::vector<std::string>{"b", "d"});
    CHECK(resumed.checkpoint_every == 8);
    CHECK(resumed.validate_every == 0);
}

TEST_CASE("what goes together is asked of the settings that come out") {
    const settings made = parsed({"--width", "96", "--heads", "3"});
    settings same = parsed({"--checkpoint", "c", "--resume", "--heads", "3"});  // 3 heads of the default: no
    CHECK_NOTHROW(same.adopt(made.configuration(), "c"));
    const settings task = parsed({"--task", "recall"});
    settings with_text = parsed({"--checkpoint", "c", "--resume", "--text", "a"});
    CHECK_THROWS_WITH(with_text.adopt(task.configuration(), "c"), contains("--text goes with --task text"));
}

TEST_CASE("what was given must agree with the configuration") {
    const settings made = parsed({"--width", "96", "--attention", "cummax"});
    settings same = parsed({"--width", "96"});
    CHECK_NOTHROW(same.adopt(made.configuration(), "c"));
    CHECK(same.attention == "cummax");

    settings other = parsed({"--width", "64"});
    const std::string before = other.configuration();
    CHECK_THROWS_WITH(other.adopt(made.configuration(), "the checkpoint c"),
                      contains("the checkpoint c was made with --width 96, this run asks for 64"));
    CHECK(other.configuration() == before);
    settings variant = parsed({"--attention", "exact"});
    CHECK_THROWS_WITH(variant.adopt(made.configuration(), "c"), contains("--attention cummax"));
    CHECK_THROWS_WITH(variant.adopt("depth 3\n", "c"), contains("not known here: depth"));
    CHECK_THROWS_WITH(variant.adopt("width\n", "c"), contains("without a value"));
    CHECK_THROWS_WITH(variant.adopt("width 7\n", "c"), contains("needs a whole number from 8"));
}
