// SPDX-License-Identifier: MIT
// bench/report_html.cpp: one page that needs nothing else: charts, then the tables
#include <algorithm>
#include <ostream>

#include "chart.hpp"
#include "format.hpp"
#include "page.hpp"
#include "report.hpp"

namespace heed_bench {
namespace {

// One line a variant over the sweep, in the order of the registry.
std::vector<series> lines_of(const report& r, double (*value)(const measured&)) {
    std::vector<series> lines;
    int colour = 0;
    for (const variant& v : variants()) {
        series line{
            v.name, v.family == "eigen" ? "eigen" : "s" + std::to_string(colour++ % page_colours), {}};
        for (const group& g : r.groups)
            for (const measured& m : g.rows)
                if (g.sweep && m.what == &v && std::isfinite(value(m)) && value(m) > 0)
                    line.points.emplace_back(double(m.extent.keys), value(m));
        std::sort(line.points.begin(), line.points.end());
        lines.push_back(std::move(line));
    }
    return lines;
}

// A vertical line where a variant overtakes the exact one, in the colour of its own line.
std::vector<mark> marks_of(const report& r, const std::vector<series>& lines) {
    std::vector<mark> marks;
    for (const crossover& c : crossovers(r))
        for (const series& line : lines)
            if (c.where == crossover::at && line.name == c.what->name)
                marks.push_back({line.name + " from " + fixed(c.length, 0), line.css, c.length});
    return marks;
}

void write_charts(std::ostream& out, const report& r) {
    const std::vector<series> times =
        lines_of(r, [](const measured& m) { return m.seconds / double(m.extent.tokens()); });
    const std::string time = svg(
        {"Time per token", "one head, D=64, both axes logarithmic", duration, 10, times, marks_of(r, times)});
    if (time.empty()) return;
    out << "<h2>Against the length</h2>\n<div class=\"charts\">\n"
        << time
        << svg({"Share of the multiply-add peak", "useful work only",
                [](double share) { return fixed(100 * share, 0) + " %"; }, 0,
                lines_of(r, [](const measured& m) { return m.of_peak(); })})
        << svg({"Extra memory", "beside inputs and output", byte_count, 16,
                lines_of(r, [](const measured& m) { return m.extra_bytes; })})
        << svg({"Error", "in units of 2^-23 of a row's largest value",
                [](double ulp) { return three_digits(ulp); }, 2,
                lines_of(r, [](const measured& m) { return m.error; })})
        << "</div>\n";
}

void write_group(std::ostream& out, const group& g) {
    out << "<h3>" << escaped(g.title) << "</h3>\n<div class=\"table\"><table><thead><tr><th>variant</th>";
    for (const column& c : columns())
        out << "<th title=\"" << escaped(c.meaning) << "\">" << c.title << "</th>";
    out << "</tr></thead>\n<tbody>\n";
    for (const measured& m : g.rows) {
        out << (m.what->family == "eigen" ? "<tr class=\"eigen\">" : "<tr>") << "<td title=\""
            << escaped(m.what->formula) << "\">" << escaped(m.what->name) << "</td>";
        for (const column& c : columns()) {
            const std::string text = c.value(m);
            const std::string title = c.title;
            const bool share = (title == "of peak" || title == "of read") && text != "-";
            out << (share ? "<td class=\"share\" style=\"--share:" + text.substr(0, text.find(' ')) + "%\">"
                          : "<td>")
                << escaped(text) << "</td>";
        }
        out << "</tr>\n";
    }
    out << "</tbody></table></div>\n";
}

void write_fact(std::ostream& out, const std::string& value, const std::string& name) {
    out << "<div><b>" << escaped(value) << "</b><span class=\"soft\">" << escaped(name) << "</span></div>\n";
}

}  // namespace

void write_html(std::ostream& out, const report& r) {
    out << page_head("heed: what attention costs on " + r.cpu) << "<h1>What attention costs here</h1>\n"
        << "<p class=\"soft\">" << escaped(heading(r)) << ", " << escaped(r.date)
        << ". Queries, keys and values made from " << escaped(r.text) << ".</p>\n<div class=\"facts\">\n";
    if (std::isfinite(r.peak)) {
        write_fact(out, three_digits(r.peak / 1e9) + " GFLOP/s", "float multiply-adds, measured in this run");
        write_fact(out, three_digits(r.bandwidth / 1e9) + " GB/s", "read from memory, measured in this run");
    }
    write_fact(out, std::to_string(r.threads), r.threads == 1 ? "thread, pinned" : "threads");
    out << "</div>\n";
    if (const std::string note = disturbance(r); !note.empty()) out << "<p><b>" << note << "</b></p>\n";
    write_charts(out, r);
    write_quality_html(out, r);
    for (bool sweep : {false, true}) {
        const auto wanted = [&](const group& g) { return g.sweep == sweep; };
        if (std::none_of(r.groups.begin(), r.groups.end(), wanted)) continue;
        out << "<h2>" << (sweep ? "Every variant by length" : "Shapes of real models") << "</h2>\n";
        for (const group& g : r.groups)
            if (wanted(g)) write_group(out, g);
    }
    if (const auto found = crossovers(r); !found.empty()) {
        out << "<h2>Where the linear ones overtake the exact</h2>\n";
        for (const crossover& c : found) out << "<p>" << escaped(sentence(c)) << ".</p>\n";
    }
    if (!r.groups.empty()) {
        out << "<h2>What the columns say</h2>\n<dl>\n";
        for (const column& c : columns())
            out << "<dt>" << c.title << "</dt><dd>" << escaped(c.meaning) << "</dd>\n";
        out << "</dl>\n";
    }
    out << "<h2>What was called</h2>\n<dl>\n";
    for (const variant* v : shown(r))
        out << "<dt>" << escaped(v->name) << "</dt><dd><code>" << escaped(v->formula) << "</code></dd>\n";
    out << "</dl>\n</body></html>\n";
}

}  // namespace heed_bench
