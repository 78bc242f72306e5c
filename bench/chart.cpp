// SPDX-License-Identifier: MIT
// bench/chart.cpp: lines over the length
#include "chart.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "chart_parts.hpp"
#include "format.hpp"

namespace heed_bench {

using namespace chart_parts;

namespace {

std::string thousands(double x) {
    std::string digits = fixed(x, 0);
    for (int at = int(digits.size()) - 3; at > 0; at -= 3) digits.insert(std::size_t(at), 1, ',');
    return digits;
}

}  // namespace

std::string svg(const chart& c) {
    std::set<double> xs;
    double least = INFINITY, most = 0;
    for (const series& line : c.lines)
        for (auto [x, y] : line.points) {
            xs.insert(x);
            least = std::min(least, y);
            most = std::max(most, y);
        }
    if (xs.empty()) return {};

    const bool logarithmic = c.base > 0;
    const auto power = [&](double y, bool up) {
        const double exponent = std::log(y) / std::log(c.base);
        return std::pow(c.base, up ? std::ceil(exponent - 1e-9) : std::floor(exponent + 1e-9));
    };
    double low = logarithmic ? power(least, false) : 0;
    double high = logarithmic ? power(most, true) : 1;
    if (low == high) high *= logarithmic ? c.base : 2;
    const double first = *xs.begin(), last = *xs.rbegin();
    const scale x_at{first, first == last ? first * 2 : last, left + 10, right - 10, true};
    const scale y_at{low, high, bottom, top, logarithmic};

    std::ostringstream out;
    out << opening(c.title, c.subtitle);
    for (double y = low; y <= high * 1.0001; y = logarithmic ? y * c.base : y + 0.2)
        out << grid_line(y_at(y), tick(c.label(y)));
    double last_label = -1e9;
    for (double x : xs) {
        if (x_at(x) - last_label < 44) continue;  // labels would touch
        last_label = x_at(x);
        out << x_label(x_at(x), bottom + 18, thousands(x));
    }
    out << x_label((left + right) / 2, bottom + 36, "length (positions)");

    double mark_y = top + 10;
    for (const mark& m : c.marks) {
        if (m.x < first || m.x > last) continue;
        out << "<g class=\"mark " << m.css << "\"><line x1=\"" << px(x_at(m.x)) << "\" x2=\"" << px(x_at(m.x))
            << "\" y1=\"" << top << "\" y2=\"" << bottom << "\"/><text x=\"" << px(x_at(m.x) + 4) << "\" y=\""
            << px(mark_y) << "\">" << escaped(m.name) << "</text></g>\n";
        mark_y += line_height;
    }
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
            places.push_back({x_at(x), y_at(y), line.name + ", " + thousands(x) + ": " + c.label(y)});
        out << named_line(line.css, places, tag, line.name);
    }
    out << "</svg></figure>\n";
    return out.str();
}

}  // namespace heed_bench
