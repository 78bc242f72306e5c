// SPDX-License-Identifier: MIT
// bench/report.hpp: what heed_compare found, and the three ways it is shown
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "quality.hpp"
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
    std::vector<quality_group> quality = {};
};

// What a column means, once for all formats.
struct column {
    const char* title;
    const char* meaning;
    std::string (*value)(const measured&);
};
const std::vector<column>& columns();

struct quality_column {
    const char* title;
    const char* meaning;
    std::string (*value)(const quality_row&, const shape&);
};
const std::vector<quality_column>& quality_columns();

// "4 heads, 2048 positions, D=64, made from the text: half of the rows rest on 12 keys or fewer"
std::string quality_title(const quality_group& g);

// What a reader of the quality table or chart has to know, a sentence or two each.
std::vector<std::string> quality_notes(const report& r);

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

std::vector<const variant*> shown(const report& r);  // what its tables hold, in the registry's order

// "" or a sentence: how many rows were measured while other programs ran on the same processor.
std::string disturbance(const report& r);

std::string heading(const report& r);  // "heed 0.1.0 on AMD EPYC, avx512, 1 thread"
std::string limits_line(const report& r);

void write_table_head(std::ostream& out, const report& r);
void write_table(std::ostream& out, const group& g);
void write_table_foot(std::ostream& out, const report& r);
void write_quality_table(std::ostream& out, const quality_group& g);
void write_quality_foot(std::ostream& out, const report& r);
void write_quality_html(std::ostream& out, const report& r);
void write_json(std::ostream& out, const report& r);
void write_html(std::ostream& out, const report& r);

}  // namespace heed_bench
