// SPDX-License-Identifier: MIT
// bench/report.hpp: what heed_compare found, and the three ways it is shown
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "run.hpp"

namespace heed_bench {

struct group {          // one shape, several variants
    std::string title;  // "GPT-2 small: 12 heads, 1024 tokens, D=64"
    bool sweep;         // one point of the lengths sweep; otherwise a model's shape
    std::vector<measured> rows;
};

struct report {
    std::string version, cpu, target, compiler, date;
    int threads;
    double peak, bandwidth;  // FLOP/s, bytes/s
    std::string text;        // "name, 40 KB"
    std::vector<group> groups;
};

// What a column means, once for all formats.
struct column {
    const char* title;
    const char* meaning;
    std::string (*value)(const measured&);
};
const std::vector<column>& columns();

// Where a variant overtakes the exact one it stands in for, on the line between two lengths of the sweep;
// or before the first length, or after the last.
struct crossover {
    enum place { before, at, after };
    const variant* what;
    double length;
    place where;
};
std::vector<crossover> crossovers(const report& r);
std::string sentence(const crossover& c);

// "" or a sentence: how many rows were measured while other programs ran on the same processor.
std::string disturbance(const report& r);

std::string heading(const report& r);  // "heed 0.1.0 on AMD EPYC, avx512, 1 thread"
std::string limits_line(const report& r);

void write_table_head(std::ostream& out, const report& r);
void write_table(std::ostream& out, const group& g);
void write_table_foot(std::ostream& out, const report& r);
void write_json(std::ostream& out, const report& r);
void write_html(std::ostream& out, const report& r);

}  // namespace heed_bench
