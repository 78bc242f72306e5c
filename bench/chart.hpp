// SPDX-License-Identifier: MIT
// bench/chart.hpp: a line chart as inline SVG, coloured by the page's style sheet
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace heed_bench {

struct series {
    std::string name;
    std::string css;  // class that gives the colour
    std::vector<std::pair<double, double>> points;
};

// A length worth a vertical line.
struct mark {
    std::string name;
    std::string css;
    double x;
};

struct chart {
    std::string title, subtitle;
    std::string (*label)(double y);  // of a tick and in a point's tooltip
    double base = 10;                // y is logarithmic with ticks at powers of this; 0: linear from 0 to 1
    std::vector<series> lines;
    std::vector<mark> marks = {};
};

// x is logarithmic with a tick at each x that occurs. Names stand at the lines' ends, moved apart where
// they would overlap. Empty when there is nothing to draw.
std::string svg(const chart& c);

std::string escaped(const std::string& text);  // for HTML

}  // namespace heed_bench
