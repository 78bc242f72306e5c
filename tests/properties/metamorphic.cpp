// SPDX-License-Identifier: MIT
// tests/properties/metamorphic.cpp: relations that hold whatever the right answer is (R5)
#include <algorithm>
#include <numeric>

#include <heed/thread_pool.hpp>

#include "support/call.hpp"
#include "support/traps.hpp"

namespace {

constexpr double ulp_of_one = 0x1p-23;

support::tensor<float> attend(const reference::problem& p) {
    const support::inputs<float> in(p);
    return heed::attention(in.q, in.k, in.v);
}

// Largest distance of y from 1 with v = 1.
double off_one(support::random& r, long queries, long keys, double spread) {
    auto p = support::problem<float>(r, 1, 1, 1, queries, keys, 1, 1);
    for (double& x : p.q) x = static_cast<double>(static_cast<float>(x * spread));
    std::fill(p.v.begin(), p.v.end(), 1.0);
    return support::max_error(support::values(attend(p)), std::vector<double>(p.y_size(), 1.0));
}

}  // namespace

TEST_CASE("v = 1 gives 1 within 16 ULP at every length") {
    support::random r(1101);
    double worst = 0, worst_long = 0;
    for (long keys = 1; keys <= 700; ++keys) {
        worst = std::fmax(worst, off_one(r, 1, keys, 1));
        worst = std::fmax(worst, off_one(r, 5, keys, 3));
    }
    for (int i = 0; i < 60; ++i)
        worst_long = std::fmax(worst_long, off_one(r, i % 2 ? 1 : 7, r.between(700, 65536), 2));
    for (const long keys : {4096L, 8191L, 8193L, 65535L, 65536L})
        worst_long = std::fmax(worst_long, off_one(r, 5, keys, 1));
    CHECK(worst <= 16 * ulp_of_one);
    CHECK(worst_long <= 16 * ulp_of_one);
}

TEST_CASE("v = 1 has no bias: the mean over 100,000 rows is within half an ULP") {
    support::random r(1102);
    for (const long queries : {2500L, 4L}) {
        const long batch = 100000 / queries / 4;
        auto p = support::problem<float>(r, batch, 4, 4, queries, 40, 2, 1);
        std::fill(p.v.begin(), p.v.end(), 1.0);
        double sum = 0;
        for (const double y : support::values(attend(p))) sum += y - 1;
        CHECK(std::fabs(sum / static_cast<double>(p.y_size())) < 0.5 * ulp_of_one);
    }
}

TEST_CASE("every result lies between the least and the largest value") {
    support::for_problems<float>(1103, 120, [](reference::problem& p, support::random&) {
        const auto y = support::values(attend(p));
        const double slack = 16 * support::ulp<float>(support::max_abs(p.v));
        long outside = 0;
        for (long row = 0; row < static_cast<long>(p.rows()); ++row) {
            const long head = row / p.queries;
            const long kv = head / p.heads * p.kv_heads + head % p.heads / (p.heads / p.kv_heads);
            for (long f = 0; f < p.d_v; ++f) {
                double low = HUGE_VAL, high = -HUGE_VAL;
                for (long j = 0; j < p.keys; ++j) {
                    const double v = p.v[static_cast<std::size_t>((kv * p.keys + j) * p.d_v + f)];
                    low = std::fmin(low, v), high = std::fmax(high, v);
                }
                const double got = y[static_cast<std::size_t>(row * p.d_v + f)];
                outside += !(got >= low - slack && got <= high + slack);
            }
        }
        INFO(support::describe(p));
        CHECK(outside == 0);
    });
}

TEST_CASE("the order of the keys does not matter") {
    support::for_problems<float>(1104, 120, [](reference::problem& p, support::random& r) {
        const auto y = support::values(attend(p));
        std::vector<long> order(static_cast<std::size_t>(p.keys));
        std::iota(order.begin(), order.end(), 0);
        for (std::size_t i = order.size(); i > 1; --i)
            std::swap(order[i - 1], order[static_cast<std::size_t>(r.between(0, long(i) - 1))]);
        auto shuffled = p;
        for (long h = 0; h < p.batch * p.kv_heads; ++h)
            for (long j = 0; j < p.keys; ++j) {
                const long from = h * p.keys + order[static_cast<std::size_t>(j)], to = h * p.keys + j;
                std::copy_n(p.k.begin() + from * p.d_k, p.d_k, shuffled.k.begin() + to * p.d_k);
                std::copy_n(p.v.begin() + from * p.d_v, p.d_v, shuffled.v.begin() + to * p.d_v);
            }
        INFO(support::describe(p));
        CHECK(support::max_error(support::values(attend(shuffled)), y) <=
              16 * support::ulp<float>(support::max_abs(p.v)));
    });
}

TEST_CASE("all keys twice changes nothing but the log-sum-exp, by ln 2") {
    support::for_problems<float>(1105, 60, [](reference::problem& p, support::random&) {
        auto twice = p;
        twice.keys *= 2;
        twice.k.clear(), twice.v.clear();
        for (long h = 0; h < p.batch * p.kv_heads; ++h)
            for (int copy = 0; copy < 2; ++copy) {
                twice.k.insert(twice.k.end(), p.k.begin() + h * p.keys * p.d_k,
                               p.k.begin() + (h + 1) * p.keys * p.d_k);
                twice.v.insert(twice.v.end(), p.v.begin() + h * p.keys * p.d_v,
                               p.v.begin() + (h + 1) * p.keys * p.d_v);
            }
        const support::inputs<float> in(p), in_twice(twice);
        support::tensor<float, 3> lse(p.batch, p.heads, p.queries), lse_twice(lse);
        const auto y = heed::attention(in.q, in.k, in.v, heed::logsumexp(lse));
        const auto z = heed::attention(in_twice.q, in_twice.k, in_twice.v, heed::logsumexp(lse_twice));
        INFO(support::describe(p));
        CHECK(support::max_error(support::values(y), support::values(z)) <=
              16 * support::ulp<float>(support::max_abs(p.v)));
        double worst = 0;
        for (long i = 0; i < lse.size(); ++i)
            worst = std::fmax(worst, std::fabs(support::widen(lse_twice.data()[i]) -
                                               support::widen(lse.data()[i]) - std::log(2.0)) /
                                         (1 + std::fabs(support::widen(lse.data()[i]))));
        CHECK(worst <= 16 * ulp_of_one);
    });
}

namespace {

// The largest and smallest of a row's values, of those of v that it may see, and of what came out.
template <class T, class... Options>
void check_within_values(long queries, long keys, const Options&... options) {
    const double most = static_cast<double>((std::numeric_limits<T>::max)());
    constexpr long features = 19;
    support::tensor<T> q(1, 2, queries, 4), k(1, 1, keys, 4), v(1, 1, keys, features),
        y(1, 2, queries, features);
    support::random r(1160);
    for (auto* x : {&q, &k})
        for (long i = 0; i < x->size(); ++i) x->data()[i] = support::narrow<T>(r.normal());
    // Of one sign and size, of both signs, near the end, ordinary, and one that is large among ordinary ones.
    for (long j = 0; j < keys; ++j)
        for (long f = 0; f < features; ++f) {
            const double kinds[] = {most,
                                    -most,
                                    j % 2 == 0 ? most : -most,
                                    most * 0.9,
                                    0.5 * r.uniform(1, 2),
                                    j == keys / 2 ? most : 1.0};
            v(0, 0, j, f) = support::narrow<T>(kinds[f % 6]);
        }
    y.setConstant(support::narrow<T>(-77));
    heed::attention_into(y, q, k, v, options...);
    long outside = 0;
    for (long f = 0; f < features; ++f) {
        double low = HUGE_VAL, high = -HUGE_VAL, size = 0;
        for (long j = 0; j < keys; ++j) {
            const double x = static_cast<double>(v(0, 0, j, f));
            low = std::fmin(low, x), high = std::fmax(high, x);
        }
        size = std::fmax(std::fabs(low), std::fabs(high));
        const double unit = 16 * support::ulp<T>(size * 0.999);
        for (long h = 0; h < 2; ++h)
            for (long i = 0; i < queries; ++i) {
                const double got = static_cast<double>(y(0, h, i, f));
                outside += !(got >= low - unit && got <= high + unit);
            }
    }
    INFO(queries << " queries, " << keys << " keys of " << sizeof(T) << " bytes");
    CHECK(outside == 0);
    if constexpr (sizeof...(Options) == 0) {
        // The same bits on threads; columns that do not overflow have those of a call without the others.
        const heed::thread_pool pool(3);
        support::tensor<T> on_threads(y.dimensions()), alone(1, 2, queries, 1), one(1, 1, keys, 1);
        heed::attention_into(on_threads, q, k, v, heed::on(pool));
        CHECK(support::same_bits(support::elements(y), support::elements(on_threads)));
        for (long j = 0; j < keys; ++j) one(0, 0, j, 0) = v(0, 0, j, 4);
        heed::attention_into(alone, q, k, one);
        double off = 0;
        for (long h = 0; h < 2; ++h)
            for (long i = 0; i < queries; ++i)
                off = std::fmax(off, std::fabs(static_cast<double>(y(0, h, i, 4)) -
                                               static_cast<double>(alone(0, h, i, 0))));
        CHECK(off <= 4 * support::ulp<T>(1));
    }
}

}  // namespace

TEST_CASE("means of the largest numbers are no larger than those") {
    const heed_test::without_traps overflowing;  // the first sums do, by design
    const auto each = [](auto element) {
        using T = decltype(element);
        for (const long queries : {1L, 4L, 5L, 70L})
            for (const long keys : {2L, 130L, 2100L}) check_within_values<T>(queries, keys);
        // A score that leaves one key in a row next to nothing, and masks that split tiles.
        for (const long queries : {2L, 9L}) {
            check_within_values<T>(queries, 700, heed::score([](auto s, heed::at i) {
                                       return heed::math::select(i.key % 3 == 0, s - 60, s);
                                   }));
            check_within_values<T>(queries, 700, heed::causal, heed::window(90, 10));
        }
    };
    each(float()), each(double()), each(Eigen::bfloat16()), each(Eigen::half());
    for (const long queries : {3L, 9L}) check_within_values<float>(queries, 140000);
}

TEST_CASE("a row whose sums overflow leaves the digits of its neighbours alone") {
    const heed_test::without_traps overflowing;
    // Row i sees the first i + 1 shares of the keys. The values of the first half are so small that those of
    // a row that was scaled would lose digits, those of the second so large that sums of two overflow.
    const long keys = 256;
    for (const long queries : {2L, 3L, 4L, 9L, 48L, 100L}) {
        support::random r(static_cast<std::uint64_t>(1040 + queries));
        support::tensor<float> q(1, 1, queries, 2), k(1, 1, keys, 2), v(1, 1, keys, 3);
        support::tensor<bool> sees(1, 1, queries, keys);
        q.setConstant(0.5f), k.setConstant(0.25f);
        for (long j = 0; j < keys; ++j) {
            v(0, 0, j, 0) = static_cast<float>(r.uniform(1, 2) * (j < keys / 2 ? 1e-36 : 1e38));
            v(0, 0, j, 1) = static_cast<float>(r.uniform(-1, 1));
            v(0, 0, j, 2) = static_cast<float>(r.uniform(1, 2) * (j < keys / 2 ? 1 : 1e38));
            for (long i = 0; i < queries; ++i) sees(0, 0, i, j) = j * queries < keys * (i + 1);
        }
        const auto y = heed::attention(q, k, v, heed::mask(sees));
        double worst = 0;
        for (long i = 0; i < queries; ++i)
            for (long f = 0; f < 3; ++f) {
                double mean = 0, size = 0, seen = 0;
                for (long j = 0; j < keys && sees(0, 0, i, j); ++j) {
                    const double x = static_cast<double>(v(0, 0, j, f));
                    mean += x, size += std::fabs(x), seen += 1;
                }
                worst = std::fmax(worst, std::fabs(static_cast<double>(y(0, 0, i, f)) * seen - mean) / size);
            }
        INFO(queries << " queries");
        CHECK(worst <= 1e-6);
    }
}

TEST_CASE("infinities and NaN among the values stay what they are") {
    const heed_test::without_traps overflowing;
    for (const long queries : {3L, 9L}) {
        support::tensor<float> q(1, 1, queries, 2), k(1, 1, 40, 2), v(1, 1, 40, 4);
        q.setConstant(0.5f), k.setConstant(0.25f), v.setConstant(3e38f);
        v(0, 0, 7, 1) = HUGE_VALF, v(0, 0, 8, 2) = -HUGE_VALF, v(0, 0, 9, 3) = std::nanf("");
        const auto y = heed::attention(q, k, v);
        for (long i = 0; i < queries; ++i) {
            CHECK(std::fabs(static_cast<double>(y(0, 0, i, 0)) - 3e38) <= 3e38 * 1e-6);
            CHECK(y(0, 0, i, 1) == HUGE_VALF);
            CHECK(y(0, 0, i, 2) == -HUGE_VALF);
            CHECK(std::isnan(y(0, 0, i, 3)));
        }
    }
}
