// SPDX-License-Identifier: MIT
// examples/language_model/compare/request.cpp: its own options, and those passed on
#include "request.hpp"

#include <charconv>
#include <sstream>

namespace language_model {
namespace {

// What the comparison itself decides.
const char* const own_choice[] = {"attention",        "task",        "overfit", "checkpoint",
                                  "checkpoint-every", "resume",      "record",  "prompt",
                                  "generate",         "temperature", "help"};

const char* const every_attention = "exact cummax maxstate_super linear gated_delta sparse psa hybrid";

std::vector<std::string> split(std::string list, char by) {
    std::vector<std::string> parts;
    std::istringstream words(list);
    for (std::string part; std::getline(words, part, by);) parts.push_back(part);
    return parts;
}

}  // namespace

std::string request::usage() {
    return "usage: train_compare [options]\n\n"
           "Trains the language model once with each attention, all of one size and on the same bytes, and "
           "writes\n"
           "a table, charts and everything measured. About eight minutes on two cores.\n\n"
           "  --only A,B,…: these attentions (default: all; exact is what the others are measured against)\n"
           "  --out FOLDER: where report.md, report.html, results.json and the runs' records go (default: "
           "train-compare)\n"
           "  --task-steps N: steps on copy_first; recall gets twice as many; 0 leaves both out (default: "
           "600)\n"
           "  --help: this text\n\n"
           "All other options are those of train_language_model for the runs on the text: --steps, --text, "
           "--width,\n"
           "--layers, --heads, --length, --batch, --lr, --seed, --threads, --decode ….\n";
}

request request::parse(int count, const char* const* arguments) {
    request r;
    r.attentions = split(every_attention, ' ');
    std::vector<std::string> rest{arguments[0]};
    r.command = "scripts/run train-compare";
    for (int i = 1; i < count; ++i) {
        const std::string option = arguments[i];
        r.command += ' ' + option;
        const auto value = [&]() -> std::string {
            if (i + 1 == count) throw bad_argument(option + " needs a value behind it");
            return arguments[++i];
        };
        if (option == "--help") {
            r.help = true;
        } else if (option == "--out") {
            r.folder = value();
            r.command += ' ' + r.folder;
        } else if (option == "--only") {
            const std::string list = value();
            r.command += ' ' + list;
            r.attentions = split(list, ',');
            for (const std::string& name : r.attentions) {
                const char* const words[] = {"train_language_model", "--attention", name.c_str()};
                settings::parse(3, words);
            }
            if (r.attentions.empty()) throw bad_argument("--only needs at least one attention");
        } else if (option == "--task-steps") {
            const std::string words = value();
            r.command += ' ' + words;
            const auto [end, problem] =
                std::from_chars(words.data(), words.data() + words.size(), r.task_steps);
            if (problem != std::errc() || end != words.data() + words.size() || r.task_steps < 0)
                throw bad_argument("--task-steps got '" + words + "', needs a whole number from 0 on");
        } else {
            for (const char* name : own_choice)
                if (option == "--" + std::string(name))
                    throw bad_argument("train_compare decides " + option + " itself");
            rest.push_back(option);
        }
    }
    // Defaults of a comparison stand in front, so that what was typed comes after them and wins.
    r.passed = {"--steps", "300", "--decode", "256,1024,4096,16384", "--lr", "3e-3"};
    r.passed.insert(r.passed.end(), rest.begin() + 1, rest.end());
    std::vector<const char*> words{"train_language_model", "--attention", r.attentions.front().c_str()};
    for (const std::string& word : r.passed) words.push_back(word.c_str());
    r.text = settings::parse(static_cast<int>(words.size()), words.data());
    for (const std::string& name : r.attentions) {
        settings one = r.text;
        one.attention = name;
        one.check();
    }
    if (r.text.validate_every == 0) {
        r.text.validate_every = std::max<std::int64_t>(1, r.text.steps / 15);
        r.passed.insert(r.passed.end(), {"--validate-every", std::to_string(r.text.validate_every)});
    }
    return r;
}

}  // namespace language_model
