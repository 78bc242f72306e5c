// SPDX-License-Identifier: MIT
// examples/language_model/settings.cpp: reading the table of settings from words, and writing it
#include "settings.hpp"

#include <charconv>
#include <sstream>
#include <string_view>

namespace language_model {
namespace {

template <class Number>
Number number(const std::string& option, std::string_view words, range<Number> allowed) {
    Number value{};
    const auto [end, problem] = std::from_chars(words.data(), words.data() + words.size(), value);
    if (problem != std::errc() || end != words.data() + words.size() ||
        !(value >= allowed.least && value <= allowed.most)) {
        std::ostringstream needs;
        needs << option << " got '" << words << "', needs a "
              << (std::is_integral_v<Number> ? "whole number" : "number") << " from " << allowed.least
              << " to " << allowed.most;
        throw bad_argument(needs.str());
    }
    return value;
}

void read(const std::string& option, std::int64_t& to, std::string_view words, whole_range allowed) {
    to = number(option, words, allowed);
}
void read(const std::string& option, double& to, std::string_view words, real_range allowed) {
    to = number(option, words, allowed);
}
void read(const std::string& option, std::string& to, std::string_view words, const char* choices) {
    bool found = *choices == '\0';
    std::istringstream list(choices);
    for (std::string choice; list >> choice;) found = found || choice == words;
    if (!found) throw bad_argument(option + " got '" + std::string(words) + "', needs one of: " + choices);
    to = words;
}
template <class Nothing>
void read(const std::string&, std::vector<std::string>& to, std::string_view words, const Nothing&) {
    to.emplace_back(words);
}
template <class Nothing>
void read(const std::string& option, bool& to, std::string_view words, const Nothing&) {
    if (words != "0" && words != "1")
        throw bad_argument(option + " got '" + std::string(words) + "', needs 0 or 1");
    to = words == "1";
}

// Shortest text that reads back as the same number.
template <class Number>
std::string written(Number value) {
    char digits[64];
    return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}
std::string written(bool value) { return value ? "1" : "0"; }
std::string written(const std::string& words) { return words; }
std::string written(const std::vector<std::string>&) { return {}; }

// The lines of a configuration that say what a setting is: of a list one for each word.
template <class Member>
std::string lines_of(const std::string& name, const Member& member) {
    return name + ' ' + written(member) + '\n';
}
std::string lines_of(const std::string& name, const std::vector<std::string>& list) {
    std::string lines;
    for (const std::string& words : list) lines += name + ' ' + words + '\n';
    return lines;
}

// Attentions that turn queries and keys by their positions, two features at a time.
bool turns_pairs(const std::string& attention) {
    return attention == "exact" || attention == "sparse" || attention == "psa" || attention == "hybrid";
}

// The default of a setting, for --help.
template <class Member, class Allowed>
std::string range_text(const Member& value, const Allowed& allowed) {
    if constexpr (std::is_same_v<Allowed, const char*>) {
        const std::string choices = *allowed == '\0' ? "" : "one of: " + std::string(allowed) + "; ";
        return " (" + choices + (value.empty() ? "default: none)" : "default: " + value + ")");
    } else if constexpr (requires { allowed.least; }) {
        return " (default: " + written(value) + ")";
    } else {
        return {};
    }
}

}  // namespace

settings settings::parse(int count, const char* const* arguments) {
    settings s;
    for (int i = 1; i < count; ++i) {
        const std::string option = arguments[i];
        bool known = false;
        each_setting(s, [&](const std::string& name, auto& member, auto allowed, const char*, remembered) {
            if (option != "--" + name) return;
            known = true;
            s.given.insert(name);
            if constexpr (std::is_same_v<decltype(member), bool&>) {
                member = true;
            } else {
                if (i + 1 == count) throw bad_argument(option + " needs a value behind it");
                read(option, member, arguments[++i], allowed);
            }
        });
        if (!known) throw bad_argument("unknown option '" + option + "'");
    }
    if (s.resume && s.checkpoint.empty()) throw bad_argument("--resume needs --checkpoint FILE");
    if (s.generate > 0 && s.prompt.empty())
        throw bad_argument("--prompt got '', needs a byte at least for --generate to go on from");
    for (const std::string& path : s.texts)
        if (path.find('\n') != std::string::npos)
            throw bad_argument("--text got a name with a line break, which a checkpoint cannot hold");
    if (!s.resume) s.check();  // the others wait for what the checkpoint says
    s.decode_lengths();
    return s;
}

void settings::check() const {
    if (width % heads != 0)
        throw bad_argument("--width " + std::to_string(width) + " does not divide into --heads " +
                           std::to_string(heads));
    if (turns_pairs(attention) && width / heads % 2 != 0)
        throw bad_argument("--attention " + attention +
                           " turns pairs of features by their positions: --width " + std::to_string(width) +
                           " over --heads " + std::to_string(heads) + " gives heads of " +
                           std::to_string(width / heads) + ", needs an even number");
    if (!texts.empty() && task != "text")
        throw bad_argument("--text goes with --task text; --task " + task + " makes its own sequences");
}

std::string settings::usage() {
    std::ostringstream text;
    text
        << "usage: train_language_model [options]\n\n"
           "Trains a byte-level language model on the CPU with heed's layers, and shows what it learned.\n\n";
    const settings defaults;
    each_setting(defaults, [&](const std::string& name, const auto& member, auto allowed, const char* meaning,
                               remembered) {
        text << "  --" << name << ": " << meaning << range_text(member, allowed) << '\n';
    });
    return text.str();
}

std::string settings::configuration() const {
    std::string lines;
    each_setting(*this, [&](const std::string& name, const auto& member, auto, const char*, remembered kept) {
        if (kept != remembered::not_at_all) lines += lines_of(name, member);
    });
    return lines;
}

void settings::adopt(const std::string& configuration, const std::string& where) {
    std::istringstream lines(configuration);
    settings taken = *this;
    if (given.count("text") == 0) taken.texts.clear();
    for (std::string line; std::getline(lines, line);) {
        const std::size_t space = line.find(' ');
        if (space == std::string::npos) throw error(where + " has a setting without a value: " + line);
        const std::string key = line.substr(0, space), value = line.substr(space + 1);
        bool known = false;
        each_setting(taken,
                     [&](const std::string& name, auto& member, auto allowed, const char*, remembered kept) {
                         if (name != key || kept == remembered::not_at_all) return;
                         known = true;
                         const bool named = given.count(name) != 0;
                         if (named && kept == remembered::unless_given) return;
                         if (named && written(member) != value)
                             throw error(where + " was made with --" + name + " " + value +
                                         ", this run asks for " + written(member));
                         read("--" + name + " in " + where, member, value, allowed);
                     });
        if (!known) throw error(where + " has a setting that is not known here: " + key);
    }
    taken.check();
    *this = std::move(taken);
}

std::vector<std::int64_t> settings::decode_lengths() const {
    std::vector<std::int64_t> lengths;
    std::string_view list = decode;
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        lengths.push_back(number("--decode", list.substr(0, comma), whole_range{1, 1 << 22}));
        if (comma == list.npos) break;
        list.remove_prefix(comma + 1);
    }
    return lengths;
}

}  // namespace language_model
