// SPDX-License-Identifier: MIT
// tests/cache/quantised.cpp: how far a number in a cache may be from the one it was given
#include <heed/kv_cache.hpp>

#include "support/cache_rows.hpp"
#include "support/traps.hpp"

TEST_CASE("floats of every size become whole numbers within half a scale") {
    support::random r(911);
    const auto check = [&]<class T>(heed::kv_cache<T> cache, const std::vector<float>& row) {
        support::tensor<float> k(1, 1, 1, static_cast<long>(row.size()));
        std::copy(row.begin(), row.end(), k.data());
        cache.append(k, k);
        CHECK(support::holds<T>(support::row_of(cache, 0, 0, 0, false), row));
        CHECK(support::holds<T>(support::row_of(cache, 0, 0, 0, true), row));
    };
    const float least = std::numeric_limits<float>::denorm_min(), most = std::numeric_limits<float>::max();
    for (const float size : {least, 3 * least, 100 * least, 190 * least, 1e-40f, 1e-38f, 1.f, 3e38f, most}) {
        std::vector<float> row(37, 0.f);
        check(heed::kv_cache<heed::int8>(1, 1, 37), row);
        check(heed::kv_cache<heed::int4>(1, 1, 37), row);
        for (float& x : row) x = static_cast<float>(r.uniform(-1, 1)) * size;
        row[r.chance(0.5) ? 5 : 36] = -size;
        check(heed::kv_cache<heed::int8>(1, 1, 37), row);
        check(heed::kv_cache<heed::int4>(1, 1, 37), row);
    }
    // Every tie, and its neighbours.
    for (int q = 0; q < 127; ++q) {
        const float tie = static_cast<float>(q) + 0.5f;
        check(heed::kv_cache<heed::int8>(1, 1, 4),
              {127, tie, -std::nextafter(tie, 0.f), std::nextafter(tie, 128.f)});
    }
}

TEST_CASE("int4 made from int8 is within half a scale of it") {
    support::random r(912);
    for (const bool shared : {false, true}) {
        heed::kv_cache<heed::int8> from(2, 2, 40,
                                        {.value_dim = 24, .window = 100, .sinks = 5, .shared = shared});
        for (const long n : {1L, 150L, 60L, 3L}) {
            const auto k = support::normal_tensor(r, 2, 2, n, 40), v = support::normal_tensor(r, 2, 2, n, 24);
            const std::vector<int> counts{static_cast<int>(n), static_cast<int>(n / 2)};
            shared ? from.append(k, counts) : from.append(k, v, counts);
        }
        heed::kv_cache<heed::int4> to = from.to_int4();
        CHECK(to.value_dim() == 24);
        CHECK(to.window() == 100);
        CHECK(to.bytes() < from.bytes());
        long compared = 0;
        for (long b = 0; b < 2; ++b) {
            REQUIRE(to.length(b) == from.length(b));
            CHECK(to.first_kept(b) == from.first_kept(b));
            for (long h = 0; h < 2; ++h)
                for (long j = 0; j < to.length(b); ++j) {
                    REQUIRE(support::is_held(to, b, j) == support::is_held(from, b, j));
                    if (!support::is_held(to, b, j)) continue;
                    for (const bool value : {false, true}) {
                        if (value && shared) continue;
                        const auto whole = support::row_of(from, b, h, j, value);
                        const std::vector<float> numbers(whole.x.begin(), whole.x.end());
                        CHECK(support::holds<heed::int4>(support::row_of(to, b, h, j, value), numbers));
                        ++compared;
                    }
                }
        }
        CHECK(compared > 200);
        const auto k = support::normal_tensor(r, 2, 2, 1, 40), v = support::normal_tensor(r, 2, 2, 1, 24);
        shared ? to.append(k) : to.append(k, v);
        CHECK(to.length(0) == from.length(0) + 1);
    }
}

TEST_CASE("numbers of float, half and bfloat16 may be anything") {
    const heed_test::without_traps by_design;
    const float inf = std::numeric_limits<float>::infinity();
    support::tensor<float> k(1, 1, 1, 4);
    k.setValues({{{{inf, -inf, std::numeric_limits<float>::quiet_NaN(), 70000.f}}}});
    const std::vector<float> row(k.data(), k.data() + 4);
    const auto check = [&]<class T>(heed::kv_cache<T> cache) {
        cache.append(k, k);
        CHECK(support::holds<T>(support::row_of(cache, 0, 0, 0, true), row));
    };
    check(heed::kv_cache<float>(1, 1, 4));
    check(heed::kv_cache<Eigen::half>(1, 1, 4));
    check(heed::kv_cache<Eigen::bfloat16>(1, 1, 4));
}
