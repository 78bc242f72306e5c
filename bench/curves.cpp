// SPDX-License-Identifier: MIT
// bench/curves.cpp: lines over steps or seconds
#include <algorithm>
#include <cmath>
#include <sstream>

#include "chart.hpp"
#include "chart_parts.hpp"

namespace heed_bench {

using namespace chart_parts;

namespace {

// The distance of ticks, 1, 2 or 5 times a power of ten, of which five to ten cover a span.
double tick_step(double span) {
    const double power = std::pow(10, std::floor(std::log10(span)));
    for (double step : {0.1, 0.2, 0.5})
        if (span / (step * power) <= 10) return step * power;
    return power;
}

}  // namespace

std::string svg(const curves& c) {
    double x_most = 0, least = INFINITY, most = -INFINITY;
    for (const series& line : c.lines)
        for (auto [x, y] : line.points) {
            x_most = std::max(x_most, x);
            least = std::min(least, y);
            most = std::max(most, y);
        }
    if (!(least <= most)) return {};
    const double step = tick_step(most > least ? most - least : 1);
    const double low = step * std::floor(least / step),
                 high = step * std::max(std::ceil(most / step), low / step + 1);
    const double x_step = tick_step(x_most > 0 ? x_most : 1);
    const scale x_at{0, x_most > 0 ? x_most : 1, left + 10, right - 10, false};
    const scale y_at{low, high, bottom, top, false};

    std::ostringstream out;
    out << opening(c.title, c.subtitle);
    for (double y = low; y <= high + step / 2; y += step) out << grid_line(y_at(y), tick(c.y_label(y)));
    for (double x = 0; x <= x_most * 1.0001; x += x_step)
        out << x_label(x_at(x), bottom + 18, tick(c.x_label(x)));
    out << x_label((left + right) / 2, bottom + 36, c.x_title);
    std::vector<name_tag> tags;
    for (std::size_t i = 0; i < c.lines.size(); ++i)
        if (const series& line = c.lines[i]; !line.points.empty()) {
            const double y = y_at(line.points.back().second);
            tags.push_back({y, y, i});
        }
    for (const name_tag& tag : placed(tags)) {
        const series& line = c.lines[tag.which];
        std::vector<place> places;
        for (auto [x, y] : line.points)
            places.push_back({x_at(x), y_at(y), line.name + ", " + c.x_label(x) + ": " + c.y_label(y)});
        out << named_line(line.css, places, tag, line.name);
    }
    out << "</svg></figure>\n";
    return out.str();
}

}  // namespace heed_bench
