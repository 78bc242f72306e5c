// SPDX-License-Identifier: MIT
// tests/cache/errors.cpp: what a cache refuses, in words, and is afterwards as it was
#include <array>

#include <heed/kv_cache.hpp>

#include "support/cache_rows.hpp"
#include "support/traps.hpp"

using heed_test::contains;

namespace {

support::tensor<float> filled(long b, long h, long n, long d, float with = 1) {
    support::tensor<float> t(b, h, n, d);
    t.setConstant(with);
    return t;
}

template <class T, class Call>
void refuses(const heed::kv_cache<T>& cache, const std::string& words, const Call& call) {
    const std::string before = support::saved(cache);
    const heed::index bytes = cache.bytes();
    CHECK_THROWS_WITH(call(), contains(words));
    CHECK(support::saved(cache) == before);
    CHECK(cache.bytes() == bytes);
}

}  // namespace

TEST_CASE("what no cache is made with is named") {
    using cache = heed::kv_cache<float>;
    CHECK_THROWS_WITH(cache(-1, 1, 8),
                      contains("heed::kv_cache: batch is -1, needs a number from 0 to 2^31 - 1"));
    CHECK_THROWS_WITH(cache(1, 0, 8), contains("heed::kv_cache: kv_heads is 0, needs a number from 1"));
    CHECK_THROWS_WITH(cache(1, 1, 0), contains("heed::kv_cache: head_dim is 0, needs a number from 1"));
    CHECK_THROWS_WITH(cache(1, 1, 8, {.value_dim = -3}), contains("value_dim is -3"));
    CHECK_THROWS_WITH(cache(1, 1, 8, {.page = 0}), contains("page is 0, needs a number from 64"));
    CHECK_THROWS_WITH(cache(1, 1, 8, {.page = 96}), contains("page is 96, needs a multiple of 64 positions"));
    CHECK_THROWS_WITH(cache(1, 1, 8, {.window = -1}), contains("window is -1"));
    CHECK_THROWS_WITH(cache(1, 1, 8, {.sinks = 1L << 31}), contains("sinks is 2147483648"));
    CHECK_THROWS_WITH(cache(1, 1, 8, {.value_dim = 9, .shared = true}),
                      contains("value_dim is 9, needs at most the 8 features of a key"));
    CHECK_THROWS_WITH(cache(1, 1, 20, {.rotated = true}),
                      contains("head_dim is 20, needs a multiple of 8 features to be rotated"));
    CHECK_THROWS_WITH(cache(1, 1, 16, {.value_dim = 12, .rotated = true}), contains("value_dim is 12"));
    CHECK_THROWS_WITH(
        cache(1, 1, 64, {.value_dim = 32, .rotated = true, .shared = true}),
        contains("value_dim is 32, needs a multiple of the 64 features that are rotated together"));
    const long most = heed::longest_axis;
    CHECK_THROWS_WITH(cache(1, most, most, {.page = most / 64 * 64}), contains("does not fit in memory"));
    CHECK(cache(0, 1, 8).bytes() == 0);
    CHECK(cache(1, 1, 24, {.value_dim = 40, .rotated = true}).value_block() == 8);
}

TEST_CASE("positions that do not fit are refused, and nothing has changed") {
    heed::kv_cache<float> cache(2, 3, 8, {.value_dim = 5});
    cache.append(filled(2, 3, 70, 8), filled(2, 3, 70, 5));
    const auto k = filled(2, 3, 4, 8), v = filled(2, 3, 4, 5);
    const auto given = [&](const std::string& words, const auto&... x) {
        refuses(cache, "heed::kv_cache::append: " + words, [&] { cache.append(x...); });
    };
    given("k has 1 batch entries, the cache has 2", filled(1, 3, 4, 8), v);
    given("k has 2 heads, the cache has 3", filled(2, 2, 4, 8), v);
    given("k has 7 features, the cache has 8", filled(2, 3, 4, 7), v);
    given("v has 6 features, the cache has 5", k, filled(2, 3, 4, 6));
    given("v has 3 positions, k has 4", k, filled(2, 3, 3, 5));
    given("needs v too, since this cache does not share", k);
    given("lengths has 3 numbers, needs one for each of the 2 batch entries", k, v,
          std::vector<int>{1, 2, 3});
    given("lengths[1] is 5, needs a length from 0 to the 4 positions of k", k, v, std::array<long, 2>{4, 5});
    given("lengths[0] is -1", k, v, std::vector<int>{-1, 2});
    given("k has no memory", heed::view<const float>(nullptr, {2, 3, 4, 8}), v);
    heed::kv_cache<float> shared(2, 3, 8, {.shared = true});
    refuses(shared, "v is given, and this cache shares its values with its keys; needs k alone",
            [&] { shared.append(k, k); });
    refuses(cache, "heed::kv_cache::truncate: n is 71, needs a length from 0 to the 70 positions of entry 0",
            [&] { cache.truncate(71); });
    refuses(cache, "heed::kv_cache::truncate: n is -1", [&] { cache.truncate(1, -1); });
    refuses(cache, "heed::kv_cache::truncate: b is 2, needs one of the 2 batch entries",
            [&] { cache.truncate(2, 0); });
    refuses(cache, "heed::kv_cache::length: b is -1", [&] { (void)cache.length(-1); });
    refuses(cache, "heed::kv_cache::first_kept: b is 2", [&] { (void)cache.first_kept(2); });
    refuses(cache, "heed::kv_cache::page_table: b is 9", [&] { (void)cache.page_table(9); });
    // One entry alone is short of it.
    cache.append(k, v, std::array{4, 0});
    refuses(cache, "n is 72, needs a length from 0 to the 70 positions of entry 1",
            [&] { cache.truncate(72); });
    cache.append(filled(2, 3, 0, 8), filled(2, 3, 0, 5));
    CHECK(cache.length(0) == 74);
    CHECK(cache.length(1) == 70);
}

TEST_CASE("a query at the new end would see what is forgotten") {
    heed::kv_cache<float> cache(1, 1, 1, {.window = 100, .sinks = 70});
    for (int i = 0; i < 10; ++i) cache.append(filled(1, 1, 64, 1), filled(1, 1, 64, 1));
    // The last 64 came when there were 576: pages 2 to 6 went.
    CHECK(cache.first_kept(0) == 448);
    refuses(cache,
            "n is 546, where a query sees positions that entry 0 has forgotten; needs at most 128 or at "
            "least 547",
            [&] { cache.truncate(546); });
    refuses(cache, "n is 129, where a query sees", [&] { cache.truncate(0, 129); });
    cache.truncate(547);
    CHECK(cache.length(0) == 547);
    CHECK(cache.first_kept(0) == 448);
    cache.truncate(0, 128);
    CHECK(cache.first_kept(0) == 70);
}

TEST_CASE("numbers that are not finite cannot become whole ones") {
    const heed_test::without_traps by_design;
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const auto check = [&]<class T>(heed::kv_cache<T> cache) {
        cache.append(filled(2, 1, 5, 8), filled(2, 1, 5, 8));
        const auto good = filled(2, 1, 3, 8);
        auto bad = good;
        for (const float x : {inf, -inf, nan}) {
            bad(1, 0, 2, 3) = x;
            refuses(cache, "heed::kv_cache::append: k(1, 0, 2, 3) is ", [&] { cache.append(bad, good); });
            refuses(cache, "heed::kv_cache::append: v(1, 0, 2, 3) is ", [&] { cache.append(good, bad); });
        }
        cache.append(bad, bad, std::array{3, 2});
        CHECK(cache.length(1) == 7);
    };
    check(heed::kv_cache<heed::int8>(2, 1, 8));
    check(heed::kv_cache<heed::int4>(2, 1, 8));
    check(heed::kv_cache<heed::int8>(2, 1, 8, {.rotated = true}));
    const auto large = filled(1, 1, 1, 8, 1e38f);
    heed::kv_cache<heed::int8> rotated(1, 1, 8, {.rotated = true}), plain(1, 1, 8);
    refuses(rotated, "is 1e+38, needs to stay finite when it is rotated",
            [&] { rotated.append(large, large); });
    plain.append(large, large);
}
