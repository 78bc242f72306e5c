// SPDX-License-Identifier: MIT
// tests/cache/kv_cache.cpp: caches against a list of positions, through everything that can happen to them
#include <heed/kv_cache.hpp>

#include "support/allocation.hpp"
#include "support/cache_model.hpp"

namespace {

template <class T>
struct with_model {
    heed::kv_cache<T> cache;
    support::cache_model<T> model;
};

template <class T>
void append_some(support::random& r, with_model<T>& x) {
    const auto& c = x.cache;
    const long n = r.chance(0.5) ? 1 : r.skewed(1, 150) - 1;
    auto k = support::normal_tensor(r, c.batch(), c.kv_heads(), n, c.head_dim());
    auto v = support::normal_tensor(r, c.batch(), c.kv_heads(), n, c.value_dim());
    if (n > 0 && r.chance(0.1)) k.chip(0, 2).setZero();
    std::vector<long> counts(static_cast<std::size_t>(c.batch()), n);
    const bool ragged = r.chance(0.4);
    if (ragged) {
        for (std::size_t b = 0; b < counts.size(); ++b) {
            counts[b] = r.between(0, n);
            // Nobody looks at the others.
            for (long h = 0; h < c.kv_heads(); ++h)
                for (long i = counts[b]; i < n; ++i)
                    for (long f = 0; f < c.head_dim(); ++f)
                        k(static_cast<long>(b), h, i, f) = std::numeric_limits<float>::quiet_NaN();
        }
    }
    const auto give = [&](const auto& keys, const auto& values) {
        if (c.shared())
            ragged ? x.cache.append(keys, counts) : x.cache.append(keys);
        else
            ragged ? x.cache.append(keys, values, counts) : x.cache.append(keys, values);
    };
    if constexpr (std::is_same_v<T, Eigen::half> || std::is_same_v<T, Eigen::bfloat16>) {
        const support::tensor<T> own_k = k.template cast<T>(), own_v = v.template cast<T>();
        const long form = r.between(0, 2);
        if (form == 0) give(own_k, own_v);
        if (form == 1) give(own_k, v);
        if (form == 2) give(k, v);
    } else {
        give(k, v);
    }
    x.model.append(k, v, counts);
}

template <class T>
void truncate_some(support::random& r, with_model<T>& x) {
    const std::size_t b = static_cast<std::size_t>(r.between(0, x.cache.batch() - 1));
    const long at = static_cast<long>(b), length = x.model.length(b);
    const long n = std::max(0L, length - (r.chance(0.7) ? r.skewed(1, 100) - 1 : r.between(0, length)));
    if (!r.chance(0.3)) {
        if (!x.model.may_truncate(b, n)) {
            CHECK_THROWS_WITH(x.cache.truncate(at, n),
                              heed_test::contains("heed::kv_cache::truncate: n is "));
        } else {
            x.cache.truncate(at, n);
            x.model.truncate(b, n);
        }
        return;
    }
    bool fits = true;
    for (std::size_t i = 0; i < x.model.entries.size(); ++i)
        fits = fits && n <= x.model.length(i) && x.model.may_truncate(i, n);
    if (!fits) {
        CHECK_THROWS_AS(x.cache.truncate(n), heed::error);
    } else {
        x.cache.truncate(n);
        for (std::size_t i = 0; i < x.model.entries.size(); ++i) x.model.truncate(i, n);
    }
}

template <class T>
void random_life(std::uint64_t seed, int caches, int steps) {
    support::random r(seed);
    for (int round = 0; round < caches; ++round) {
        heed::kv_cache_config config;
        const long batch = r.between(1, 3), heads = r.between(1, 2), d = r.skewed(1, 70);
        config.shared = r.chance(0.25);
        config.value_dim = config.shared ? r.between(1, d) : r.chance(0.5) ? 0 : r.skewed(1, 70);
        config.page = 64 * r.between(1, 2);
        config.window = round % 2 == 0 ? 0 : r.skewed(2, 300);
        config.sinks = r.chance(0.5) ? 0 : r.skewed(1, 150);
        std::vector<with_model<T>> all;
        all.push_back({heed::kv_cache<T>(batch, heads, d, config),
                       {config, std::vector<std::vector<typename support::cache_model<T>::position>>(
                                    static_cast<std::size_t>(batch))}});
        INFO("round " << round << " B:" << batch << " H:" << heads << " D:" << d << "/" << config.value_dim
                      << " page " << config.page << " window " << config.window << " sinks " << config.sinks
                      << (config.shared ? " shared" : ""));
        for (int step = 0; step < steps; ++step) {
            const std::size_t i = static_cast<std::size_t>(r.between(0, static_cast<long>(all.size()) - 1));
            const double what = r.uniform();
            if (what < 0.7)
                append_some(r, all[i]);
            else if (what < 0.9)
                truncate_some(r, all[i]);
            else if (what < 0.97 && all.size() < 4)
                all.push_back({all[i].cache.fork(), all[i].model});
            else if (all.size() > 1)
                all.erase(all.begin() + static_cast<long>(i));
            if (step % 16 == 15 || step + 1 == steps)
                for (const auto& x : all) CHECK(x.model.wrong(x.cache) == 0);
        }
    }
}

template <class T>
void check_unchanged_by_failure(std::uint64_t seed) {
    support::random r(seed);
    const heed::kv_cache_config config{.window = 70, .sinks = 3};
    heed::kv_cache<T> cache(2, 2, 9, config);
    const auto k = support::normal_tensor(r, 2, 2, 170, 9);
    const auto part = [&](long first, long n) { return heed::as_view(k).slice_positions(first, n); };
    cache.append(part(0, 100), part(0, 100));
    const heed::kv_cache<T> fork = cache.fork();
    const std::string before = support::saved(cache);
    const long bytes = cache.bytes();
    long failures = 0, allocations = 0;
    for (bool done = false; !done; ++failures) {
        bool failed = false;
        {
            const support::allocation_watch watch(failures);
            try {
                cache.append(part(100, 70), part(100, 70));
            } catch (const std::bad_alloc&) {
                failed = true;
            }
            allocations = watch.count();
        }
        done = !failed;
        if (failed) {
            CHECK(support::saved(cache) == before);
            CHECK(cache.bytes() == bytes);
        }
    }
    CHECK(failures > 4);
    CHECK(allocations >= 4);  // a page of each entry, which no failure left behind
    heed::kv_cache<T> other(2, 2, 9, config);
    other.append(part(0, 100), part(0, 100));
    CHECK(support::saved(fork) == support::saved(other));
    other.append(part(100, 70), part(100, 70));
    CHECK(support::saved(cache) == support::saved(other));
}

}  // namespace

TEST_CASE("a cache holds what it was given, and forgets what no query sees") {
    random_life<float>(901, 12, 300);
    random_life<Eigen::half>(902, 8, 240);
    random_life<Eigen::bfloat16>(903, 8, 240);
    random_life<heed::int8>(904, 10, 300);
    random_life<heed::int4>(905, 10, 300);
}

TEST_CASE("an allocation that fails leaves a cache and its forks as they were") {
    check_unchanged_by_failure<float>(906);
    check_unchanged_by_failure<Eigen::half>(907);
    check_unchanged_by_failure<heed::int4>(908);
}

TEST_CASE("positions within a page allocate nothing, and only the page that is shared is copied") {
    support::random r(909);
    const auto k = support::normal_tensor(r, 1, 2, 200, 16);
    const auto at = [&](long j, long n = 1) { return heed::as_view(k).slice_positions(j, n); };
    heed::kv_cache<heed::int8> cache(1, 2, 16);
    cache.append(at(0, 130), at(0, 130));
    const auto counted = [&](auto& c, long j) {
        const support::allocation_watch watch;
        c.append(at(j), at(j));
        return watch.count();
    };
    CHECK(counted(cache, 130) == 0);
    heed::kv_cache<heed::int8> fork = cache.fork();
    for (long page = 0; page < 3; ++page) CHECK(fork.page_table(0)[page] == cache.page_table(0)[page]);
    CHECK(counted(fork, 131) > 0);
    CHECK(counted(cache, 132) == 0);  // nobody has its page now
    for (long page = 0; page < 2; ++page) CHECK(fork.page_table(0)[page] == cache.page_table(0)[page]);
    CHECK(fork.page_table(0)[2] != cache.page_table(0)[2]);
    CHECK(support::row_of(cache, 0, 0, 131, false).x != support::row_of(fork, 0, 0, 131, false).x);
}

TEST_CASE("tensors may stand in any order in memory") {
    support::random r(910);
    const auto k = support::normal_tensor(r, 2, 3, 70, 12);
    Eigen::Tensor<float, 4> columns(2, 3, 70, 12);
    Eigen::Tensor<Eigen::bfloat16, 4> narrow(2, 3, 70, 12);
    for (long b = 0; b < 2; ++b)
        for (long h = 0; h < 3; ++h)
            for (long j = 0; j < 70; ++j)
                for (long f = 0; f < 12; ++f) {
                    columns(b, h, j, f) = k(b, h, j, f);
                    narrow(b, h, j, f) = static_cast<Eigen::bfloat16>(k(b, h, j, f));
                }
    const auto same = [&](auto cache, const auto& other) {
        auto turned = cache;
        cache.append(k, k);
        turned.append(other, other);
        CHECK(support::saved(cache) == support::saved(turned));
    };
    same(heed::kv_cache<float>(2, 3, 12), columns);
    same(heed::kv_cache<heed::int4>(2, 3, 12), columns);
    same(heed::kv_cache<Eigen::bfloat16>(2, 3, 12), columns);
    same(heed::kv_cache<Eigen::bfloat16>(2, 3, 12), narrow);
    const Eigen::Tensor<float, 2, Eigen::RowMajor> rows = k.chip(0, 0).chip(0, 0);
    heed::kv_cache<float> one(1, 1, 12);
    one.append(rows, rows);
    CHECK(one.length(0) == 70);
}

TEST_CASE("a window of one position forgets all that is behind") {
    heed::kv_cache<float> cache(1, 1, 2, {.window = 1});
    support::tensor<float> k(1, 1, 64, 2);
    k.setConstant(1);
    for (int i = 0; i < 3; ++i) cache.append(k, k);
    CHECK(cache.first_kept(0) == 128);
    CHECK_THROWS_WITH(cache.truncate(0, 100), heed_test::contains("needs at most 0 or at least 128"));
    cache.truncate(0, 128);
    cache.append(k, k);
    CHECK(cache.length(0) == 192);
    cache.truncate(0);
    CHECK(cache.first_kept(0) == 0);
    CHECK(cache.bytes() == 0);
    cache.append(k, k);
    CHECK(support::is_held(cache, 0, 0));
}
