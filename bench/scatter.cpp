// SPDX-License-Identifier: MIT
// bench/scatter.cpp: marks over two logarithmic axes
#include <algorithm>
#include <cmath>
#include <sstream>

#include "chart.hpp"
#include "chart_parts.hpp"

namespace heed_bench {

using namespace chart_parts;

namespace {

// 1, 2, 5, 10 … that enclose the values, with 1 among them.
std::vector<double> ticks_around(double least, double most) {
    std::vector<double> all;
    for (int power = int(std::floor(std::log10(least))); power <= int(std::ceil(std::log10(most))); ++power)
        for (double digit : {1.0, 2.0, 5.0}) all.push_back(digit * std::pow(10.0, power));
    while (all.size() > 2 && all[1] <= least * 1.0001) all.erase(all.begin());
    while (all.size() > 2 && all[all.size() - 2] >= most * 0.9999) all.pop_back();
    return all;
}

}  // namespace

std::string svg(const scatter& c) {
    double x_least = 1, x_most = 1, y_least = 1, y_most = 1;
    bool any = false;
    for (const dots& group : c.groups)
        for (const dot& d : group.points) {
            any = true;
            x_least = std::min(x_least, d.x);
            x_most = std::max(x_most, d.x);
            y_least = std::min(y_least, std::max(d.y, c.floor));
            y_most = std::max(y_most, d.y);
        }
    if (!any) return {};
    const std::vector<double> ticks = ticks_around(x_least, x_most);
    const double low = std::pow(10.0, std::floor(std::log10(y_least)));
    const double high = std::pow(10.0, std::max(0.0, std::ceil(std::log10(y_most)))) * 1.5;
    const scale x_at{ticks.front(), ticks.back(), left + 10, right - 10, true};
    const scale y_at{low, high, bottom, top, true};

    std::ostringstream out;
    out << opening(c.title, c.subtitle);
    for (double y = low; y <= high; y *= 10) out << grid_line(y_at(y), tick(c.y_label(y)));
    double last_label = -1e9;
    for (double x : ticks) {
        if (x != 1 && (x_at(x) - last_label < 36 || std::abs(x_at(x) - x_at(1)) < 36)) continue;
        last_label = x_at(x);
        out << x_label(x_at(x), bottom + 18, tick(c.x_label(x)));
    }
    out << x_label((left + right) / 2, bottom + 36, c.x_title) << "<line class=\"one\" x1=\"" << px(x_at(1))
        << "\" x2=\"" << px(x_at(1)) << "\" y1=\"" << top << "\" y2=\"" << bottom
        << "\"/><line class=\"one\" x1=\"" << left << "\" x2=\"" << right << "\" y1=\"" << px(y_at(1))
        << "\" y2=\"" << px(y_at(1)) << "\"/>\n";

    const auto height = [&](const dot& d) { return y_at(std::max(d.y, c.floor)); };
    std::vector<name_tag> tags;
    for (std::size_t i = 0; i < c.groups.size(); ++i)
        if (!c.groups[i].points.empty()) {
            const double y = height(c.groups[i].points.front());
            tags.push_back({y, y, i});
        }
    for (const name_tag& tag : placed(tags)) {
        const dots& group = c.groups[tag.which];
        out << "<g class=\"series " << group.css << "\"><polyline class=\"join\" points=\"";
        for (const dot& d : group.points) out << px(x_at(d.x)) << ',' << px(height(d)) << ' ';
        out << "\"/>" << lead_and_name(x_at(group.points.front().x), tag, group.name);
        for (std::size_t i = group.points.size(); i-- > 0;) {  // the first on top
            const dot& d = group.points[i];
            out << "<circle" << (d.hollow ? " class=\"hollow\"" : "") << " r=\"4\" cx=\"" << px(x_at(d.x))
                << "\" cy=\"" << px(height(d)) << "\"><title>" << escaped(d.tooltip) << "</title></circle>";
        }
        out << "</g>\n";
    }
    out << "</svg></figure>\n";
    return out.str();
}

}  // namespace heed_bench
