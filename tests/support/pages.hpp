// SPDX-License-Identifier: MIT
// tests/support/pages.hpp: page selection by its definition, in double, one page at a time
//
//     bound of page p for (batch, head, query):   sum_d max(q_d min_pd, q_d max_pd),  q with the scale
//     a page counts as its largest bound over the heads that share keys; the best budget / page, at least 3
//
// Includes no heed header. Bounds are made of the keys that some query of the call sees.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "reference.hpp"

namespace support {

struct chosen_pages {
    std::vector<char> kept;  // (batch, kv_head, query, page)
    long pages = 0;
    double closest = HUGE_VAL;  // the smallest gap between the last page kept and the first one dropped

    bool keeps(const reference::problem& p, reference::place i, long page) const {
        const long kv = i.head / (p.heads / p.kv_heads);
        return kept[static_cast<std::size_t>(((i.batch * p.kv_heads + kv) * p.queries + i.query) * pages +
                                             i.key / page)] != 0;
    }
};

inline chosen_pages choose_pages(const reference::problem& p, long page, long budget, bool carried = false) {
    chosen_pages c;
    c.pages = (p.keys + page - 1) / page;
    const long group = p.heads / p.kv_heads, keep = std::max(budget / page, 3L);
    const double scale = p.scale ? *p.scale : 1 / std::sqrt(static_cast<double>(p.d_k));
    const auto sees = [&](long b, long h, long i, long j) { return !p.visible || p.visible({b, h, i, j}); };
    const auto size = [](long n) { return static_cast<std::size_t>(n); };
    for (long b = 0; b < p.batch; ++b)
        for (long kv = 0; kv < p.kv_heads; ++kv) {
            std::vector<double> low(size(c.pages * p.d_k), HUGE_VAL), high(low.size(), -HUGE_VAL);
            for (long j = 0; j < p.keys; ++j) {
                bool any = carried;
                for (long h = kv * group; h < (kv + 1) * group && !any; ++h)
                    for (long i = 0; i < p.queries && !any; ++i) any = sees(b, h, i, j);
                for (long f = 0; any && f < p.d_k; ++f) {
                    const double x = p.k[size(((b * p.kv_heads + kv) * p.keys + j) * p.d_k + f)];
                    double& l = low[size(j / page * p.d_k + f)];
                    double& u = high[size(j / page * p.d_k + f)];
                    l = std::min(l, x), u = std::max(u, x);
                }
            }
            for (long i = 0; i < p.queries; ++i) {
                std::vector<std::pair<double, long>> order;  // (minus the bound, page)
                for (long n = 0; n < c.pages; ++n) {
                    bool any = false;
                    double best = -HUGE_VAL;
                    for (long h = kv * group; h < (kv + 1) * group; ++h) {
                        double bound = 0;
                        for (long f = 0; f < p.d_k; ++f) {
                            const double q =
                                scale * p.q[size(((b * p.heads + h) * p.queries + i) * p.d_k + f)];
                            bound += std::max(q * low[size(n * p.d_k + f)], q * high[size(n * p.d_k + f)]);
                        }
                        best = std::max(best, bound);
                        for (long j = n * page; j < std::min((n + 1) * page, p.keys) && !any; ++j)
                            any = sees(b, h, i, j);
                    }
                    if (any) order.emplace_back(-best, n);
                }
                std::sort(order.begin(), order.end());
                std::vector<char> row(size(c.pages));
                for (std::size_t n = 0; n < order.size() && n < size(keep); ++n)
                    row[size(order[n].second)] = 1;
                if (order.size() > size(keep) && order[size(keep)].first != order[size(keep - 1)].first)
                    c.closest = std::min(c.closest, order[size(keep)].first - order[size(keep - 1)].first);
                c.kept.insert(c.kept.end(), row.begin(), row.end());
            }
        }
    return c;
}

}  // namespace support
