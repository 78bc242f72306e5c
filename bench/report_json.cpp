// SPDX-License-Identifier: MIT
// bench/report_json.cpp: everything measured, in SI units, null for what was not
#include <cstdio>
#include <ostream>

#include "report.hpp"

namespace heed_bench {
namespace {

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", unsigned(static_cast<unsigned char>(c)));
            out += escape;
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string number(double x) {
    if (!std::isfinite(x)) return "null";
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", x);
    return text;
}

// Members of one object, with the commas in the right places.
class object {
public:
    object(std::ostream& out, const char* indent) : out_(out), indent_(indent) { out_ << "{"; }
    object& text(const char* key, const std::string& value) { return raw(key, quoted(value)); }
    object& value(const char* key, double value) { return raw(key, number(value)); }
    object& raw(const char* key, const std::string& json) {
        out_ << (first_ ? "" : ",") << indent_ << '"' << key << "\": " << json;
        first_ = false;
        return *this;
    }

private:
    std::ostream& out_;
    const char* indent_;
    bool first_ = true;
};

void write_row(std::ostream& out, const group& g, const measured& m) {
    const shape& s = m.extent;
    object(out, " ")
        .text("group", g.title)
        .text("family", m.what->family)
        .text("variant", m.what->name)
        .raw("sweep", g.sweep ? "true" : "false")
        .value("batch", double(s.batch))
        .value("heads", double(s.heads))
        .value("kv_heads", double(s.kv_heads))
        .value("queries", double(s.queries))
        .value("keys", double(s.keys))
        .value("head_dim", double(s.head_dim))
        .value("seconds", m.seconds)
        .value("flops", m.flops)
        .value("bytes", m.bytes)
        .value("peak_flops_per_second", m.peak)
        .value("share_of_processor", m.processor)
        .value("share_of_peak", m.of_peak())
        .value("share_of_read_bandwidth", m.of_bandwidth())
        .value("speedup_over_naive", m.over_naive())
        .value("speedup_over_naive_native", m.over_native())
        .value("extra_bytes", m.extra_bytes)
        .value("error_ulp", m.error)
        .value("effective_keys", m.effective_keys);
    out << " }";
}

void write_quality_row(std::ostream& out, const quality_group& g, const quality_row& row) {
    object(out, " ")
        .text("variant", row.what->name)
        .text("exact", row.exact->name)
        .text("input", g.input == input_kind::text ? "text" : "noise")
        .value("batch", double(g.extent.batch))
        .value("heads", double(g.extent.heads))
        .value("positions", double(g.extent.keys))
        .value("head_dim", double(g.extent.head_dim))
        .value("seconds", row.seconds)
        .value("time_over_exact", row.over_exact())
        .value("relative_error_median", row.error.median)
        .value("relative_error_worst", row.error.worst)
        .value("kept_mass_median", row.mass.median)
        .value("kept_mass_least", row.mass.worst)
        .value("kept_keys", row.keys)
        .value("rows_compared", double(g.compared))
        .value("effective_keys", g.effective_keys)
        .value("share_of_processor", g.processor);
    out << " }";
}

}  // namespace

void write_json(std::ostream& out, const report& r) {
    object(out, "\n  ")
        .text("version", r.version)
        .text("cpu", r.cpu)
        .text("target", r.target)
        .text("compiler", r.compiler)
        .text("date", r.date)
        .value("threads", r.threads)
        .value("peak_flops_per_second", r.peak)
        .value("read_bytes_per_second", r.bandwidth)
        .text("text", r.text);
    out << ",\n  \"rows\": [";
    bool first = true;
    for (const group& g : r.groups)
        for (const measured& m : g.rows) {
            out << (first ? "\n    " : ",\n    ");
            first = false;
            write_row(out, g, m);
        }
    out << "\n  ],\n  \"quality\": [";
    first = true;
    for (const quality_group& g : r.quality)
        for (const quality_row& row : g.rows) {
            out << (first ? "\n    " : ",\n    ");
            first = false;
            write_quality_row(out, g, row);
        }
    out << "\n  ],\n  \"crossovers\": [";
    first = true;
    for (const crossover& c : crossovers(r)) {
        out << (first ? "\n    " : ",\n    ");
        first = false;
        object(out, " ")
            .text("variant", c.what->name)
            .text("overtakes", c.what->overtakes)
            .text("where", c.where == crossover::at       ? "at"
                           : c.where == crossover::before ? "before"
                                                          : "after")
            .value("length", c.length);
        out << " }";
    }
    out << "\n  ]\n}\n";
}

}  // namespace heed_bench
