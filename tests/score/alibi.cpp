// SPDX-License-Identifier: MIT
// tests/score/alibi.cpp: slopes of the paper for any number of heads, and slopes of the caller's
#include <array>

#include "support/call.hpp"

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
