// SPDX-License-Identifier: MIT
// tests/score/dropout.cpp: which weights are dropped, how many, and that it repeats
//
// With v the unit matrix the result is the dropped weights themselves.
#include <heed/thread_pool.hpp>

#include "support/call.hpp"

namespace {

struct dropped {
    reference::problem p;
    support::tensor<float> y, w;
};

dropped run(long batch, long heads, long queries, long keys, double p, std::uint64_t seed) {
    support::random r(851);
    dropped d{support::problem<float>(r, batch, heads, heads, queries, keys, 4, keys), {}, {}};
    std::fill(d.p.v.begin(), d.p.v.end(), 0.0);
    for (long h = 0; h < batch * heads; ++h)
        for (long j = 0; j < keys; ++j) d.p.v[static_cast<std::size_t>((h * keys + j) * keys + j)] = 1;
    const support::inputs<float> in(d.p);
    d.y = support::tensor<float>(batch, heads, queries, keys);
    d.w = d.y;
    heed::attention_into(d.y, in.q, in.k, in.v, heed::dropout(p, seed), heed::weights(d.w));
    return d;
}

std::vector<bool> kept(const dropped& d) {
    std::vector<bool> k;
    for (long i = 0; i < d.y.size(); ++i) k.push_back(d.y.data()[i] != 0);
    return k;
}

}  // namespace

TEST_CASE("a weight is dropped or multiplied by 1 / (1 - p); the weights written are whole") {
    for (const double p : {0.0, 0.1, 0.5, 0.9}) {
        const auto d = run(2, 2, 37, 150, p, 12345);
        long wrong = 0;
        for (long i = 0; i < d.y.size(); ++i) {
            const double y = support::widen(d.y.data()[i]), w = support::widen(d.w.data()[i]) / (1 - p);
            wrong += y != 0 && std::fabs(y - w) > 1e-6 * w;
        }
        CHECK(wrong == 0);
        auto whole = d.p;
        CHECK(support::max_error(support::values(d.w), reference::solve<double>(whole).weights) < 1e-6);
    }
}

TEST_CASE("the share of dropped weights is p, in every row, column and corner") {
    const long n = 160;
    for (const double p : {0.1, 0.5, 0.83}) {
        const auto k = kept(run(2, 4, n, n, p, 99));
        const double total = static_cast<double>(k.size());
        double count = 0, worst_row = 0, worst_column = 0;
        for (const bool b : k) count += b;
        // five standard deviations of a binomial count
        CHECK(std::fabs(count / total - (1 - p)) < 5 * std::sqrt(p * (1 - p) / total));
        for (long m = 0; m < 8; ++m)
            for (long i = 0; i < n; ++i) {
                double row = 0, column = 0;
                for (long j = 0; j < n; ++j) {
                    row += k[static_cast<std::size_t>((m * n + i) * n + j)];
                    column += k[static_cast<std::size_t>((m * n + j) * n + i)];
                }
                worst_row = std::fmax(worst_row, std::fabs(row / n - (1 - p)));
                worst_column = std::fmax(worst_column, std::fabs(column / n - (1 - p)));
            }
        const double sigma = std::sqrt(p * (1 - p) / n);
        CHECK(worst_row < 5 * sigma);
        CHECK(worst_column < 5 * sigma);
    }
}

TEST_CASE("neighbours, heads, batches and seeds are independent") {
    const long n = 128;
    const auto a = kept(run(2, 2, n, n, 0.5, 7)), b = kept(run(2, 2, n, n, 0.5, 8));
    const auto agreement = [](const auto& f, std::size_t count) {
        double same = 0;
        for (std::size_t i = 0; i < count; ++i) same += f(i);
        return std::fabs(same / double(count) - 0.5) / (0.5 / std::sqrt(double(count)));
    };
    const std::size_t square = static_cast<std::size_t>(n * n), all = a.size();
    CHECK(agreement([&](std::size_t i) { return a[i] == b[i]; }, all) < 5);
    CHECK(agreement([&](std::size_t i) { return a[i] == a[i + 1]; }, all - 1) < 5);
    CHECK(agreement([&](std::size_t i) { return a[i] == a[i + n]; }, all - n) < 5);
    CHECK(agreement([&](std::size_t i) { return a[i] == a[i + square]; }, square) < 5);
    CHECK(agreement([&](std::size_t i) { return a[i] == a[i + 2 * square]; }, square) < 5);
}

TEST_CASE("the same seed drops the same weights, whatever the shape around them") {
    const auto large = run(2, 3, 150, 300, 0.3, 1ull << 40);
    const auto small = run(1, 2, 70, 130, 0.3, 1ull << 40);
    const auto few = run(2, 1, 2, 300, 0.3, 1ull << 40);
    long different = 0;
    for (long h = 0; h < 2; ++h)
        for (long i = 0; i < 70; ++i)
            for (long j = 0; j < 130; ++j)
                different += (large.y(0, h, i, j) == 0) != (small.y(0, h, i, j) == 0);
    for (long b = 0; b < 2; ++b)
        for (long i = 0; i < 2; ++i)
            for (long j = 0; j < 300; ++j)
                different += (large.y(b, 0, i, j) == 0) != (few.y(b, 0, i, j) == 0);
    CHECK(different == 0);
}

TEST_CASE("dropout over real values agrees with the oracle given which weights stay") {
    const auto d = run(2, 2, 60, 200, 0.25, 5);
    support::random r(852);
    auto p = d.p;
    p.d_v = 12;
    p.v = support::normals<float>(r, p.v_size());
    p.keep = [&](reference::place i) { return d.y(i.batch, i.head, i.query, i.key) != 0 ? 1 / 0.75 : 0.0; };
    support::check_call<float>(p, heed::dropout(0.25, 5));
}

TEST_CASE("dropout(0) changes no bit") {
    support::random r(853);
    for (int i = 0; i < 20; ++i) {
        const support::inputs<float> in(support::random_problem<float>(r));
        CHECK(support::same_bits(
            support::elements(heed::attention(in.q, in.k, in.v, heed::causal)),
            support::elements(heed::attention(in.q, in.k, in.v, heed::causal, heed::dropout(0, 3)))));
    }
}
