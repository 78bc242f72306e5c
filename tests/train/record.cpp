// SPDX-License-Identifier: MIT
// tests/train/record.cpp: what a run measured, and how one that goes on writes behind it
#include "language_model/record.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "language_model/error.hpp"
#include "support/catch.hpp"

using heed_test::contains;
using language_model::record;

namespace {

const std::string path = "train_record_test.csv";

struct without_file {
    ~without_file() { std::filesystem::remove(path); }
};
std::string contents() {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::string& text) { std::ofstream(path) << text; }

const std::string settings = "setting,attention,exact\nsetting,hidden,64\n";
const std::string two_steps = "loss,1,100,0.5,5.5\nloss,2,200,1.25,5\nvalidation,2,200,1.25,5.1,0.25\n";

}  // namespace

TEST_CASE("a record starts anew, a line a fact") {
    const without_file cleanup;
    write("of an earlier run\n");
    record kept(path);
    kept.line("setting", "attention", std::string("exact"));
    kept.line("loss", 1, 100, 0.5, 5.5);
    CHECK(contents() == "setting,attention,exact\nloss,1,100,0.5,5.5\n");
    CHECK(kept.seconds_before() == 0);
}

TEST_CASE("a run that goes on keeps its first part, and writes nothing twice") {
    const without_file cleanup;
    // Stopped in the middle of a line, two steps behind its checkpoint.
    write(settings + two_steps + "loss,3,300,2,4\nvalidation,3,300,2,4.2,0.5\nloss,4,40");
    {
        record kept(path, 2);
        CHECK(kept.seconds_before() == 1.25);
        CHECK(contents() == settings + two_steps);
        kept.line("setting", "attention", "exact");
        kept.line("setting", "hidden", 64);
        kept.line("setting", "target", "avx2");
        kept.line("loss", 3, 300, 2.5, 4);
    }
    const std::string all = settings + two_steps + "setting,target,avx2\nloss,3,300,2.5,4\n";
    CHECK(contents() == all);
    {
        record kept(path, 3);  // nothing to take out
        CHECK(kept.seconds_before() == 2.5);
        kept.line("speed", 1, 2);
        kept.line("speed", 1, 2);  // measured twice
    }
    CHECK(contents() == all + "speed,1,2\nspeed,1,2\n");
}

TEST_CASE("a run that goes on without a record of its first part begins one") {
    const without_file cleanup;
    record kept(path, 7);
    kept.line("loss", 8, 800, 1, 2);
    CHECK(contents() == "loss,8,800,1,2\n");
    CHECK(kept.seconds_before() == 0);
}

TEST_CASE("a record that cannot be written is an error, and none is none") {
    CHECK_THROWS_WITH(record("/nowhere/at/all.csv"), contains("cannot write the record /nowhere/at/all.csv"));
    CHECK_THROWS_WITH(record("/nowhere/at/all.csv", 3), contains("cannot write the record"));
    CHECK_THROWS_AS(record("."), language_model::error);
    record(std::string()).line("loss", 1);
    record(std::string(), 3).line("loss", 1);
}
