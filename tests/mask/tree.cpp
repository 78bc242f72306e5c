// SPDX-License-Identifier: MIT
// tests/mask/tree.cpp: positions of a draft see their ancestors
#include <heed/attention.hpp>

#include "support/pattern.hpp"
#include "support/tiles.hpp"

namespace {

// From the definition: on the way up from the query, or before the draft.
auto definition(const std::vector<int>& parents, long queries, long keys) {
    return [=](long b, long, long q, long k) {
        const long own = k - (keys - queries);
        if (own < 0) return true;
        const long row = static_cast<long>(parents.size()) == queries ? 0 : b * queries;
        for (long i = q; i >= 0; i = parents[static_cast<std::size_t>(row + i)])
            if (i == own) return true;
        return false;
    };
}

std::vector<int> random_parents(support::random& r, long queries, long rows) {
    std::vector<int> parents;
    for (long b = 0; b < rows; ++b)
        for (long i = 0; i < queries; ++i)
            parents.push_back(static_cast<int>(r.chance(0.4) ? i - 1 : r.between(-1, i - 1)));
    return parents;
}

}  // namespace

TEST_CASE("a position sees its ancestors and all before the draft") {
    support::for_problems<float>(2301, 80, [](reference::problem& p, support::random& r) {
        const auto parents = random_parents(r, p.queries, r.chance(0.5) ? 1 : p.batch);
        support::check_pattern(p, heed::tree(parents), definition(parents, p.queries, p.keys));
    });
}

TEST_CASE("a chain is causal, bit for bit") {
    support::for_problems<float>(2302, 40, [](reference::problem& p, support::random&) {
        std::vector<std::int64_t> parents;
        for (long i = 0; i < p.queries; ++i) parents.push_back(i - 1);
        const support::inputs<float> in(p);
        const auto y = heed::attention(in.q, in.k, in.v, heed::tree(parents));
        const auto z = heed::attention(in.q, in.k, in.v, heed::causal);
        CHECK(support::same_bits(y.data(), z.data(), static_cast<std::size_t>(y.size())));
    });
}

TEST_CASE("a draft over a long context, and what it hides enters nothing") {
    support::random r(2303);
    auto p = support::problem<float>(r, 2, 4, 2, 24, 700, 16, 16);
    const auto parents = random_parents(r, 24, 2);
    const auto see = definition(parents, 24, 700);
    support::check_pattern(p, heed::tree(parents), see);
    support::check_poison(
        p, r, heed::window(300, 0) & heed::tree(parents),
        [&](long b, long h, long q, long k) { return k >= q + 676 - 300 && see(b, h, q, k); });
}

TEST_CASE("its answers about tiles are never wrong") {
    support::random r(2304);
    for (const heed::problem_shape& s : {heed::problem_shape{2, 2, 9, 11}, {1, 1, 12, 7}, {1, 1, 10, 10}}) {
        const auto parents = random_parents(r, s.queries, s.batch);
        const auto see = definition(parents, s.queries, s.keys);
        const auto t = support::every_tile(heed::tree(parents), see, s);
        CHECK((t.wrong == 0 && t.late == 0));
        CHECK(support::wrong_lanes(heed::tree(parents), see, s) == 0);
    }
}

TEST_CASE("parents that are not a tree of the queries are refused") {
    support::random r(2305);
    const auto p = support::problem<float>(r, 2, 1, 1, 3, 12, 4, 4);
    const support::inputs<float> in(p);
    const auto refused = [&](const std::vector<int>& parents, const char* text) {
        CHECK_THROWS_WITH(heed::attention(in.q, in.k, in.v, heed::tree(parents)), heed_test::contains(text));
    };
    refused({-1, 0}, "tree has 2 parents, needs 3 or 2 x 3, one for each query");
    refused({-1, 0, 2}, "parents[2] is 2, needs a query before it, or -1");
    refused({-2, 0, 1}, "parents[0] is -2");
    refused({-1, 0, 1, -1, 1, 0}, "parents[4] is 1");
}
