// SPDX-License-Identifier: MIT
// examples/language_model/compare/report_markdown.cpp: the table's columns, and both tables in Markdown
#include <ostream>

#include "../../../bench/format.hpp"
#include "claims.hpp"
#include "report.hpp"

namespace language_model {

using heed_bench::byte_count;
using heed_bench::duration;
using heed_bench::fixed;
using heed_bench::percent;
using heed_bench::times;

const std::vector<column>& columns() {
    static const std::vector<column> all = {
        {"parameters", "numbers that are learned",
         [](const run_result& r, const comparison&) { return fixed(r.parameters, 0); }},
        {"loss", "nats a byte on the part of the text that was not learned from, after the last step",
         [](const run_result& r, const comparison&) { return fixed(r.loss(), 3); }},
        {"right", "its bytes that were the likeliest one in the model's eyes",
         [](const run_result& r, const comparison&) { return percent(r.accuracy()); }},
        {"tokens/s", "bytes a second in training: forward, backward and update",
         [](const run_result& r, const comparison&) { return fixed(r.rate, 0); }},
        {"vs exact", "tokens/s over those of exact attention",
         [](const run_result& r, const comparison& c) {
             const run_result* exact = c.named("exact");
             return times(exact == nullptr ? not_measured : r.rate / exact->rate);
         }},
        {"resident", "memory of the whole process, at most",
         [](const run_result& r, const comparison&) { return byte_count(r.resident); }},
        {"kept", "memory for the backward and scratch, beside parameters, gradients and moments",
         [](const run_result& r, const comparison&) { return byte_count(r.kept); }},
        {"next byte, short", "time for one more byte of a stream after the fewest bytes measured",
         [](const run_result& r, const comparison&) {
             return r.decode.empty() ? "-" : duration(r.decode.front().second);
         }},
        {"next byte, long", "the same after the most",
         [](const run_result& r, const comparison&) {
             return r.decode.empty() ? "-" : duration(r.decode.back().second);
         }},
        {"copy first", "first bytes said again after noise; guessing gets 6.2 %",
         [](const run_result& r, const comparison&) {
             return percent(run_result::last_accuracy(r.copy_first));
         }},
        {"recall", "values found by their keys; guessing gets 12.5 %",
         [](const run_result& r, const comparison&) { return percent(run_result::last_accuracy(r.recall)); }},
    };
    return all;
}

void write_markdown(std::ostream& out, const comparison& c) {
    out << c.heading() << ", " << c.date << "  \n" << c.setting() << "\n\n| attention |";
    for (const column& col : columns()) out << ' ' << col.title << " |";
    out << "\n|---|";
    for (std::size_t i = 0; i < columns().size(); ++i) out << "---:|";
    out << '\n';
    for (const run_result& r : c.runs) {
        out << "| " << r.attention << " |";
        for (const column& col : columns()) out << ' ' << col.value(r, c) << " |";
        out << '\n';
    }
    if (const run_result* exact = c.named("exact"); exact != nullptr && std::isfinite(exact->of_peak))
        out << "\nexact attention trains at " << percent(exact->of_peak)
            << " of the multiply-add peak, counting 6 flops a token for each parameter but the embedding, "
               "and 6 length "
               "width a layer for causal attention\n";
    if (!c.runs.empty() && !c.runs.front().decode.empty())
        out << "\nshort: after " << fixed(c.runs.front().decode.front().first, 0) << " bytes, long: after "
            << fixed(c.runs.front().decode.back().first, 0) << "\n";
    if (c.task_steps > 0)
        out << "\ncopy first: " << fixed(c.task_steps, 0) << " steps on sequences of "
            << fixed(c.copied_length, 0) << " bytes; recall: twice as many on " << fixed(c.recalled_length, 0)
            << "\n";
    const std::vector<claim> tested = claims(c);
    if (tested.empty()) return;
    out << "\n| claim | measured here | cummax | exact | verdict |\n|---|---|---:|---:|---|\n";
    for (const claim& t : tested)
        out << "| " << t.words << " | " << t.measured << " | " << t.cummax << " | " << t.exact << " | "
            << t.verdict << " |\n";
}

}  // namespace language_model
