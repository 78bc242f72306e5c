// SPDX-License-Identifier: MIT
// bench/report_quality.cpp: time against error: the table on the terminal, the chart and tables of the page
#include <algorithm>
#include <iomanip>
#include <ostream>

#include "chart.hpp"
#include "format.hpp"
#include "report.hpp"

namespace heed_bench {
namespace {

std::string ratio(double x) { return three_digits(x) + "x"; }

// Rounded down: 100 % is all of it.
std::string mass(double share) {
    return std::isfinite(share) ? fixed(std::floor(1e4 * share + 1e-9) / 100, 2) + " %" : "-";
}

const char* name_of(input_kind input) { return input == input_kind::text ? "text" : "white noise"; }

std::string spoken(const quality_row& row, const quality_group& g) {
    std::string text = row.what->name + ", " + name_of(g.input) + ": " + ratio(row.over_exact()) + " of " +
                       row.exact->name + "'s time, error " + relative(row.error.median) + " (worst " +
                       relative(row.error.worst) + ")";
    if (std::isfinite(row.mass.median)) text += ", mass kept " + mass(row.mass.median);
    return text;
}

// A shape's groups follow one another: the text, then the noise.
std::vector<std::vector<const quality_group*>> by_shape(const report& r) {
    std::vector<std::vector<const quality_group*>> all;
    for (const quality_group& g : r.quality) {
        if (all.empty() || !(all.back()[0]->extent == g.extent)) all.emplace_back();
        all.back().push_back(&g);
    }
    return all;
}

constexpr int colours = 8;
constexpr int name_width = 20;
constexpr int width = 13;

std::string positions(const shape& s) {
    return std::to_string(s.heads) + " heads, " + std::to_string(s.keys) +
           " positions, D=" + std::to_string(s.head_dim);
}

scatter chart_of(const std::vector<const quality_group*>& groups) {
    scatter c{"Relative error of the median row",
              positions(groups[0]->extent) +
                  "; left is faster, down is closer; filled: made from the text, hollow: white noise; errors "
                  "below 1e-04 stand at 1e-04",
              "time over the exact variant's",
              ratio,
              relative,
              1e-4,
              {}};
    int colour = 0;
    for (const variant& v : variants()) {
        dots found{v.name, {}, {}};
        bool is_exact = false;
        for (const quality_group* g : groups)
            for (const quality_row& row : g->rows)
                if (row.what == &v && std::isfinite(row.error.median)) {
                    found.points.push_back(
                        {row.over_exact(), row.error.median, g->input == input_kind::noise, spoken(row, *g)});
                    is_exact = row.what == row.exact;
                }
        if (found.points.empty()) continue;
        found.css = is_exact ? "eigen" : "s" + std::to_string(colour++ % colours);
        c.groups.push_back(std::move(found));
    }
    return c;
}

}  // namespace

const std::vector<quality_column>& quality_columns() {
    static const std::vector<quality_column> all{
        {"time/token", "time of one call over all heads, divided by the query positions",
         [](const quality_row& q, const shape& s) { return duration(q.seconds / double(s.tokens())); }},
        {"over exact", "that time over the time of the exact variant above, run in turn on the same input",
         [](const quality_row& q, const shape&) { return ratio(q.over_exact()); }},
        {"error",
         "length of a row's difference from the exact row in double, over the exact row's length; the median",
         [](const quality_row& q, const shape&) { return relative(q.error.median); }},
        {"worst error", "the same of the worst row compared",
         [](const quality_row& q, const shape&) { return relative(q.error.worst); }},
        {"mass kept", "share of a row's exact softmax weight on the keys that the variant keeps; the median",
         [](const quality_row& q, const shape&) { return mass(q.mass.median); }},
        {"least mass", "the same of the row that keeps least; - where a variant keeps no single keys",
         [](const quality_row& q, const shape&) { return mass(q.mass.worst); }},
        {"keys kept", "share of the exact variant's (query, key) pairs that it keeps",
         [](const quality_row& q, const shape&) { return percent(q.keys); }},
    };
    return all;
}

std::string quality_title(const quality_group& g) {
    return positions(g.extent) + ", " + (g.input == input_kind::text ? "made from the text" : "white noise") +
           ": half of the rows rest on " + three_digits(g.effective_keys) + " keys or fewer";
}

std::vector<std::string> quality_notes(const report& r) {
    std::size_t compared = 0;
    double processor = 1;
    for (const quality_group& g : r.quality) {
        compared = std::max(compared, g.compared);
        processor = std::min(processor, g.processor);
    }
    std::vector<std::string> notes{
        "An error of 1 is what answering zeros would give. The exact variant stands beside the others: its "
        "error "
        "is float's own.",
        std::to_string(compared) +
            " rows are compared, from the first query to the last; early queries have few keys, and most "
            "variants "
            "keep all of those.",
        "On white noise rows are means over most of their keys: no choice of keys holds much of their "
        "weight, and "
        "what is left out weighs much beside rows so short.",
        "A distance from softmax says nothing of a model that was trained with the variant, as those with "
        "linear "
        "attention are."};
    if (processor < undisturbed)
        notes.push_back("Other programs shared the processor (this one had as little as " +
                        percent(processor) + "): ratios of times are rough.");
    return notes;
}

void write_quality_table(std::ostream& out, const quality_group& g) {
    out << "\nTime against error: " << quality_title(g) << '\n'
        << std::left << std::setw(name_width) << "" << std::right;
    for (const quality_column& c : quality_columns()) out << std::setw(width) << c.title;
    out << '\n';
    for (const quality_row& row : g.rows) {
        out << std::left << std::setw(name_width) << (row.what == row.exact ? "  " : "    ") + row.what->name
            << std::right;
        for (const quality_column& c : quality_columns()) out << std::setw(width) << c.value(row, g.extent);
        out << '\n';
    }
    out << std::flush;
}

void write_quality_foot(std::ostream& out, const report& r) {
    if (r.quality.empty()) return;
    out << "\nTime against error:\n";
    for (const quality_column& c : quality_columns())
        out << std::left << std::setw(20) << c.title << c.meaning << '\n';
    for (const std::string& note : quality_notes(r)) out << note << '\n';
}

void write_quality_html(std::ostream& out, const report& r) {
    if (r.quality.empty()) return;
    out << "<h2>Time against error</h2>\n";
    for (const std::string& note : quality_notes(r)) out << "<p class=\"soft\">" << escaped(note) << "</p>\n";
    out << "<div class=\"charts\">\n";
    for (const auto& groups : by_shape(r)) out << svg(chart_of(groups));
    out << "</div>\n";
    for (const quality_group& g : r.quality) {
        out << "<h3>" << escaped(quality_title(g))
            << "</h3>\n<div class=\"table\"><table><thead><tr><th>variant</th>";
        for (const quality_column& c : quality_columns())
            out << "<th title=\"" << escaped(c.meaning) << "\">" << c.title << "</th>";
        out << "</tr></thead>\n<tbody>\n";
        for (const quality_row& row : g.rows) {
            out << (row.what == row.exact ? "<tr class=\"eigen\">" : "<tr>") << "<td title=\""
                << escaped(row.what->formula) << "\">" << escaped(row.what->name) << "</td>";
            for (const quality_column& c : quality_columns())
                out << "<td>" << escaped(c.value(row, g.extent)) << "</td>";
            out << "</tr>\n";
        }
        out << "</tbody></table></div>\n";
    }
    out << "<dl>\n";
    for (const quality_column& c : quality_columns())
        out << "<dt>" << c.title << "</dt><dd>" << escaped(c.meaning) << "</dd>\n";
    out << "</dl>\n";
}

}  // namespace heed_bench
