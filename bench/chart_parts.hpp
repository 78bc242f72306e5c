// SPDX-License-Identifier: MIT
// bench/chart_parts.hpp: what the charts share: scales, ticks, placed names
#pragma once

#include <string>
#include <vector>

namespace heed_bench::chart_parts {

// Pixels. The names of the series stand right of the plot.
inline constexpr double left = 62, right = 470, top = 12, bottom = 290, full_width = 580, full_height = 330;
inline constexpr double line_height = 14;

struct scale {
    double from, to;        // values
    double at_from, at_to;  // pixels
    bool logarithmic;

    double operator()(double value) const;
};

std::string px(double x);

// The name of series `which` for a point at line_y; y is where it can stand.
struct name_tag {
    double line_y, y;
    std::size_t which;
};

// Names that would touch push each other apart until they fit, so that a bundle of names stays centred on
// its lines; the first and the last stay inside the plot.
std::vector<name_tag> placed(std::vector<name_tag> tags);

std::string tick(std::string label);  // "10.0 us" is a measurement; a tick says "10 us"

std::string opening(const std::string& title, const std::string& subtitle);  // the figure, and the svg in it
std::string grid_line(double y, const std::string& label);                   // at this pixel
std::string x_label(double x, double y, const std::string& text);
std::string lead_and_name(double x, const name_tag& tag, const std::string& name);

// A line with a point and its tooltip at each place (pixels), led to its name.
struct place {
    double x, y;
    std::string tooltip;
};
std::string named_line(const std::string& css, const std::vector<place>& places, const name_tag& tag,
                       const std::string& name);

}  // namespace heed_bench::chart_parts
