// SPDX-License-Identifier: MIT
// bench/chart_parts.cpp: scales, ticks, and names that do not overlap
#include "chart_parts.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "chart.hpp"
#include "format.hpp"

namespace heed_bench {

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

namespace chart_parts {

double scale::operator()(double value) const {
    const double share =
        logarithmic ? std::log(value / from) / std::log(to / from) : (value - from) / (to - from);
    return at_from + share * (at_to - at_from);
}

std::string px(double x) { return fixed(x, 1); }

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

std::string tick(std::string label) {
    const std::size_t point = label.find('.');
    if (point == label.npos) return label;
    std::size_t end = label.find_first_not_of("0123456789", point + 1);
    if (end == label.npos) end = label.size();
    std::size_t last = end;
    while (last > point && (label[last - 1] == '0' || label[last - 1] == '.')) --last;
    return label.erase(last, end - last);
}

std::string opening(const std::string& title, const std::string& subtitle) {
    std::ostringstream out;
    out << "<figure><figcaption><b>" << escaped(title) << "</b> " << escaped(subtitle)
        << "</figcaption>\n<svg viewBox=\"0 0 " << full_width << ' ' << full_height
        << "\" role=\"img\" aria-label=\"" << escaped(title) << "\">\n";
    return out.str();
}

std::string grid_line(double y, const std::string& label) {
    std::ostringstream out;
    out << "<line class=\"grid\" x1=\"" << left << "\" x2=\"" << right << "\" y1=\"" << px(y) << "\" y2=\""
        << px(y) << "\"/><text class=\"tick end\" x=\"" << left - 8 << "\" y=\"" << px(y + 4) << "\">"
        << label << "</text>\n";
    return out.str();
}

std::string x_label(double x, double y, const std::string& text) {
    std::ostringstream out;
    out << "<text class=\"tick middle\" x=\"" << px(x) << "\" y=\"" << y << "\">" << escaped(text)
        << "</text>\n";
    return out.str();
}

std::string lead_and_name(double x, const name_tag& tag, const std::string& name) {
    std::ostringstream out;
    out << "<path class=\"lead\" d=\"M" << px(x + 4) << ' ' << px(tag.line_y) << " L" << right + 2 << ' '
        << px(tag.y) << "\"/><text x=\"" << right + 6 << "\" y=\"" << px(tag.y + 4) << "\">" << escaped(name)
        << "</text>";
    return out.str();
}

std::string named_line(const std::string& css, const std::vector<place>& places, const name_tag& tag,
                       const std::string& name) {
    std::ostringstream out;
    out << "<g class=\"series " << css << "\"><polyline points=\"";
    for (const place& p : places) out << px(p.x) << ',' << px(p.y) << ' ';
    out << "\"/>";
    for (const place& p : places)
        out << "<circle r=\"3\" cx=\"" << px(p.x) << "\" cy=\"" << px(p.y) << "\"><title>"
            << escaped(p.tooltip) << "</title></circle>";
    out << lead_and_name(places.back().x, tag, name) << "</g>\n";
    return out.str();
}

}  // namespace chart_parts
}  // namespace heed_bench
