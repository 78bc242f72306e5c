// SPDX-License-Identifier: MIT
// tests/layers/residual.cpp: branches added with and without dropout
#include <heed/layers/residual.hpp>
#include <heed/thread_pool.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_gradient.hpp"
#include "support/traps.hpp"

namespace {

template <class T>
heed::detail::dense_rows<T> rows(support::tensor<T, 3>& t) {
    return {t.data(), t.dimension(0), t.dimension(1), t.dimension(2)};
}
template <class T>
support::tensor<T, 3> made(long batch, long positions, long width, std::uint64_t seed) {
    support::random r(seed);
    support::tensor<T, 3> t(batch, positions, width);
    support::fill_normal(t, r);
    return t;
}

template <class T>
void check_dropout(long batch, long positions, long width, double probability) {
    const double p = std::floor(probability * 0x1p32) / 0x1p32;
    auto x = made<T>(batch, positions, width, 1), branch = made<T>(batch, positions, width, 2);
    auto dy = made<T>(batch, positions, width, 3), y = x, d = x;
    const auto drop = heed::dropout(probability, 99);
    heed::detail::add_branch(rows(y), rows(x), rows(branch), 1, drop);
    heed::detail::drop_backward(rows(d), rows(dy), 1, drop);
    long kept = 0, wrong = 0;
    const T factor = static_cast<T>(1 / (1 - p));
    for (long i = 0; i < x.size(); ++i) {
        const bool keeps = d.data()[i] != 0;
        kept += keeps;
        const double want =
            static_cast<double>(x.data()[i]) + (keeps ? static_cast<double>(branch.data()[i]) / (1 - p) : 0);
        wrong += !(std::fabs(static_cast<double>(y.data()[i]) - want) <= 1e-6 * (1 + std::fabs(want)));
        wrong += keeps && d.data()[i] != dy.data()[i] * factor;
    }
    CHECK(wrong == 0);
    const double n = static_cast<double>(x.size());
    CHECK(std::fabs(static_cast<double>(kept) - n * (1 - p)) < 5 * std::sqrt(n * p * (1 - p)) + 1e-9);
    // In place, the branch's and x's.
    auto in_x = x, in_branch = branch;
    heed::detail::add_branch(rows(in_x), rows(in_x), rows(branch), 1, drop);
    heed::detail::add_branch(rows(in_branch), rows(x), rows(in_branch), 1, drop);
    heed::detail::drop_backward(rows(dy), rows(dy), 1, drop);
    CHECK(support::same_bits(support::elements(in_x), support::elements(y)));
    CHECK(support::same_bits(support::elements(in_branch), support::elements(y)));
    CHECK(support::same_bits(support::elements(dy), support::elements(d)));
    for (const int threads : {2, 5}) {
        const heed::thread_pool pool(threads);
        auto z = x;
        heed::detail::add_branch(rows(z), rows(x), rows(branch), 1, drop, heed::on(pool));
        CHECK(support::same_bits(support::elements(z), support::elements(y)));
    }
}

}  // namespace

TEST_CASE("a branch is added, and handed its gradient whole") {
    auto x = made<float>(2, 5, 37, 1), branch = made<float>(2, 5, 37, 2), y = x, d = x;
    heed::detail::add_branch(rows(y), rows(x), rows(branch), 0);
    for (long i = 0; i < x.size(); ++i) CHECK(y.data()[i] == x.data()[i] + branch.data()[i]);
    heed::detail::add_branch(rows(x), rows(x), rows(branch), 0);
    CHECK(support::same_bits(support::elements(x), support::elements(y)));
    heed::detail::drop_backward(rows(d), rows(branch), 0);
    CHECK(support::same_bits(support::elements(d), support::elements(branch)));
}

TEST_CASE("dropout keeps its share, divides by it, and drops the same numbers backward") {
    check_dropout<float>(3, 40, 100, 0.1);
    check_dropout<float>(2, 50, 131, 0.5);
    check_dropout<double>(2, 50, 131, 0.9);
    check_dropout<double>(1, 7, 5, 0.3);
    check_dropout<float>(1, 7, 5, 0);
}

TEST_CASE("what is dropped depends on the seed, the branch and the place, and on nothing else") {
    auto one = made<float>(4, 30, 64, 1);
    one.setConstant(1);
    const auto dropped = [&](int seed, long place) {
        auto d = one;
        heed::detail::drop_backward(rows(d), rows(one), place, heed::dropout(0.5, seed));
        return d;
    };
    // Two masks that have nothing to do with each other agree in half of their places.
    const auto agree = [](const auto& a, const auto& b) {
        long same = 0;
        for (long i = 0; i < a.size(); ++i) same += a.data()[i] == b.data()[i];
        return static_cast<double>(same) / static_cast<double>(a.size());
    };
    const auto mask = dropped(1, 0);
    CHECK(agree(mask, dropped(1, 0)) == 1);
    CHECK(std::fabs(agree(mask, dropped(2, 0)) - 0.5) < 0.03);
    CHECK(std::fabs(agree(mask, dropped(1, 1)) - 0.5) < 0.03);
    const auto part = [&](std::array<long, 3> from, std::array<long, 3> size) {
        return support::tensor<float, 3>(mask.slice(from, size));
    };
    const auto head = part({0, 0, 0}, {1, 29, 64});
    CHECK(std::fabs(agree(head, part({1, 0, 0}, {1, 29, 64})) - 0.5) < 0.06);
    CHECK(std::fabs(agree(head, part({0, 1, 0}, {1, 29, 64})) - 0.5) < 0.06);
    const auto left = part({0, 0, 0}, {4, 30, 63});
    CHECK(std::fabs(agree(left, part({0, 0, 1}, {4, 30, 63})) - 0.5) < 0.03);
    // Fewer positions: the same mask there.
    support::tensor<float, 3> few(1, 11, 64), d(1, 11, 64);
    few.setConstant(1);
    heed::detail::drop_backward(rows(d), rows(few), 0, heed::dropout(0.5, 1));
    CHECK(support::same_bits(support::elements(d), support::elements(part({0, 0, 0}, {1, 11, 64}))));
}

TEST_CASE("a dropped NaN is gone, and a probability of one is refused") {
    const heed_test::without_traps quiet;
    auto x = made<float>(1, 10, 33, 1), y = x, branch = x;
    branch.setConstant(std::numeric_limits<float>::quiet_NaN());
    heed::detail::add_branch(rows(y), rows(x), rows(branch), 0, heed::dropout(0.5, 1));
    long kept = 0;
    for (long i = 0; i < x.size(); ++i) {
        kept += std::isnan(y.data()[i]);
        CHECK((std::isnan(y.data()[i]) || y.data()[i] == x.data()[i]));
    }
    CHECK((kept > 100 && kept < 230));
    CHECK_THROWS_WITH(heed::detail::check_dropout("layer::forward_into", heed::dropout(1.0, 1)),
                      heed_test::contains("heed::layer::forward_into: dropout is 1, needs a probability"));
    heed::detail::check_dropout("layer::forward_into");
}
