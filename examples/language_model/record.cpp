// SPDX-License-Identifier: MIT
// examples/language_model/record.cpp: the file, and what stays of it when a run goes on
#include "record.hpp"

#include <filesystem>
#include <sstream>

#include "error.hpp"
#include "file.hpp"

namespace language_model {
namespace {

// Of a line about a step: which, and the seconds of training up to it. Other lines are about none.
struct place {
    std::uint64_t step = 0;
    double seconds = 0;
};
place place_of(const std::string& line) {
    place p;
    std::istringstream fields(line);
    std::string what, step, tokens, seconds;
    for (std::string* field : {&what, &step, &tokens, &seconds}) std::getline(fields, *field, ',');
    if (what != "loss" && what != "validation") return p;
    std::from_chars(step.data(), step.data() + step.size(), p.step);
    std::from_chars(seconds.data(), seconds.data() + seconds.size(), p.seconds);
    return p;
}

}  // namespace

record::record(const std::string& path) : path_(path) { open(std::ios::trunc); }

record::record(const std::string& path, std::uint64_t steps) : path_(path) {
    std::error_code nothing_there;
    if (!std::filesystem::is_regular_file(path, nothing_there)) {
        open(std::ios::trunc);
        return;
    }
    const std::string before = bytes_of_file("record", path);
    std::string stays;
    for (std::size_t at = 0, end; (end = before.find('\n', at)) != std::string::npos; at = end + 1) {
        const std::string line = before.substr(at, end - at);
        const place p = place_of(line);
        if (p.step > steps) continue;
        if (p.step > 0) seconds_before_ = p.seconds;
        if (line.rfind("setting,", 0) == 0) settings_.insert(line);
        stays += line + '\n';
    }
    open(stays == before ? std::ios::app : std::ios::trunc);
    if (stays == before) return;
    file_ << stays << std::flush;
    check();
}

void record::open(std::ios::openmode how) {
    if (!path_.empty()) file_.open(path_, std::ios::out | how);
    check();
}

void record::write(const std::string& words) {
    if (settings_.count(words) != 0) return;
    file_ << words << std::endl;
    check();
}

void record::check() const {
    if (!path_.empty() && !file_) throw error("cannot write the record " + path_);
}

}  // namespace language_model
