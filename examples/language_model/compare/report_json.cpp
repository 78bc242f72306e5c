// SPDX-License-Identifier: MIT
// examples/language_model/compare/report_json.cpp: everything measured, in SI units; null for what was not
#include <cstdio>
#include <ostream>

#include "claims.hpp"
#include "report.hpp"

namespace language_model {
namespace {

std::string number(double x) {
    if (!std::isfinite(x)) return "null";
    char text[40];
    std::snprintf(text, sizeof text, "%.9g", x);
    return text;
}
std::string quoted(const std::string& words) {
    std::string out = "\"";
    for (char c : words) {
        if (c == '"' || c == '\\') out += '\\';
        out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
    return out + '"';
}
// ", " between the items of a list, nothing before the first.
class separator {
public:
    const char* next() { return first_ ? (first_ = false, "") : ", "; }

private:
    bool first_ = true;
};

void write(std::ostream& out, const char* name, const std::vector<judged>& list) {
    out << ",\n     \"" << name << "\": [";
    separator comma;
    for (const judged& j : list)
        out << comma.next() << "{\"steps\": " << number(j.steps) << ", \"tokens\": " << number(j.tokens)
            << ", \"seconds\": " << number(j.seconds) << ", \"loss\": " << number(j.loss)
            << ", \"accuracy\": " << number(j.accuracy) << "}";
    out << "]";
}

}  // namespace

void write_json(std::ostream& out, const comparison& c) {
    out << "{\"heed\": " << quoted(c.version) << ", \"cpu\": " << quoted(c.cpu)
        << ", \"compiler\": " << quoted(c.compiler) << ", \"date\": " << quoted(c.date)
        << ", \"command\": " << quoted(c.command) << ",\n \"width\": " << number(c.width)
        << ", \"layers\": " << number(c.layers) << ", \"heads\": " << number(c.heads)
        << ", \"length\": " << number(c.length) << ", \"batch\": " << number(c.batch)
        << ", \"steps\": " << number(c.steps) << ", \"threads\": " << number(c.threads)
        << ", \"epoch_bytes\": " << number(c.epoch_bytes) << ",\n \"runs\": [";
    separator comma;
    for (const run_result& r : c.runs) {
        out << comma.next() << "\n    {\"attention\": " << quoted(r.attention)
            << ", \"parameters\": " << number(r.parameters) << ", \"hidden\": " << number(r.hidden)
            << ", \"tokens_per_second\": " << number(r.rate)
            << ", \"share_of_peak\": " << number(r.attention == "exact" ? r.of_peak : not_measured)
            << ", \"resident_bytes\": " << number(r.resident) << ", \"kept_bytes\": " << number(r.kept);
        write(out, "text", r.text);
        write(out, "copy_first", r.copy_first);
        write(out, "recall", r.recall);
        out << ",\n     \"decode\": [";
        separator between;
        for (const auto& [length, seconds] : r.decode)
            out << between.next() << "{\"after\": " << number(length) << ", \"seconds\": " << number(seconds)
                << "}";
        out << "]}";
    }
    out << "],\n \"claims\": [";
    separator between;
    for (const claim& t : claims(c))
        out << between.next() << "\n    {\"claim\": " << quoted(t.words)
            << ", \"measured\": " << quoted(t.measured) << ", \"cummax\": " << quoted(t.cummax)
            << ", \"exact\": " << quoted(t.exact) << ", \"verdict\": " << quoted(t.verdict) << "}";
    out << "]}\n";
}

}  // namespace language_model
