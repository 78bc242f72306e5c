// SPDX-License-Identifier: MIT
// examples/language_model/record.hpp: what a run measured, as lines that programs read
//
//     what,values…            setting,width,128      loss,steps,tokens,seconds,nats
//
// One line a fact, written at once, so that a run that is stopped leaves what it has found. A run that goes
// on writes behind what is there: the steps that it does anew, and a last line that was cut off, are taken
// out, and what stands there already, settings above all, is not written again.
#pragma once

#include <charconv>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>

namespace language_model {

class record {
public:
    // "": nothing is kept. What the file holds is lost. Throws error where it cannot be written.
    explicit record(const std::string& path);

    // Goes on behind what the file says of the first `steps` steps.
    record(const std::string& path, std::uint64_t steps);

    // Of training, up to the last step that the file says something of.
    double seconds_before() const { return seconds_before_; }

    template <class... Values>
    void line(const std::string& what, const Values&... values) {
        if (path_.empty()) return;
        std::string words = what;
        ((words += ',', words += written(values)), ...);
        write(words);
    }

private:
    std::string path_;
    std::ofstream file_;
    std::set<std::string> settings_;  // lines that stand there
    double seconds_before_ = 0;

    void open(std::ios::openmode how);
    void write(const std::string& words);
    void check() const;
    static const std::string& written(const std::string& words) { return words; }
    static const char* written(const char* words) { return words; }
    template <class Number>
    static std::string written(Number value) {
        char digits[64];
        return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
    }
};

}  // namespace language_model
