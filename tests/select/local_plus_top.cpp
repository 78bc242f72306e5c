// SPDX-License-Identifier: MIT
// tests/select/local_plus_top.cpp: the last keys of a query, and the best of the others
#include <heed/sparse.hpp>

#include "support/call.hpp"
#include "support/choice.hpp"

namespace {

// The window as the definition has it, and the best share of what else is visible.
auto window_and_best(long offset, long window, double fraction) {
    return [=](std::vector<double> row, reference::place i) {
        std::vector<long> kept;
        long others = 0;
        for (long j = 0; j < static_cast<long>(row.size()); ++j) {
            double& s = row[static_cast<std::size_t>(j)];
            const long p = i.query + offset;
            if (s != -HUGE_VAL && p - window < j && j <= p) {
                kept.push_back(j);
                s = -HUGE_VAL;
            }
            others += s != -HUGE_VAL;
        }
        for (const long j : support::best_of(row, support::share_of(fraction, others))) kept.push_back(j);
        return kept;
    };
}

template <class T, class... Options>
void checked(reference::problem p, long window, double fraction, const Options&... options) {
    support::keep_only(p, window_and_best(p.keys - p.queries, window, fraction));
    support::check_call<T>(p, heed::scale(*p.scale), heed::local_plus_top(window, fraction), options...);
}

}  // namespace

TEST_CASE("the window and the best of the rest, under causal and without a mask") {
    support::for_problems<float>(821, 120, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r);
        const long window = r.skewed(1, p.keys + 3);
        const double fraction = r.chance(0.2) ? 1.0 : r.chance(0.5) ? 0.25 : r.uniform(1e-3, 1);
        if (r.chance(0.5)) {
            checked<float>(p, window, fraction);
        } else {
            const long offset = p.keys - p.queries;
            p.visible = [offset](reference::place i) { return i.key <= i.query + offset; };
            checked<float>(p, window, fraction, heed::causal);
        }
    });
}

TEST_CASE("the window keeps only what the masks let through") {
    support::for_problems<float>(822, 40, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r);
        const int step = static_cast<int>(r.between(2, 4));
        p.visible = [step](reference::place i) { return (i.key + i.query) % step == 0; };
        const auto holes = heed::mask_if([step](heed::at i) { return (i.key + i.query) % step == 0; });
        checked<float>(p, r.skewed(1, p.keys), 0.3, holes);
    });
}

TEST_CASE("a window as long as can be keeps all keys up to the query") {
    support::random r(823);
    auto p = support::problem<float>(r, 1, 2, 1, 70, 300, 8, 8);
    p.visible = [](reference::place i) { return i.key <= i.query + 230; };
    support::check_call<float>(p, heed::causal, heed::local_plus_top(PTRDIFF_MAX, 0.25));
}

TEST_CASE("local_plus_top in double") {
    support::for_problems<double>(824, 24, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r);
        checked<double>(p, r.skewed(1, p.keys), 0.25);
    });
}
