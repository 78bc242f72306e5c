// SPDX-License-Identifier: MIT
// bench/chart.cpp: scales, ticks, lines, and names that do not overlap
#include "chart.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "format.hpp"

namespace heed_bench {
namespace {

// Pixels. The names of the lines stand right of the plot.
constexpr double left = 62, right = 470, top = 12, bottom = 290, full_width = 580, full_height = 330;
constexpr double line_height = 14;

struct scale {
    double from, to;        // values
    double at_from, at_to;  // pixels
    bool logarithmic;

    double operator()(double value) const {
        const double share =
            logarithmic ? std::log(value / from) / std::log(to / from) : (value - from) / (to - from);
        return at_from + share * (at_to - at_from);
    }
};

std::string px(double x) { return fixed(x, 1); }

struct name_tag {
    double line_y, y;
    const series* line;
};

// Names that would touch push each other apart until they fit, so that a bundle of names stays centred on
// its lines; the first and the last stay inside the plot.
std::vector<name_tag> placed(std::vector<name_tag> tags) {
    std::sort(tags.begin(), tags.end(), [](const auto& a, const auto& b) { return a.line_y < b.line_y; });
    for (int round = 0; round < 500; ++round) {
        for (std::size_t i = 1; i < tags.size(); ++i) {
            const double overlap = tags[i - 1].y + line_height - tags[i].y;
            if (overlap <= 0) continue;
            tags[i - 1].y -= overlap / 2;
            tags[i].y += overlap / 2;
        }
        if (tags.empty()) break;
        tags.front().y = std::max(tags.front().y, top);
        tags.back().y = std::min(tags.back().y, bottom);
    }
    return tags;
}

// "10.0 us" is a measurement; a tick says "10 us".
std::string tick(std::string label) {
    const std::size_t point = label.find('.');
    if (point == label.npos) return label;
    std::size_t end = label.find_first_not_of("0123456789", point + 1);
    if (end == label.npos) end = label.size();
    std::size_t last = end;
    while (last > point && (label[last - 1] == '0' || label[last - 1] == '.')) --last;
    return label.erase(last, end - last);
}

std::string thousands(double x) {
    std::string digits = fixed(x, 0);
    for (int at = int(digits.size()) - 3; at > 0; at -= 3) digits.insert(std::size_t(at), 1, ',');
    return digits;
}

}  // namespace

std::string escaped(const std::string& text) {
    std::string out;
    for (char c : text) switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    return out;
}

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
    out << "<figure><figcaption><b>" << escaped(c.title) << "</b> " << escaped(c.subtitle)
        << "</figcaption>\n<svg viewBox=\"0 0 " << full_width << ' ' << full_height
        << "\" role=\"img\" aria-label=\"" << escaped(c.title) << "\">\n";
    for (double y = low; y <= high * 1.0001; y = logarithmic ? y * c.base : y + 0.2)
        out << "<line class=\"grid\" x1=\"" << left << "\" x2=\"" << right << "\" y1=\"" << px(y_at(y))
            << "\" y2=\"" << px(y_at(y)) << "\"/><text class=\"tick end\" x=\"" << left - 8 << "\" y=\""
            << px(y_at(y) + 4) << "\">" << tick(c.label(y)) << "</text>\n";
    double last_label = -1e9;
    for (double x : xs) {
        if (x_at(x) - last_label < 44) continue;  // labels would touch
        last_label = x_at(x);
        out << "<text class=\"tick middle\" x=\"" << px(x_at(x)) << "\" y=\"" << bottom + 18 << "\">"
            << thousands(x) << "</text>\n";
    }
    out << "<text class=\"tick middle\" x=\"" << (left + right) / 2 << "\" y=\"" << bottom + 36
        << "\">length (positions)</text>\n";

    double mark_y = top + 10;
    for (const mark& m : c.marks) {
        if (m.x < first || m.x > last) continue;
        out << "<g class=\"mark " << m.css << "\"><line x1=\"" << px(x_at(m.x)) << "\" x2=\"" << px(x_at(m.x))
            << "\" y1=\"" << top << "\" y2=\"" << bottom << "\"/><text x=\"" << px(x_at(m.x) + 4) << "\" y=\""
            << px(mark_y) << "\">" << escaped(m.name) << "</text></g>\n";
        mark_y += line_height;
    }
    std::vector<name_tag> tags;
    for (const series& line : c.lines)
        if (!line.points.empty()) {
            const double y = y_at(line.points.back().second);
            tags.push_back({y, y, &line});
        }
    for (const name_tag& tag : placed(tags)) {
        const series& line = *tag.line;
        out << "<g class=\"series " << line.css << "\"><polyline points=\"";
        for (auto [x, y] : line.points) out << px(x_at(x)) << ',' << px(y_at(y)) << ' ';
        out << "\"/>";
        for (auto [x, y] : line.points)
            out << "<circle r=\"3\" cx=\"" << px(x_at(x)) << "\" cy=\"" << px(y_at(y)) << "\"><title>"
                << escaped(line.name) << ", " << thousands(x) << ": " << c.label(y) << "</title></circle>";
        out << "<path class=\"lead\" d=\"M" << px(x_at(line.points.back().first) + 4) << ' ' << px(tag.line_y)
            << " L" << right + 2 << ' ' << px(tag.y) << "\"/><text x=\"" << right + 6 << "\" y=\""
            << px(tag.y + 4) << "\">" << escaped(line.name) << "</text></g>\n";
    }
    out << "</svg></figure>\n";
    return out.str();
}

}  // namespace heed_bench
