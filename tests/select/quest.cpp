// SPDX-License-Identifier: MIT
// tests/select/quest.cpp: page selection against its definition in double, under every kind of mask
#include <heed/sparse.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"
#include "support/pages.hpp"
#include "support/traps.hpp"

namespace {

constexpr double nearly = 1e-5;  // pages closer than this are not told apart by every rounding

// The definition's selection as part of the mask, then attention as ever.
template <class T, class... Options>
bool check_selection(reference::problem p, long page, long budget, bool carried, const Options&... options) {
    const auto chosen = support::choose_pages(p, page, budget, carried);
    if (chosen.closest < nearly) return false;
    const auto base = p.visible;
    const reference::problem shape = p;
    p.visible = [=](reference::place i) { return (!base || base(i)) && chosen.keeps(shape, i, page); };
    INFO("page " << page << ", budget " << budget);
    support::check_call<T>(p, options...);
    return true;
}

long some_budget(support::random& r, const reference::problem& p) {
    return r.chance(0.3) ? 1 : r.skewed(1, p.keys + 8);
}

template <class T, class... Options>
support::tensor<T> solve(const support::inputs<T>& in, const Options&... options) {
    return heed::attention(in.q, in.k, in.v, options...);
}
bool same(const support::tensor<float>& a, const support::tensor<float>& b) {
    return support::same_bits(support::elements(a), support::elements(b));
}

}  // namespace

TEST_CASE("quest keeps the pages with the largest bounds") {
    long checked = 0;
    support::for_problems<float>(711, 72, [&](reference::problem& p, support::random& r) {
        const long page = r.skewed(1, 12), budget = some_budget(r, p);
        if (r.chance(0.4)) p.scale = r.chance(0.5) ? -0.3 : 0.7;
        const double scale = p.scale ? *p.scale : 1 / std::sqrt(static_cast<double>(p.d_k));
        checked +=
            check_selection<float>(p, page, budget, false, heed::quest(page, budget), heed::scale(scale));
    });
    CHECK(checked > 45);
}

TEST_CASE("pages that a mask hides take no budget, and hidden keys enter no bound") {
    long checked = 0;
    support::for_problems<float>(712, 64, [&](reference::problem& p, support::random& r) {
        const long page = r.skewed(1, 12), budget = some_budget(r, p), shift = p.keys - p.queries;
        std::vector<long> lengths(static_cast<std::size_t>(p.batch));
        for (long& n : lengths) n = r.between(0, p.keys);
        p.visible = [=](reference::place i) {
            return i.key <= i.query + shift && i.key < lengths[static_cast<std::size_t>(i.batch)];
        };
        // What nobody sees must not matter: far off where the definition leaves it out.
        for (long b = 0; b < p.batch; ++b)
            for (long j = lengths[static_cast<std::size_t>(b)]; j < p.keys; ++j)
                for (long h = 0; h < p.kv_heads; ++h)
                    for (long f = 0; f < p.d_k; ++f)
                        p.k[static_cast<std::size_t>(((b * p.kv_heads + h) * p.keys + j) * p.d_k + f)] = 1e6;
        checked += check_selection<float>(p, page, budget, false, heed::quest(page, budget), heed::causal,
                                          heed::key_lengths(lengths));
    });
    CHECK(checked > 40);
}

TEST_CASE("a predicate may differ from head to head") {
    long checked = 0;
    support::for_problems<float>(713, 40, [&](reference::problem& p, support::random& r) {
        const long page = r.skewed(1, 9), budget = some_budget(r, p);
        p.visible = [](reference::place i) {
            return (i.key / 5 + i.query + 2 * i.head) % 3 != 0 && i.key % 7 != i.head % 2;
        };
        const auto mask = heed::mask_if([](heed::at i) {
            return ((i.key / 5 + i.query + 2 * i.head) % 3 != 0) & (i.key % 7 != i.head % 2);
        });
        checked += check_selection<float>(p, page, budget, false, heed::quest(page, budget), mask);
    });
    CHECK(checked > 24);
}

template <class T>
void carried(std::uint64_t seed, int count) {
    support::for_problems<T>(seed, count, [](reference::problem& p, support::random& r) {
        const long page = r.skewed(1, 12), budget = some_budget(r, p), left = r.skewed(1, p.keys);
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key <= i.query + shift && i.key >= i.query + shift - left;
        };
        heed::page_bounds<support::sum_type<T>> bounds(p.batch, p.kv_heads, p.d_k, page);
        bounds.append(support::inputs<T>(p).k);
        check_selection<T>(p, page, budget, true, heed::quest(bounds, budget), heed::window(left, 0));
    });
}
TEST_CASE("bounds may be carried, for every element type") {
    carried<float>(714, 40);
    carried<double>(715, 16);
    carried<Eigen::half>(716, 16);
    carried<Eigen::bfloat16>(717, 16);
}

TEST_CASE("one query over a long cache") {
    support::random r(718);
    for (const long keys : {2047L, 2048L, 5000L}) {
        auto p = support::problem<float>(r, 1, 8, 2, 1, keys, 24, 20);
        for (const long page : {16L, 32L, 100L})
            for (const long budget : {1L, 512L}) {
                heed::page_bounds<float> bounds(1, 2, 24, page);
                bounds.append(support::inputs<float>(p).k);
                check_selection<float>(p, page, budget, true, heed::quest(bounds, budget));
            }
    }
}

TEST_CASE("equal bounds go to the first pages") {
    support::random r(719);
    auto p = support::problem<float>(r, 1, 2, 1, 3, 40, 6, 6);
    for (long j = 1; j < 40; ++j) std::copy_n(p.k.begin(), 6, p.k.begin() + j * 6);
    check_selection<float>(p, 4, 16, false, heed::quest(4, 16));
    check_selection<float>(p, 4, 1, false, heed::quest(4, 1));
}

TEST_CASE("a budget of all keys gives the bits of the call without quest") {
    support::random r(720);
    for (const auto& [queries, keys] : {std::pair{1L, 3000L}, {3L, 70L}, {70L, 130L}, {33L, 1L}}) {
        const auto p = support::problem<float>(r, 2, 4, 2, queries, keys, 12, 9);
        const support::inputs<float> in(p);
        const auto y = solve(in, heed::causal);
        CHECK(same(y, solve(in, heed::causal, heed::quest(8, keys + 7))));
        CHECK(same(y, solve(in, heed::causal, heed::quest(1000000, 1))));
    }
}

TEST_CASE("weights and scores are written with a selection") {
    support::random r(725);
    for (const long queries : {1L, 30L}) {
        auto p = support::problem<float>(r, 1, 4, 2, queries, 90, 10, 6);
        const auto chosen = support::choose_pages(p, 5, 20);
        const support::inputs<float> in(p);
        support::tensor<float> weights(1, 4, queries, 90), raw(1, 4, queries, 90), biased(1, 4, queries, 90);
        solve(in, heed::quest(5, 20), heed::weights(weights), heed::scores(raw, heed::stage::raw));
        solve(in, heed::quest(5, 20), heed::scores(biased, heed::stage::biased));
        const auto truth = reference::solve<double>(p);
        long wrong = 0;
        for (long h = 0; h < 4; ++h)
            for (long i = 0; i < queries; ++i)
                for (long j = 0; j < 90; ++j) {
                    const bool kept = chosen.keeps(p, {0, h, i, j}, 5);
                    wrong += (weights(0, h, i, j) != 0) != kept;
                    wrong += (biased(0, h, i, j) != -HUGE_VALF) != kept;
                    const double s = truth.raw[static_cast<std::size_t>((h * queries + i) * 90 + j)];
                    wrong += !(std::fabs(static_cast<double>(raw(0, h, i, j)) - s) < 1e-4);
                }
        CHECK(chosen.closest > nearly);
        CHECK(wrong == 0);
    }
}

TEST_CASE("the same bits on any threads and in any batch") {
    support::random r(721);
    for (const auto& [queries, keys] : {std::pair{1L, 4000L}, {4L, 2500L}, {40L, 300L}}) {
        const auto p = support::problem<float>(r, 3, 4, 2, queries, keys, 12, 9);
        const support::inputs<float> in(p);
        const auto y = solve(in, heed::causal, heed::quest(8, 64));
        for (const int threads : {2, 3, 7}) {
            const heed::thread_pool pool(threads);
            CHECK(same(y, solve(in, heed::causal, heed::quest(8, 64), heed::on(pool))));
        }
        for (long b = 0; b < 3; ++b) {
            const auto part = [b](const auto& t) { return heed::as_view(t).slice_batch(b, 1); };
            const auto one =
                heed::attention(part(in.q), part(in.k), part(in.v), heed::causal, heed::quest(8, 64));
            CHECK(support::same_bits(one.data(), y.data() + b * one.size(),
                                     static_cast<std::size_t>(one.size())));
        }
    }
}

TEST_CASE("what a mask hides from every query changes no bit") {
    const heed_test::without_traps by_design;
    support::random r(722);
    for (int round = 0; round < 30; ++round) {
        auto p = support::problem<float>(r, 2, 4, 2, r.skewed(1, 20), r.between(40, 90), 7, 5);
        const auto mask = heed::mask_if([](heed::at i) { return i.key % 5 != 2; });
        const long length = r.between(20, p.keys);
        const std::vector<long> lengths{length, length};
        const support::inputs<float> clean(p);
        for (long j = 0; j < p.keys; ++j)
            if (j >= length || j % 5 == 2)
                for (long h = 0; h < 4; ++h) {
                    std::fill_n(p.k.begin() + (h * p.keys + j) * 7, 7,
                                r.chance(0.5) ? std::nan("") : HUGE_VAL);
                    std::fill_n(p.v.begin() + (h * p.keys + j) * 5, 5, std::nan(""));
                }
        const support::inputs<float> bad(p);
        const auto call = [&](const support::inputs<float>& in) {
            return solve(in, heed::key_lengths(lengths) & mask, heed::quest(6, 24));
        };
        CHECK(same(call(clean), call(bad)));
    }
}

TEST_CASE("a call with quest and a workspace that has grown allocates nothing") {
    support::random r(723);
    const heed::thread_pool pool(2);
    for (const auto& [queries, keys] : {std::pair{1L, 3000L}, {50L, 200L}}) {
        const auto p = support::problem<float>(r, 2, 4, 2, queries, keys, 12, 12);
        const support::inputs<float> in(p);
        support::tensor<float> y(2, 4, queries, 12);
        heed::workspace memory;
        const auto call = [&] {
            heed::attention_into(y, in.q, in.k, in.v, heed::causal, heed::quest(16, 64), heed::on(pool),
                                 heed::use(memory));
        };
        call();
        const auto first = y;
        long counted = -1;
        {
            const support::allocation_watch watch;
            call();
            counted = watch.count();
        }
        CHECK(counted == 0);
        CHECK(same(first, y));
    }
}

TEST_CASE("a quest that does not fit is an error, and nothing is written") {
    using heed_test::contains;
    support::random r(724);
    const auto p = support::problem<float>(r, 2, 4, 2, 3, 20, 6, 6);
    const support::inputs<float> in(p);
    support::tensor<float> y(2, 4, 3, 6);
    y.setConstant(77);
    const auto fails = [&](const auto& option, const char* text) {
        CHECK_THROWS_WITH(heed::attention_into(y, in.q, in.k, in.v, option), contains(text));
        CHECK((y.data()[0] == 77 && y.data()[y.size() - 1] == 77));
    };
    fails(heed::quest(0, 8), "heed::attention_into: quest got pages of 0 keys, needs at least 1");
    fails(heed::quest(4, 0), "quest got a budget of 0 keys, needs at least 1");
    heed::page_bounds<float> batch(1, 2, 6, 4), heads(2, 4, 6, 4), features(2, 2, 5, 4), length(2, 2, 6, 4);
    length.append(heed::as_view(in.k).slice_positions(0, 19));
    fails(heed::quest(batch, 8), "the bounds of quest have 1 batch entries, k has 2");
    fails(heed::quest(heads, 8), "the bounds of quest have 4 heads, k has 2");
    fails(heed::quest(features, 8), "the bounds of quest have 5 features, k has 6");
    fails(heed::quest(length, 8), "the bounds of quest hold 19 keys, k has 20");
}
