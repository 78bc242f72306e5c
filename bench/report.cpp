// SPDX-License-Identifier: MIT
// bench/report.cpp: the columns, and the table on the terminal
#include "report.hpp"

#include <iomanip>
#include <ostream>

#include "format.hpp"

namespace heed_bench {

const std::vector<column>& columns() {
    static const std::vector<column> all{
        {"time/token", "time of one call over all heads, divided by the query positions",
         [](const measured& m) { return duration(m.seconds / double(m.extent.tokens())); }},
        {"GFLOP/s", "useful work only: pairs a mask hides are not counted, nor are exp and options",
         [](const measured& m) { return three_digits(m.flops / m.seconds / 1e9); }},
        {"of peak", "share of this machine's multiply-add rate, measured right before and after the row",
         [](const measured& m) { return percent(m.of_peak()); }},
        {"of read", "share of this machine's memory read rate, counting each input and the output once",
         [](const measured& m) { return percent(m.of_bandwidth()); }},
        {"vs naive",
         "how much faster than the three-line Eigen softmax over all pairs, compiled with the same flags",
         [](const measured& m) { return times(m.over_naive()); }},
        {"vs native", "the same against that softmax compiled with -O3 -march=native",
         [](const measured& m) { return times(m.over_native()); }},
        {"memory", "extra memory of a call, beside inputs and output",
         [](const measured& m) { return std::isfinite(m.seconds) ? byte_count(m.extra_bytes) : "-"; }},
        {"error", "largest distance from a double computation, in units of 2^-23 of the row's largest value",
         [](const measured& m) { return fixed(m.error, 1) + (std::isfinite(m.error) ? " ulp" : ""); }},
        {"keys",
         "how many keys share a row's weight (1 / sum of squared weights, median): the input is no noise",
         [](const measured& m) { return three_digits(m.effective_keys); }},
    };
    return all;
}

std::string heading(const report& r) {
    return "heed " + r.version + " on " + r.cpu + ", target " + r.target + ", " + std::to_string(r.threads) +
           (r.threads == 1 ? " thread, " : " threads, ") + r.compiler;
}

std::vector<const variant*> shown(const report& r) {
    const auto is_in = [&](const variant& v) {
        const auto shows = [&](const auto& groups) {
            for (const auto& g : groups)
                for (const auto& row : g.rows)
                    if (row.what == &v) return true;
            return false;
        };
        return shows(r.groups) || shows(r.quality);
    };
    std::vector<const variant*> all;
    for (const variant& v : variants())
        if (is_in(v)) all.push_back(&v);
    return all;
}

std::string disturbance(const report& r) {
    int rows = 0, disturbed = 0;
    double least = 1;
    for (const group& g : r.groups)
        for (const measured& m : g.rows) {
            ++rows;
            disturbed += m.processor < undisturbed;
            least = std::min(least, m.processor);
        }
    if (disturbed == 0) return {};
    return "Other programs shared the processor during " + std::to_string(disturbed) + " of " +
           std::to_string(rows) + " rows (this one had as little as " + percent(least) +
           "): long times are too long, run again on a quiet machine.";
}

std::string limits_line(const report& r) {
    return three_digits(r.peak / 1e9) + " GFLOP/s of float multiply-adds, " +
           three_digits(r.bandwidth / 1e9) + " GB/s read from memory";
}

namespace {

constexpr int name_width = 16;
constexpr int width = 11;

}  // namespace

void write_table_head(std::ostream& out, const report& r) {
    out << heading(r) << '\n';
    if (std::isfinite(r.peak)) out << "limits  " << limits_line(r) << " (measured in this run)\n";
    out << "input   q, k, v made from " << r.text << "\n";
}

void write_table(std::ostream& out, const group& g) {
    out << '\n' << g.title << '\n' << std::left << std::setw(name_width) << "" << std::right;
    for (const column& c : columns()) out << std::setw(width) << c.title;
    out << '\n';
    for (const measured& m : g.rows) {
        out << std::left << std::setw(name_width) << "  " + m.what->name << std::right;
        for (const column& c : columns()) out << std::setw(width) << c.value(m);
        out << '\n';
    }
    out << std::flush;
}

void write_table_foot(std::ostream& out, const report& r) {
    if (const std::string note = disturbance(r); !note.empty()) out << '\n' << note << '\n';
    if (const auto found = crossovers(r); !found.empty()) {
        out << '\n';
        for (const crossover& c : found) out << sentence(c) << '\n';
    }
    if (!r.groups.empty()) {
        out << '\n';
        for (const column& c : columns()) out << std::left << std::setw(20) << c.title << c.meaning << '\n';
    }
    write_quality_foot(out, r);
    out << '\n';
    for (const variant* v : shown(r)) out << std::left << std::setw(20) << v->name << v->formula << '\n';
}

}  // namespace heed_bench
