// SPDX-License-Identifier: MIT
// tests/cache/rotated.cpp: rows behind a Hadamard rotation
#include <heed/kv_cache.hpp>

#include "support/cache_rows.hpp"

namespace {

std::vector<float> normals(support::random& r, long n) {
    std::vector<float> x(static_cast<std::size_t>(n));
    for (float& y : x) y = static_cast<float>(r.normal());
    return x;
}

// The rotation by its definition: entry (i, j) of a block of n is (-1)^(ones of i & j) / sqrt(n).
std::vector<double> rotated(const std::vector<float>& x, long n) {
    std::vector<double> y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t size = static_cast<std::size_t>(n), first = i / size * size;
        for (std::size_t j = first; j < first + size; ++j)
            y[i] += (__builtin_popcountll((i - first) & (j - first)) % 2 == 0 ? 1 : -1) * double(x[j]);
        y[i] /= std::sqrt(double(n));
    }
    return y;
}

double norm(const auto& x) {
    double sum = 0;
    for (const auto y : x) sum += double(y) * double(y);
    return std::sqrt(sum);
}
double distance(const auto& x, const auto& y) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(double(x[i]) - double(y[i]), 2);
    return std::sqrt(sum);
}

support::tensor<float> as_tensor(const std::vector<float>& x) {
    support::tensor<float> t(1, 1, 1, static_cast<long>(x.size()));
    std::copy(x.begin(), x.end(), t.data());
    return t;
}

// Rotates the row that a cache holds back.
template <class T>
std::vector<float> turned_back(const heed::kv_cache<T>& cache, bool value) {
    const auto row = support::row_of(cache, 0, 0, 0, value);
    std::vector<float> x(row.x.begin(), row.x.end());
    heed::detail::hadamard_rows(x.data(), static_cast<heed::index>(x.size()),
                                value ? cache.value_block() : cache.key_block());
    return x;
}

}  // namespace

TEST_CASE("the rotation is what its formula says, keeps norms and is its own inverse") {
    support::random r(941);
    for (const long features : {8L, 16L, 24L, 64L, 80L, 96L, 128L, 192L, 256L, 576L}) {
        const long block = heed::detail::hadamard_block(features);
        CHECK(features % block == 0);
        CHECK(features / block % 2 == 1);
        const auto x = normals(r, features);
        auto y = x;
        heed::detail::hadamard_rows(y.data(), features);
        CHECK(distance(y, rotated(x, block)) < 1e-6 * norm(x));
        CHECK(std::fabs(norm(y) - norm(x)) < 1e-6 * norm(x));
        heed::detail::hadamard_rows(y.data(), features);
        CHECK(distance(y, x) < 1e-6 * norm(x));
    }
}

TEST_CASE("a rotated cache holds rotated rows of every element") {
    support::random r(942);
    const auto check = [&]<class T>(heed::kv_cache<T> cache, double allowed) {
        const auto k = normals(r, cache.head_dim()), v = normals(r, cache.value_dim());
        cache.append(as_tensor(k), as_tensor(v));
        CHECK(distance(turned_back(cache, false), k) <= allowed * norm(k));
        CHECK(distance(turned_back(cache, true), v) <= allowed * norm(v));
        CHECK(distance(support::row_of(cache, 0, 0, 0, false).x, rotated(k, cache.key_block())) <=
              allowed * norm(k));
        // From the type itself too.
        if constexpr (std::is_same_v<T, Eigen::half> || std::is_same_v<T, Eigen::bfloat16>) {
            auto own = cache;
            own.truncate(0);
            const support::tensor<T> own_k = as_tensor(k).template cast<T>();
            const support::tensor<T> own_v = as_tensor(v).template cast<T>();
            own.append(own_k, own_v);
            CHECK(distance(turned_back(own, false), k) <= 2 * allowed * norm(k));
        }
    };
    const heed::kv_cache_config config{.value_dim = 48, .rotated = true};
    check(heed::kv_cache<float>(1, 1, 128, config), 1e-6);
    check(heed::kv_cache<Eigen::half>(1, 1, 128, config), 1e-3);
    check(heed::kv_cache<Eigen::bfloat16>(1, 1, 128, config), 4e-3);
    check(heed::kv_cache<heed::int8>(1, 1, 128, config), 2e-2);
    check(heed::kv_cache<heed::int4>(1, 1, 128, config), 0.3);
}

TEST_CASE("scores do not change when the query is rotated as the keys are") {
    support::random r(943);
    heed::kv_cache<float> cache(1, 1, 96, {.rotated = true});
    const auto k = normals(r, 96);
    auto q = normals(r, 96);
    cache.append(as_tensor(k), as_tensor(k));
    double score = 0, turned = 0;
    for (std::size_t f = 0; f < 96; ++f) score += double(q[f]) * double(k[f]);
    heed::detail::hadamard_rows(q.data(), 96, cache.key_block());
    const auto row = support::row_of(cache, 0, 0, 0, false).x;
    for (std::size_t f = 0; f < 96; ++f) turned += double(q[f]) * row[f];
    CHECK(std::fabs(turned - score) < 1e-5);
}

TEST_CASE("shared values are the first features of a key that is rotated back") {
    support::random r(944);
    heed::kv_cache<float> cache(1, 1, 576, {.value_dim = 512, .rotated = true, .shared = true});
    CHECK(cache.key_block() == 64);
    CHECK(cache.value_block() == 64);
    const auto k = normals(r, 576);
    cache.append(as_tensor(k));
    const auto value = turned_back(cache, true);
    CHECK(value.size() == 512);
    CHECK(distance(value, std::vector<float>(k.begin(), k.begin() + 512)) < 1e-5);
}

TEST_CASE("a rotation spreads outliers, and int4 loses less") {
    support::random r(945);
    double plain_error = 0, rotated_error = 0;
    for (int round = 0; round < 200; ++round) {
        auto x = normals(r, 128);
        for (int i = 0; i < 2; ++i) x[static_cast<std::size_t>(r.between(0, 127))] *= 20;
        heed::kv_cache<heed::int4> plain(1, 1, 128), spread(1, 1, 128, {.rotated = true});
        plain.append(as_tensor(x), as_tensor(x));
        spread.append(as_tensor(x), as_tensor(x));
        plain_error += distance(support::row_of(plain, 0, 0, 0, true).x, x);
        rotated_error += distance(turned_back(spread, true), x);
    }
    INFO("int4 error, rotated over plain: " << rotated_error / plain_error);
    CHECK(rotated_error <= 0.6 * plain_error);
}
