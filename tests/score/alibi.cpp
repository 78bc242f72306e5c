// SPDX-License-Identifier: MIT
// tests/score/alibi.cpp: slopes of the paper for any number of heads, and slopes of the caller's
#include <array>

#include "support/call.hpp"
#include "support/traps.hpp"

using support::check_call;

namespace {

// 2^(-8 (h+1) / H); between powers of two, every second slope of the next power.
double slope(long head, long heads) {
    long power = 1;
    while (2 * power <= heads) power *= 2;
    if (head < power) return std::pow(2.0, -8.0 * double(head + 1) / double(power));
    return std::pow(2.0, -8.0 * double(2 * (head - power) + 1) / double(2 * power));
}

auto penalty(const reference::problem& p, std::vector<double> slopes) {
    return [shift = p.keys - p.queries, slopes](reference::place i) {
        return -slopes[static_cast<std::size_t>(i.head)] *
               std::fabs(static_cast<double>(i.query + shift - i.key));
    };
}

}  // namespace

TEST_CASE("alibi for every number of heads") {
    support::random r(811);
    for (long heads = 1; heads <= 40; ++heads) {
        auto p = support::problem<float>(r, 1, heads, 1, r.between(1, 20), r.between(1, 40), 4, 4);
        std::vector<double> slopes;
        for (long h = 0; h < heads; ++h) slopes.push_back(slope(h, heads));
        p.bias = penalty(p, slopes);
        check_call<float>(p, heed::alibi());
    }
}

TEST_CASE("the slopes of 12 heads are those published") {
    CHECK(std::fabs(slope(0, 12) - 0.5) < 1e-15);
    CHECK(std::fabs(slope(7, 12) - 0.00390625) < 1e-15);
    CHECK(std::fabs(slope(8, 12) - 0.7071067811865476) < 1e-15);
    CHECK(std::fabs(slope(11, 12) - 0.08838834764831845) < 1e-15);
}

TEST_CASE("slopes of the caller's, of any kind of number") {
    support::for_problems<float>(812, 80, [](reference::problem& p, support::random& r) {
        std::vector<double> slopes(static_cast<std::size_t>(p.heads));
        for (double& s : slopes) s = static_cast<double>(static_cast<float>(r.uniform(-0.3, 0.7)));
        p.bias = penalty(p, slopes);
        const std::vector<float> narrow(slopes.begin(), slopes.end());
        check_call<float>(p, heed::alibi(narrow));
    });
    support::random r(813);
    auto p = support::problem<float>(r, 1, 2, 2, 5, 9, 4, 4);
    p.bias = penalty(p, {0.5, 0.25});
    support::tensor<double, 1> slopes(2);
    slopes(0) = 0.5, slopes(1) = 0.25;
    check_call<float>(p, heed::alibi(slopes));
}

TEST_CASE("alibi is symmetric around the diagonal and sees the decode shift") {
    support::random r(814);
    auto p = support::problem<float>(r, 1, 4, 2, 1, 3000, 8, 8);
    const std::vector<float> slopes{0.5f, 0.25f, 0.0625f, 0.0f};
    p.bias = penalty(p, {0.5, 0.25, 0.0625, 0.0});
    check_call<float>(p, heed::alibi(slopes), heed::causal);
}

namespace {

// Rows of which only the keys of the largest score count, all alike.
template <class T, class... Options>
void check_largest(const reference::problem& p, const std::function<double(reference::place)>& rank,
                   const Options&... options) {
    const support::inputs<T> in(p);
    support::tensor<T> y(p.batch, p.heads, p.queries, p.d_v);
    support::tensor<support::sum_type<T>, 3> lse(p.batch, p.heads, p.queries);
    heed::attention_into(y, in.q, in.k, in.v, heed::logsumexp(lse), options...);
    for (long h = 0; h < p.heads; ++h)
        for (long i = 0; i < p.queries; ++i) {
            double top = -HUGE_VAL, count = 0, sum = 0;
            for (long j = 0; j < p.keys; ++j) top = std::fmax(top, rank({0, h, i, j}));
            for (long j = 0; j < p.keys; ++j)
                if (rank({0, h, i, j}) == top) count += 1, sum += static_cast<double>(in.v(0, h, j, 0));
            INFO(p.queries << " queries, row " << i << " of head " << h);
            CHECK(std::fabs(static_cast<double>(y(0, h, i, 0)) - sum / count) <= 1e-5);
            CHECK(std::isfinite(lse(0, h, i)));
        }
}

}  // namespace

TEST_CASE("slopes and biases of any finite size empty no row and overflow into nothing") {
    const heed_test::without_traps overflowing;  // what stops at the largest number has overflowed
    support::random r(815);
    const auto look = [&](auto element, double most) {
        using T = decltype(element);
        for (const long queries : {2L, 9L, 40L}) {
            auto p = support::problem<T>(r, 1, 2, 2, queries, 200, 4, 1);
            const long shift = p.keys - p.queries;
            const auto away = [=](reference::place i) { return std::labs(i.query + shift - i.key); };
            const std::vector<double> far{most * 0.9, most * 0.9}, close{-most * 0.9, -most * 0.9};
            // Every step is beyond the type but the first.
            check_largest<T>(p, [&](reference::place i) { return away(i) == 0; }, heed::alibi(far));
            check_largest<T>(p, [&](reference::place i) { return away(i) > 1; }, heed::alibi(close));
            // A key that is far away from all is still seen where there is no other.
            const long last = 5;
            check_largest<T>(
                p, [&](reference::place i) { return i.key < last; }, heed::alibi(far), heed::prefix(last));
            support::tensor<double, 2> bias(1, p.keys);
            for (long j = 0; j < p.keys; ++j) bias(0, j) = j % 3 == 0 ? most : -most;
            // However far such a key is: the sum stops at the largest number.
            check_largest<T>(
                p, [&](reference::place i) { return i.key % 3 == 0; }, heed::alibi(close), heed::bias(bias));
            check_largest<T>(
                p, [&](reference::place i) { return i.key % 3 == 0; }, heed::bias(bias),
                heed::score([](auto s, heed::at) { return s * 0 + 1e38f; }));
        }
    };
    look(float(), 3.4028234663852886e38);
    look(double(), 1.7976931348623157e308);
}
