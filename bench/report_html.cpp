// SPDX-License-Identifier: MIT
// bench/report_html.cpp: one page that needs nothing else: charts, then the tables
#include <algorithm>
#include <ostream>

#include "chart.hpp"
#include "format.hpp"
#include "report.hpp"

namespace heed_bench {
namespace {

constexpr const char* style = R"css(
:root { color-scheme: light dark; --page: #fbfbf9; --ink: #1d1f23; --soft: #686d76; --rule: #e3e3de; --bar: #dbe7fb;
  --c0: #1f6feb; --c1: #d9480f; --c2: #0b7285; --c3: #9c36b5; --c4: #2b8a3e; --c5: #c2255c; --c6: #8f6a00; --c7: #5f3dc4; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15171a; --ink: #e7e8ea; --soft: #9aa0a8; --rule: #2c3036; --bar: #1d3557;
    --c0: #6ea8fe; --c1: #ff9259; --c2: #4dc4d6; --c3: #d98cf0; --c4: #69c77e; --c5: #f783ac; --c6: #dcb53f; --c7: #a594f9; } }
body { margin: 2.5rem auto; max-width: 1180px; padding: 0 1.25rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.6rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; } p { margin: .3rem 0; } .soft { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 1rem 2.6rem; margin: 1.2rem 0; } .facts b { display: block; font-size: 1.25rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr)); gap: 1.2rem 1.6rem; }
figure { margin: 0; } figcaption { color: var(--soft); } figcaption b { color: var(--ink); }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--rule); } svg .tick { fill: var(--soft); } svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .series polyline { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
svg .series circle, svg .series text { fill: var(--c); } svg .lead { fill: none; stroke: var(--c); opacity: .45; }
svg .mark line { stroke: var(--c); stroke-dasharray: 2 3; } svg .mark text { fill: var(--c); }
svg .eigen { --c: var(--soft); } svg .eigen polyline { stroke-dasharray: 5 4; }
svg .series polyline.join { stroke-width: 1; opacity: .45; } svg .series circle.hollow { fill: var(--page); stroke: var(--c); stroke-width: 1.5; }
svg .one { stroke: var(--soft); stroke-dasharray: 2 3; }
svg:has(.series:hover) .series:not(:hover) { opacity: .18; }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); } .s3 { --c: var(--c3); }
.s4 { --c: var(--c4); } .s5 { --c: var(--c5); } .s6 { --c: var(--c6); } .s7 { --c: var(--c7); }
.table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; color: var(--soft); } th:first-child, td:first-child { text-align: left; }
tr.eigen td { color: var(--soft); }
td.share { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; } dt { font-weight: 600; } dd { margin: 0; color: var(--soft); }
code { font: .92em ui-monospace, monospace; }
)css";

constexpr int colours = 8;

// One line a variant over the sweep, in the order of the registry.
std::vector<series> lines_of(const report& r, double (*value)(const measured&)) {
    std::vector<series> lines;
    int colour = 0;
    for (const variant& v : variants()) {
        series line{v.name, v.family == "eigen" ? "eigen" : "s" + std::to_string(colour++ % colours), {}};
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
    out << "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
           "content=\"width=device-width\"><title>heed: what attention costs on "
        << escaped(r.cpu) << "</title><style>" << style
        << "</style></head><body>\n<h1>What attention costs here</h1>\n"
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
