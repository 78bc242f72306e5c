// SPDX-License-Identifier: MIT
// tests/train/report.cpp: records come back as results, and verdicts follow one rule
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <sstream>

#include "language_model/compare/claims.hpp"
#include "language_model/compare/report.hpp"
#include "language_model/compare/request.hpp"
#include "language_model/error.hpp"
#include "language_model/record.hpp"
#include "support/catch.hpp"

using heed_test::contains;
using language_model::comparison;
using language_model::record;
using language_model::request;
using language_model::run_result;

namespace {

const std::string path = "train_report_test.csv";

run_result result(const std::string& name, double rate, double loss, double recall) {
    run_result r;
    r.attention = name;
    r.words = "words of " + name;
    r.target = "avx512";
    r.parameters = 1000;
    r.hidden = 64;
    r.rate = rate;
    r.of_peak = 0.5;
    r.resident = 1e6;
    r.text = {{10, 1000, 1, 4, 0.1}, {20, 2000, 2, loss, 0.4}};
    r.recall = {{5, 50, 1, 1, recall}};
    r.decode = {{16, 1e-5}, {4096, 3e-4}};
    return r;
}
comparison two() {
    comparison c;
    c.version = "0.1.0";
    c.cpu = "a <fast> one";
    c.compiler = "g++";
    c.date = "2020-02-02";
    c.texts = "a.txt";
    c.text_bytes = 1100;
    c.epoch_bytes = 1000;
    c.width = 64;
    c.layers = 2;
    c.heads = 4;
    c.length = 10;
    c.batch = 10;
    c.steps = 20;
    c.runs = {result("exact", 1000, 2, 0.9), result("cummax", 1200, 2.2, 0.3)};
    return c;
}
std::string written(void (*write)(std::ostream&, const comparison&), const comparison& c) {
    std::ostringstream out;
    write(out, c);
    return out.str();
}
std::string verdict_of(const comparison& c, const std::string& measured) {
    for (const language_model::claim& t : language_model::claims(c))
        if (t.measured.find(measured) != std::string::npos) return t.verdict;
    return "none";
}
request asked(std::initializer_list<const char*> words) {
    std::vector<const char*> all{"train_compare"};
    all.insert(all.end(), words);
    return request::parse(static_cast<int>(all.size()), all.data());
}

}  // namespace

TEST_CASE("a record comes back as a result") {
    {
        record kept(path);
        kept.line("setting", "attention", "linear");
        kept.line("setting", "words", "sums, of keys");
        kept.line("setting", "parameters", 123456);
        kept.line("loss", 1, 10, 0.5, 3.25);
        kept.line("validation", 5, 1000, 0.25, 2.5, 0.125);
        kept.line("validation", 10, 2000, 0.5, 2.25, 0.25);
        kept.line("speed", 4000.5, 1e9, 1e11, 0.01);
        kept.line("memory", 1 << 20, 4096);
        kept.line("decode", 16, 1.5e-5);
    }
    run_result r;
    language_model::add_record(r, path, "text");
    language_model::add_record(r, path, "recall");
    std::filesystem::remove(path);
    CHECK(r.attention == "linear");
    CHECK(r.words == "sums, of keys");
    CHECK(r.parameters == 123456);
    CHECK(r.rate == 4000.5);
    CHECK(r.resident == 1 << 20);
    CHECK(r.kept == 4096);
    REQUIRE(r.text.size() == 2);
    CHECK(r.loss() == 2.25);
    CHECK(r.text[1].tokens == 2000);
    CHECK(r.decode_after(16) == 1.5e-5);
    CHECK(std::isnan(r.decode_after(17)));
    CHECK(r.recall.size() == 2);
    CHECK(r.copy_first.empty());
    CHECK(std::isnan(run_result::last_accuracy(r.copy_first)));
    CHECK(std::abs(r.fall_per_epoch(500) - (std::log(256.0) - 2.25) / 4) < 1e-12);
    CHECK_THROWS_WITH(language_model::add_record(r, path, "text"),
                      contains("cannot read the record " + path));
    CHECK_THROWS_WITH(record("/nowhere/r.csv"), contains("cannot write the record /nowhere/r.csv"));
}

TEST_CASE("a claim is held against what was measured") {
    comparison c = two();
    CHECK(verdict_of(c, "tokens/s") == "held in part: 20.0 % better, not 40.2 %");
    CHECK(verdict_of(c, "seconds for an epoch") == "held in part: 16.7 % better, not 30.0 %");
    CHECK(verdict_of(c, "memory of the whole") == "did not hold: no difference");
    CHECK(verdict_of(c, "memory kept") == "none");
    CHECK(verdict_of(c, "fall of the loss") == "did not hold: 5.6 % worse");
    CHECK(verdict_of(c, "recall") == "did not hold: 66.7 % worse");
    c.runs[1].rate = 1500;
    CHECK(verdict_of(c, "tokens/s") == "held: 50.0 % better");
    c.runs.pop_back();
    CHECK(language_model::claims(c).empty());
}

TEST_CASE("a comparison is written in three forms") {
    const comparison c = two();
    const std::string markdown = written(language_model::write_markdown, c);
    CHECK_THAT(markdown, contains("| cummax | 1000 | 2.200 | 40.0 % | 1200 | 1.20x |"));
    CHECK_THAT(markdown,
               contains("20 steps of 10 sequences of 10 bytes from a.txt (1100 bytes, the last tenth to "
                        "judge by): 2.0 epochs"));
    CHECK_THAT(markdown, contains("exact attention trains at 50.0 % of the multiply-add peak"));
    CHECK_THAT(markdown, contains("| 18,500 against 13,200 tokens/s | tokens/s in training | 1200 | 1000 |"));
    const std::string page = written(language_model::write_html, c);
    CHECK_THAT(page, contains("a &lt;fast&gt; one"));
    CHECK_THAT(page, contains("words of cummax"));
    CHECK_THAT(page, contains("</html>"));
    CHECK(page.find("<svg") != page.rfind("<svg"));
    CHECK(page.find("nan") == std::string::npos);
    const std::string json = written(language_model::write_json, c);
    CHECK_THAT(json, contains("\"attention\": \"cummax\""));
    CHECK_THAT(json, contains("\"kept_bytes\": null"));
    CHECK_THAT(json, contains("{\"after\": 4096, \"seconds\": 0.0003}"));
    CHECK(std::count(json.begin(), json.end(), '{') == std::count(json.begin(), json.end(), '}'));
    CHECK(std::count(json.begin(), json.end(), '[') == std::count(json.begin(), json.end(), ']'));
    // Nothing was measured: the tables still stand.
    comparison empty = two();
    empty.runs = {run_result()};
    CHECK_NOTHROW(written(language_model::write_markdown, empty));
    CHECK_NOTHROW(written(language_model::write_html, empty));
    CHECK_THAT(written(language_model::write_json, empty), contains("\"parameters\": null"));
}

TEST_CASE("what is compared is asked for in words") {
    using language_model::bad_argument;
    const request all = asked({});
    CHECK(all.attentions.size() == 8);
    CHECK(all.text.steps == 300);
    const request some =
        asked({"--only", "cummax,exact", "--steps", "30", "--width", "64", "--task-steps", "0"});
    CHECK(some.attentions == std::vector<std::string>{"cummax", "exact"});
    CHECK(some.text.steps == 30);
    CHECK(some.text.width == 64);
    CHECK(some.text.validate_every == 2);
    CHECK(some.task_steps == 0);
    CHECK(some.command ==
          "scripts/run train-compare --only cummax,exact --steps 30 --width 64 --task-steps 0");
    CHECK(asked({"--help"}).help);
    CHECK_THROWS_AS(asked({"--only", "exact,fast"}), bad_argument);
    CHECK_THROWS_WITH(asked({"--only", "exact,fast"}), contains("--attention got 'fast'"));
    CHECK_THROWS_WITH(asked({"--only", ""}), contains("at least one"));
    CHECK_THROWS_WITH(asked({"--out"}), contains("--out needs a value"));
    CHECK_THROWS_WITH(asked({"--task-steps", "few"}), contains("--task-steps got 'few'"));
    CHECK_THROWS_WITH(asked({"--task", "recall"}), contains("train_compare decides --task itself"));
    CHECK_THROWS_WITH(asked({"--heads", "16", "--width", "16"}), contains("needs an even number"));
    CHECK_NOTHROW(asked({"--only", "cummax,linear", "--heads", "16", "--width", "16"}));
    CHECK_THROWS_WITH(asked({"--only", "cummax,hybrid", "--heads", "16", "--width", "16"}),
                      contains("--attention hybrid turns pairs of features"));
    CHECK_THROWS_WITH(asked({"--width", "7"}), contains("--width got '7'"));
    CHECK_THROWS_WITH(asked({"--widht", "64"}), contains("unknown option '--widht'"));
}
