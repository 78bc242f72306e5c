// SPDX-License-Identifier: MIT
// tests/select/page_bounds.cpp: the smallest and largest keys of every page, however they come
#include <algorithm>

#include <heed/sparse.hpp>

#include "support/allocation.hpp"
#include "support/check.hpp"
#include "support/traps.hpp"

namespace {

template <class T>
support::tensor<T> random_keys(support::random& r, long b, long h, long n, long d) {
    return support::tensor4<T>(support::normals<T>(r, static_cast<std::size_t>(b * h * n * d)), b, h, n, d);
}

// How many features of how many pages differ from the extremes of keys [0, length).
template <class T, class E>
long wrong(const heed::page_bounds<T>& bounds, const support::tensor<E>& k, bool exact = true) {
    long count = 0;
    for (long b = 0; b < bounds.batch(); ++b)
        for (long h = 0; h < bounds.kv_heads(); ++h)
            for (long p = 0; p < bounds.pages(); ++p)
                for (long f = 0; f < bounds.head_dim(); ++f) {
                    double low = HUGE_VAL, high = -HUGE_VAL;
                    const long end = std::min((p + 1) * bounds.page(), bounds.length());
                    for (long j = p * bounds.page(); j < end; ++j) {
                        low = std::min(low, support::widen(k(b, h, j, f)));
                        high = std::max(high, support::widen(k(b, h, j, f)));
                    }
                    const double got_low = static_cast<double>(bounds.minima(b, h, p)[f]);
                    const double got_high = static_cast<double>(bounds.maxima(b, h, p)[f]);
                    count += exact ? got_low != low || got_high != high : got_low > low || got_high < high;
                }
    return count;
}

template <class E>
void append_in_pieces(std::uint64_t seed) {
    using T = support::sum_type<E>;
    support::random r(seed);
    for (int round = 0; round < 25; ++round) {
        const long b = r.between(1, 2), h = r.between(1, 2), d = r.skewed(1, 70), n = r.skewed(1, 150);
        const auto k = random_keys<E>(r, b, h, n, d);
        heed::page_bounds<T> whole(b, h, d, r.skewed(1, 40)), pieces(b, h, d, whole.page());
        whole.append(k);
        for (long i = 0; i < n;) {
            const long count = std::min(n - i, r.between(0, 20));
            pieces.append(heed::as_view(k).slice_positions(i, count));
            i += count;
            CHECK(pieces.length() == i);
        }
        INFO("B:" << b << " H:" << h << " T:" << n << " D:" << d << " page " << whole.page());
        CHECK(whole.pages() == (n + whole.page() - 1) / whole.page());
        CHECK(wrong(whole, k) == 0);
        CHECK(wrong(pieces, k) == 0);
    }
}

}  // namespace

TEST_CASE("bounds are the extremes of their page, appended in any pieces") {
    append_in_pieces<float>(701);
    append_in_pieces<double>(702);
    append_in_pieces<Eigen::half>(703);
    append_in_pieces<Eigen::bfloat16>(704);
}

TEST_CASE("keys may stand in any order in memory") {
    support::random r(705);
    const auto k = random_keys<float>(r, 2, 3, 21, 18);
    support::tensor<float> turned(2, 3, 18, 21);  // (batch, head, feature, position)
    for (long b = 0; b < 2; ++b)
        for (long h = 0; h < 3; ++h)
            for (long j = 0; j < 21; ++j)
                for (long f = 0; f < 18; ++f) turned(b, h, f, j) = k(b, h, j, f);
    heed::page_bounds<float> bounds(2, 3, 18, 8);
    bounds.append(heed::transposed(turned));
    CHECK(wrong(bounds, k) == 0);
}

TEST_CASE("the bound of a page is no smaller than any of its scores") {
    support::random r(706);
    for (int round = 0; round < 40; ++round) {
        const long d = r.skewed(1, 40), n = r.skewed(1, 90), page = r.skewed(1, 20);
        const auto k = random_keys<float>(r, 1, 1, n, d);
        heed::page_bounds<float> bounds(1, 1, d, page);
        bounds.append(k);
        const auto q = support::normals<float>(r, static_cast<std::size_t>(d), r.chance(0.3) ? 100 : 1);
        long broken = 0, never_met = 1;
        for (long j = 0; j < n; ++j) {
            double bound = 0, score = 0;
            for (long f = 0; f < d; ++f) {
                const double x = q[static_cast<std::size_t>(f)];
                bound += std::max(x * static_cast<double>(bounds.minima(0, 0, j / page)[f]),
                                  x * static_cast<double>(bounds.maxima(0, 0, j / page)[f]));
                score += x * static_cast<double>(k(0, 0, j, f));
            }
            broken += score > bound + 1e-9 * (1 + std::fabs(bound));
            if (page == 1 || std::fabs(score - bound) < 1e-9 * (1 + std::fabs(bound))) never_met = 0;
        }
        CHECK(broken == 0);
        if (page == 1) CHECK(never_met == 0);
    }
}

TEST_CASE("truncate keeps bounds, and loses nothing at a page's end") {
    support::random r(707);
    for (int round = 0; round < 40; ++round) {
        const long page = r.skewed(1, 16), n = r.skewed(2, 100), d = 5;
        const auto k = random_keys<float>(r, 1, 2, n, d);
        heed::page_bounds<float> bounds(1, 2, d, page);
        bounds.append(k);
        const long cut = r.between(0, n), whole = cut / page * page;
        bounds.truncate(cut);
        CHECK(bounds.length() == cut);
        CHECK(wrong(bounds, k, false) == 0);
        bounds.truncate(whole);
        CHECK(wrong(bounds, k) == 0);
        // Others in their place: what was forgotten does not show.
        auto other = k;
        for (long h = 0; h < 2; ++h)
            for (long j = whole; j < n; ++j)
                for (long f = 0; f < d; ++f) other(0, h, j, f) = static_cast<float>(r.normal() * 0.1);
        bounds.append(heed::as_view(other).slice_positions(whole, n - whole));
        CHECK(wrong(bounds, other) == 0);
    }
}

TEST_CASE("a NaN stays in its page and its feature") {
    const heed_test::without_traps by_design;
    support::random r(708);
    auto k = random_keys<float>(r, 1, 1, 40, 20);
    for (const long f : {0L, 17L}) k(0, 0, 13, f) = std::numeric_limits<float>::quiet_NaN();
    heed::page_bounds<float> bounds(1, 1, 20, 8);
    for (long j = 0; j < 40; ++j) bounds.append(heed::as_view(k).slice_positions(j, 1));
    for (long p = 0; p < 5; ++p)
        for (long f = 0; f < 20; ++f) {
            const bool expected = p == 1 && (f == 0 || f == 17);
            CHECK(std::isnan(bounds.maxima(0, 0, p)[f]) == expected);
            CHECK(std::isnan(bounds.minima(0, 0, p)[f]) == expected);
        }
}

TEST_CASE("append allocates only to grow, and loses nothing when it cannot") {
    support::random r(709);
    const auto k = random_keys<float>(r, 2, 2, 200, 9);
    heed::page_bounds<float> bounds(2, 2, 9, 4);
    bounds.append(heed::as_view(k).slice_positions(0, 30));
    bool failed = false;
    {
        const support::allocation_watch watch(0);
        try {
            bounds.append(heed::as_view(k).slice_positions(30, 170));
        } catch (const std::bad_alloc&) {
            failed = true;
        }
    }
    CHECK(failed);
    CHECK(bounds.length() == 30);
    CHECK(wrong(bounds, k) == 0);
    bounds.reserve(200);
    long counted = -1;
    {
        const support::allocation_watch watch;
        for (long j = 30; j < 200; ++j) bounds.append(heed::as_view(k).slice_positions(j, 1));
        counted = watch.count();
    }
    CHECK(counted == 0);
    CHECK(wrong(bounds, k) == 0);
    const heed::page_bounds<float> copy = bounds;
    CHECK(wrong(copy, k) == 0);
}

TEST_CASE("wrong extents of page bounds are named") {
    using heed_test::contains;
    using bounds = heed::page_bounds<float>;
    CHECK_THROWS_WITH(bounds(1, 1, 8, 0), contains("heed::page_bounds: page is 0, needs a number from 1"));
    CHECK_THROWS_WITH(bounds(1, 1, 0, 4),
                      contains("heed::page_bounds: head_dim is 0, needs a number from 1"));
    CHECK_THROWS_WITH(bounds(-1, 1, 8, 4), contains("heed::page_bounds: batch is -1"));
    CHECK_THROWS_WITH(bounds(1, -2, 8, 4), contains("heed::page_bounds: kv_heads is -2"));
    bounds b(2, 3, 8, 4);
    support::tensor<float> k(2, 3, 5, 8);
    k.setZero();
    b.append(k);
    const auto fails = [&](const support::tensor<float>& other, const char* text) {
        CHECK_THROWS_WITH(b.append(other), contains(text));
        CHECK(b.length() == 5);
    };
    fails(support::tensor<float>(1, 3, 5, 8), "append: k has 1 batch entries, the bounds have 2");
    fails(support::tensor<float>(2, 2, 5, 8), "append: k has 2 heads, the bounds have 3");
    fails(support::tensor<float>(2, 3, 5, 7), "append: k has 7 features, the bounds have 8");
    CHECK_THROWS_WITH(b.truncate(6), contains("truncate: n is 6, needs a length from 0 to the 5 keys"));
    CHECK_THROWS_WITH(b.truncate(-1), contains("truncate: n is -1"));
    CHECK(b.length() == 5);
}
