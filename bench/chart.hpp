// SPDX-License-Identifier: MIT
// bench/chart.hpp: line charts and a scatter chart as inline SVG, coloured by the page's style sheet
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

// Both axes linear, with ticks at round numbers; y covers what occurs.
struct curves {
    std::string title, subtitle, x_title;
    std::string (*x_label)(double);
    std::string (*y_label)(double);
    std::vector<series> lines;
};
std::string svg(const curves& c);

struct dot {
    double x, y;
    bool hollow;
    std::string tooltip;
};

struct dots {  // of one name and colour, joined by a faint line
    std::string name, css;
    std::vector<dot> points;
};

// Both axes logarithmic. A y below `floor` is drawn there.
struct scatter {
    std::string title, subtitle, x_title;
    std::string (*x_label)(double);
    std::string (*y_label)(double);
    double floor;
    std::vector<dots> groups;
};

// A line stands at x = 1 and at y = 1. Names stand right of the plot, led to the group's first point.
std::string svg(const scatter& c);

std::string escaped(const std::string& text);  // for HTML

}  // namespace heed_bench
