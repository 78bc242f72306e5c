// SPDX-License-Identifier: MIT
// tests/mask/neighbourhood.cpp: windows on grids of one, two and three axes
#include <heed/attention.hpp>

#include "support/pattern.hpp"
#include "support/tiles.hpp"

namespace {

struct grid {
    std::vector<long> extents, window, dilation;
    long positions() const {
        long n = 1;
        for (const long e : extents) n *= e;
        return n;
    }
};

// On one axis, from the definition: the window's keys are the positions of x's remainder that are nearest,
// of two equally near the one in front.
bool sees_along(long n, long window, long dilation, long x, long key) {
    std::vector<long> near;
    for (long p = 0; p < n; ++p)
        if ((p - x) % dilation == 0) near.push_back(p);
    std::stable_sort(near.begin(), near.end(), [&](long a, long b) {
        // An even window has one more in front.
        return 2 * std::labs(a - x) - (a < x) < 2 * std::labs(b - x) - (b < x);
    });
    return std::find(near.begin(), near.begin() + window, key) != near.begin() + window;
}

auto definition(const grid& g, long shift) {
    return [=](long, long, long query, long key) {
        long q = query + shift;
        if (q < 0) return false;
        bool sees = true;
        for (std::size_t a = g.extents.size(); a-- > 0;) {
            const long n = g.extents[a];
            sees = sees && sees_along(n, g.window[a], g.dilation.empty() ? 1 : g.dilation[a], q % n, key % n);
            q /= n, key /= n;
        }
        return sees;
    };
}

grid random_grid(support::random& r, long axes) {
    grid g;
    const bool dilated = r.chance(0.5);
    for (long a = 0; a < axes; ++a) {
        g.extents.push_back(r.between(1, axes == 1 ? 150 : axes == 2 ? 15 : 7));
        g.window.push_back(r.between(1, g.extents.back()));
        if (dilated) g.dilation.push_back(r.between(1, g.extents.back() / g.window.back()));
    }
    return g;
}

template <class F>
void with_mask(const grid& g, const F& f) {
    if (g.dilation.empty())
        f(heed::neighbourhood(g.extents, g.window));
    else
        f(heed::neighbourhood(g.extents, g.window, g.dilation));
}

}  // namespace

TEST_CASE("every query sees the nearest keys of its grid") {
    support::random r(2201);
    for (int i = 0; i < 90; ++i) {
        const grid g = random_grid(r, 1 + i % 3);
        const long keys = g.positions(), queries = i % 4 == 0 ? r.between(1, keys) : keys;
        auto p = support::problem<float>(r, r.between(1, 2), 2, 1, queries, keys, 5, 6);
        with_mask(g,
                  [&](const auto& mask) { support::check_pattern(p, mask, definition(g, keys - queries)); });
    }
}

TEST_CASE("it joins other masks") {
    support::random r(2202);
    const grid g{{6, 11}, {3, 5}, {2, 1}};
    auto p = support::problem<float>(r, 1, 2, 2, 66, 66, 5, 6);
    const auto near = definition(g, 0);
    support::check_pattern(p, heed::causal & heed::neighbourhood({6, 11}, {3, 5}, {2, 1}),
                           [&](long b, long h, long q, long k) { return k <= q && near(b, h, q, k); });
    support::check_pattern(
        p, heed::prefix(2) | heed::neighbourhood(std::array{6, 11}, std::array{3, 5}, g.dilation),
        [&](long b, long h, long q, long k) { return k < 2 || near(b, h, q, k); });
    support::check_poison(p, r, heed::prefix(40) & heed::neighbourhood({6, 11}, {3, 5}, {2, 1}),
                          [&](long b, long h, long q, long k) { return k < 40 && near(b, h, q, k); });
}

TEST_CASE("its answers about tiles are never wrong, and those of undilated grids of one axis exact") {
    const std::pair<heed::problem_shape, std::vector<grid>> cases[] = {
        {{1, 1, 12, 12},
         {{{12}, {3}, {}},
          {{12}, {4}, {}},
          {{12}, {3}, {4}},
          {{3, 4}, {2, 3}, {}},
          {{3, 4}, {1, 2}, {3, 2}},
          {{2, 2, 3}, {1, 2, 2}, {}},
          {{1, 12}, {1, 5}, {}}}},
        {{2, 2, 5, 8}, {{{8}, {5}, {}}, {{4, 2}, {3, 1}, {}}, {{2, 2, 2}, {2, 1, 2}, {}}}},
        {{1, 1, 13, 9}, {{{9}, {3}, {}}, {{3, 3}, {3, 1}, {}}}},
    };
    for (const auto& [shape, grids] : cases)
        for (const grid& g : grids)
            with_mask(g, [&](const auto& mask) {
                const auto see = definition(g, shape.keys - shape.queries);
                const auto t = support::every_tile(mask, see, shape);
                CHECK((t.wrong == 0 && t.late == 0));
                if (g.extents.size() == 1 && g.dilation.empty() && shape.queries <= shape.keys)
                    CHECK((t.missed == 0 && t.early == 0));
                CHECK(support::wrong_lanes(mask, see, shape) == 0);
            });
}

TEST_CASE("far rows of an image are skipped") {
    const auto bound = heed::neighbourhood({56, 56}, {7, 7}).bind("test", {1, 1, 56 * 56, 56 * 56});
    CHECK(bound.classify({0, 0, 20 * 56, 22 * 56, 0, 17 * 56}) == heed::cover::empty);
    CHECK(bound.classify({0, 0, 20 * 56, 22 * 56, 25 * 56, 56 * 56}) == heed::cover::empty);
    CHECK(bound.first_key({0, 0, 20 * 56, 22 * 56, 0, 56 * 56}) == 17 * 56);
    CHECK(bound.classify({0, 0, 0, 4, 0, 7}) == heed::cover::full);
}

TEST_CASE("a grid that is not the keys', or a window that does not fit, is refused") {
    support::random r(2203);
    const auto p = support::problem<float>(r, 1, 1, 1, 12, 12, 4, 4);
    const support::inputs<float> in(p);
    const auto refused = [&](const auto& mask, const char* text) {
        CHECK_THROWS_WITH(heed::attention(in.q, in.k, in.v, mask), heed_test::contains(text));
    };
    refused(heed::neighbourhood({3, 5}, {1, 1}), "a grid of 15 positions, needs the 12 of k");
    refused(heed::neighbourhood({3, 4}, {4, 1}), "an axis of 3 positions with a window of 4 keys 1 apart");
    refused(heed::neighbourhood({3, 4}, {1, 2}, {1, 3}),
            "an axis of 4 positions with a window of 2 keys 3 apart");
    refused(heed::neighbourhood({3, 4}, {1, 0}), "a window of 0 keys");
    refused(heed::neighbourhood({3, -4}, {1, 1}), "an axis of -4 positions");
    refused(heed::neighbourhood({3, 4}, {1}), "a window of 1 numbers, needs 2");
    refused(heed::neighbourhood({3, 4}, {1, 1}, {1}), "1 dilations, needs 2");
    refused(heed::neighbourhood({1, 3, 1, 4}, {1, 1, 1, 1}), "4 extents, needs 1, 2 or 3");
    refused(heed::neighbourhood({1L << 40, 1L << 40}, {1, 1}), "an axis of 1099511627776 positions");
}
