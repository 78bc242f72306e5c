// SPDX-License-Identifier: MIT
// bench/crossover.cpp: from which length on a variant is faster than the exact one it stands in for
#include <algorithm>
#include <cmath>

#include "format.hpp"
#include "report.hpp"

namespace heed_bench {

std::vector<crossover> crossovers(const report& r) {
    std::vector<crossover> found;
    for (const variant& v : variants()) {
        if (v.overtakes.empty()) continue;
        // Time over the exact variant's, at each length of the sweep.
        std::vector<std::pair<double, double>> ratios;
        for (const group& g : r.groups) {
            double mine = not_measured, other = not_measured;
            for (const measured& m : g.rows) {
                if (g.sweep && m.what == &v) mine = m.seconds;
                if (g.sweep && m.what->name == v.overtakes) other = m.seconds;
            }
            if (std::isfinite(mine / other)) ratios.emplace_back(double(g.rows[0].extent.keys), mine / other);
        }
        std::sort(ratios.begin(), ratios.end());
        if (ratios.empty()) continue;
        crossover c{&v, ratios.front().first, crossover::before};
        if (ratios.front().second > 1) c = {&v, ratios.back().first, crossover::after};
        for (std::size_t i = 1; i < ratios.size(); ++i) {
            const auto [x, a] = ratios[i - 1];
            const auto [y, b] = ratios[i];
            if (a > 1 && b <= 1) {  // both axes logarithmic, as in the chart
                c = {&v, x * std::pow(y / x, std::log(a) / std::log(a / b)), crossover::at};
                break;
            }
        }
        found.push_back(c);
    }
    return found;
}

std::string sentence(const crossover& c) {
    const std::string name = c.what->name, than = c.what->overtakes, length = fixed(c.length, 0);
    if (c.where == crossover::before)
        return name + " is faster than " + than + " at every length measured, from " + length + " on";
    if (c.where == crossover::after)
        return name + " is slower than " + than + " at every length measured, up to " + length;
    return name + " overtakes " + than + " at about " + length + " positions";
}

}  // namespace heed_bench
