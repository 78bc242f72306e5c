// SPDX-License-Identifier: MIT
// examples/language_model/record.hpp: what a run measured, as lines that programs read
//
//     what,values…            setting,width,128      loss,steps,tokens,seconds,nats
//
// One line a fact, written at once, so that a run that is stopped leaves what it has found.
#pragma once

#include <charconv>
#include <fstream>
#include <string>

#include "error.hpp"

namespace language_model {

class record {
public:
    // "": nothing is kept.
    explicit record(const std::string& path) : path_(path) {
        if (!path.empty()) file_.open(path);
        check();
    }

    template <class... Values>
    void line(const std::string& what, const Values&... values) {
        if (path_.empty()) return;
        file_ << what;
        ((file_ << ',' << written(values)), ...);
        file_ << std::endl;
        check();
    }

private:
    std::string path_;
    std::ofstream file_;

    void check() const {
        if (!path_.empty() && !file_) throw error("cannot write the record " + path_);
    }
    static const std::string& written(const std::string& words) { return words; }
    static const char* written(const char* words) { return words; }
    template <class Number>
    static std::string written(Number value) {
        char digits[64];
        return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
    }
};

}  // namespace language_model
