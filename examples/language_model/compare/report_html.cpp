// SPDX-License-Identifier: MIT
// examples/language_model/compare/report_html.cpp: one page with charts, that needs nothing else
#include <ostream>

#include "../../../bench/chart.hpp"
#include "../../../bench/format.hpp"
#include "../../../bench/page.hpp"
#include "claims.hpp"
#include "report.hpp"

namespace language_model {
namespace {

using heed_bench::escaped;
using heed_bench::fixed;
using heed_bench::percent;
using heed_bench::series;

// One line a variant, in the colour of its place.
template <class Points>
std::vector<series> lines(const comparison& c, const Points& points) {
    std::vector<series> all;
    for (std::size_t i = 0; i < c.runs.size(); ++i)
        all.push_back(
            {c.runs[i].attention, "s" + std::to_string(i % heed_bench::page_colours), points(c.runs[i])});
    return all;
}
using pairs = std::vector<std::pair<double, double>>;

pairs of(const std::vector<judged>& judgements, double judged::* x, double judged::* y) {
    pairs points;
    for (const judged& j : judgements) points.emplace_back(j.*x, j.*y);
    return points;
}

std::string thousand_bytes(double x) { return fixed(x / 1000, 0) + "k"; }
std::string whole(double x) { return fixed(x, 0); }
std::string two_digits(double x) { return fixed(x, 2); }
std::string share(double x) { return fixed(100 * x, 0) + " %"; }

void write_charts(std::ostream& out, const comparison& c) {
    out << "<h2>What they learn</h2>\n<div class=\"charts\">\n"
        << svg(heed_bench::curves{
               "Loss by bytes read", "nats a byte, on text that was not learned from", "bytes read",
               thousand_bytes, two_digits,
               lines(c, [](const run_result& r) { return of(r.text, &judged::tokens, &judged::loss); })})
        << svg(heed_bench::curves{
               "Loss by time", "the same against the seconds spent in training", "seconds", whole, two_digits,
               lines(c, [](const run_result& r) { return of(r.text, &judged::seconds, &judged::loss); })})
        << svg(heed_bench::curves{
               "copy_first", "first bytes said again after noise; guessing gets 6 %", "steps", whole, share,
               lines(
                   c,
                   [](const run_result& r) { return of(r.copy_first, &judged::steps, &judged::accuracy); })})
        << svg(heed_bench::curves{
               "recall", "values found by their keys; guessing gets 12.5 %", "steps", whole, share,
               lines(c, [](const run_result& r) { return of(r.recall, &judged::steps, &judged::accuracy); })})
        << "</div>\n<h2>What a stream costs</h2>\n<div class=\"charts\">\n"
        << svg(heed_bench::chart{"One more byte", "by the bytes read before, both axes logarithmic",
                                 heed_bench::duration, 10,
                                 lines(c, [](const run_result& r) { return r.decode; })})
        << "</div>\n";
}

void write_row(std::ostream& out, const std::vector<std::string>& cells, const char* tag) {
    out << "<tr>";
    for (const std::string& cell : cells) out << '<' << tag << '>' << escaped(cell) << "</" << tag << '>';
    out << "</tr>\n";
}

}  // namespace

void write_html(std::ostream& out, const comparison& c) {
    out << heed_bench::page_head("heed: attention variants, trained")
        << "<h1>One model, another attention each time</h1>\n"
        << "<p class=\"soft\">" << escaped(c.heading()) << ", " << escaped(c.date) << ".</p>\n<p>"
        << escaped(c.setting()) << ".</p>\n<div class=\"table\"><table><thead>";
    std::vector<std::string> cells{"attention"};
    for (const column& col : columns()) cells.push_back(col.title);
    write_row(out, cells, "th");
    out << "</thead><tbody>\n";
    for (const run_result& r : c.runs) {
        cells = {r.attention};
        for (const column& col : columns()) cells.push_back(col.value(r, c));
        write_row(out, cells, "td");
    }
    out << "</tbody></table></div>\n";
    write_charts(out, c);
    if (const std::vector<claim> tested = claims(c); !tested.empty()) {
        out << "<h2>What was claimed of cummax</h2>\n<div class=\"table\"><table><thead>";
        write_row(out, {"claim", "measured here", "cummax", "exact", "verdict"}, "th");
        out << "</thead><tbody>\n";
        for (const claim& t : tested)
            write_row(out, {t.words, t.measured, t.cummax, t.exact, t.verdict}, "td");
        out << "</tbody></table></div>\n";
    }
    out << "<h2>What stands inside</h2>\n<dl>\n";
    for (const run_result& r : c.runs)
        out << "<dt>" << escaped(r.attention) << "</dt><dd>" << escaped(r.words) << "; feed-forward of "
            << fixed(r.hidden, 0) << "</dd>\n";
    out << "</dl>\n<h2>What the columns say</h2>\n<dl>\n";
    for (const column& col : columns())
        out << "<dt>" << escaped(col.title) << "</dt><dd>" << escaped(col.meaning) << "</dd>\n";
    out << "</dl>\n<p class=\"soft\">Made by <code>" << escaped(c.command) << "</code></p>\n</body></html>\n";
}

}  // namespace language_model
