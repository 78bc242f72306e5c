// SPDX-License-Identifier: MIT
// tests/select/row_gradient.cpp: gradients under selectors that choose in rows of scores
#include "support/kept_gradient.hpp"

namespace {

auto best(long k) {
    return [k](const std::vector<double>& row, reference::place) { return support::best_of(row, k); };
}
// The keys position - window < key <= position, and the best share of the others.
auto local_best(long window, double fraction, long offset) {
    return [=](std::vector<double> row, reference::place i) {
        std::vector<long> kept;
        const long position = i.query + offset;
        for (long j = 0; j < static_cast<long>(row.size()); ++j) {
            double& s = row[static_cast<std::size_t>(j)];
            if (j <= position - window || j > position || s == -HUGE_VAL) continue;
            kept.push_back(j);
            s = -HUGE_VAL;
        }
        for (const long key : support::best_share(fraction)(row, i)) kept.push_back(key);
        return kept;
    };
}

}  // namespace

TEST_CASE("the gradients of the kept keys, by the oracle and by the same mask") {
    support::for_gradient_problems<float>(3301, 90, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r, 1);
        support::make_causal(p);
        const double fraction = r.chance(0.5) ? 0.25 : r.uniform(1e-3, 1);
        const long n = r.skewed(1, p.keys + 3);
        switch (r.between(0, 2)) {
            case 0:
                support::keep_only(p, best(n));
                return support::check_kept<float>(p, r, heed::top_k(n));
            case 1:
                support::keep_only(p, support::best_share(fraction));
                return support::check_kept<float>(p, r, heed::top_fraction(fraction));
            default:
                support::keep_only(p, local_best(n, fraction, p.keys - p.queries));
                return support::check_kept<float>(p, r, heed::local_plus_top(n, fraction));
        }
    });
}
