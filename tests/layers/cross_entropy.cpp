// SPDX-License-Identifier: MIT
// tests/layers/cross_entropy.cpp: the loss and its gradient against the formula, differences, and hard cases
#include <heed/layers/cross_entropy.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_gradient.hpp"
#include "support/layer_reference.hpp"
#include "support/traps.hpp"

namespace {

std::vector<long> random_targets(support::random& r, long rows, long classes, double ignored) {
    std::vector<long> t(static_cast<std::size_t>(rows));
    for (long& x : t) x = r.chance(ignored) ? -1 - r.between(0, 99) : r.between(0, classes - 1);
    return t;
}

template <class T>
void check_against_formula(long batch, long positions, long classes, double deviation, double tolerance) {
    support::random r(static_cast<std::uint64_t>(classes * 1000 + positions));
    support::tensor<T, 3> x(batch, positions, classes), d(batch, positions, classes);
    support::fill_normal(x, r, deviation);
    d.setConstant(T(77));
    const auto targets = random_targets(r, batch * positions, classes, 0.2);
    reference::numbers want_d;
    const double want = reference::cross_entropy(support::values(x), targets, want_d);
    const double loss = heed::cross_entropy(x, targets, d);
    INFO(batch << " x " << positions << " x " << classes);
    CHECK(std::fabs(loss - want) <= tolerance * (1 + std::fabs(want)));
    CHECK(support::max_error(support::values(d), want_d) <= tolerance);
    CHECK(heed::cross_entropy(x, targets) == loss);
    // In the logits' place, the same bits.
    CHECK(heed::cross_entropy(x, targets, x) == loss);
    CHECK(support::same_bits(support::elements(x), support::elements(d)));
}

}  // namespace

TEST_CASE("cross entropy and its gradient are those of the formula") {
    for (const long classes : {1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 100, 257, 1000, 5000})
        for (const long positions : {1, 9}) {
            check_against_formula<float>(2, positions, classes, 3, 1e-6);
            check_against_formula<double>(2, positions, classes, 3, 1e-14);
        }
    check_against_formula<float>(1, 300, 40, 30, 1e-6);
    check_against_formula<double>(1, 300, 40, 200, 1e-14);
}

TEST_CASE("the gradient of cross entropy agrees with central differences") {
    support::random r(3);
    support::tensor<double, 2> x(6, 19), d(6, 19);
    support::fill_normal(x, r);
    const std::vector<int> targets{3, 18, -1, 0, 7, 7};
    heed::cross_entropy(x, targets, d);
    const auto numeric = support::central_differences(x, [&] { return heed::cross_entropy(x, targets); });
    CHECK(support::relative_error(support::values(d), numeric) < 1e-8);
}

TEST_CASE("logits that are large, equal, or without probability") {
    support::tensor<float, 2> x(3, 4), d(3, 4);
    x.setConstant(3e38f);
    x(1, 2) = -3e38f;
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK(std::fabs(heed::cross_entropy(x, std::vector<int>{0, -1, 3}, d) - std::log(4.0)) < 1e-7);
    CHECK(std::fabs(d(2, 3) + 0.375f) < 1e-7);
    for (int c = 0; c < 4; ++c) CHECK(d(1, c) == 0);
    // Probability 0 at the target: the loss is infinite, the gradient is not.
    x.setZero();
    x(0, 1) = -std::numeric_limits<float>::infinity();
    CHECK(heed::cross_entropy(x, std::vector<int>{1, -1, -1}, d) == infinity);
    CHECK(d(0, 1) == -1);
    CHECK(std::fabs(heed::cross_entropy(x, std::vector<int>{0, -1, -1}, d) - std::log(3.0)) < 1e-7);
    CHECK(d(0, 1) == 0);
}

TEST_CASE("the gradient at a target that has nearly all is what the others have") {
    const auto look = [](auto element, double above) {
        using T = decltype(element);
        for (const long classes : {2L, 70L, 300L}) {
            support::tensor<T, 2> x(2, classes), d(2, classes);
            x.setZero();
            x(0, classes - 1) = x(1, 0) = static_cast<T>(above);
            (void)heed::cross_entropy(x, std::vector<long>{classes - 1, 0}, d);
            const double others = static_cast<double>(classes - 1) * std::exp(-above) / 2;
            INFO(classes << " classes: " << static_cast<double>(d(1, 0)) << ", needs " << -others);
            CHECK(std::fabs(static_cast<double>(d(0, classes - 1)) / others + 1) < 1e-5);
            CHECK(std::fabs(static_cast<double>(d(1, 0)) / others + 1) < 1e-5);
        }
    };
    look(float(), 30), look(double(), 60);
}

TEST_CASE("rows that are ignored are not looked at, and NaN stays in its row") {
    const heed_test::without_traps quiet;
    support::random r(4);
    support::tensor<float, 2> x(40, 50), d(40, 50), clean(40, 50);
    support::fill_normal(x, r);
    auto targets = random_targets(r, 40, 50, 0);
    targets[7] = -100;
    const double loss = heed::cross_entropy(x, targets, clean);
    x(7, 20) = std::numeric_limits<float>::quiet_NaN();
    CHECK(heed::cross_entropy(x, targets, d) == loss);
    CHECK(support::same_bits(support::elements(d), support::elements(clean)));
    x(9, 49) = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(heed::cross_entropy(x, targets, d)));
    for (long i = 0; i < 40; ++i) CHECK(std::isnan(d(i, 0)) == (i == 9));
    // Nothing counts: no loss, no gradient.
    CHECK(heed::cross_entropy(x, std::vector<int>(40, -1), d) == 0);
    CHECK(support::positive_zero(d.data(), 2000));
    CHECK(heed::cross_entropy(support::tensor<float, 2>(0, 5), std::vector<int>{}) == 0);
}

TEST_CASE("targets of any whole type and in any shape") {
    support::random r(5);
    support::tensor<double, 3> x(2, 3, 5);
    support::fill_normal(x, r);
    const double loss = heed::cross_entropy(x, std::vector<int>{4, 0, 2, 2, 1, 3});
    support::tensor<std::int64_t, 2> t(2, 3);
    t.setValues({{4, 0, 2}, {2, 1, 3}});
    CHECK(heed::cross_entropy(x, t) == loss);
    CHECK(heed::cross_entropy(x, std::array<unsigned char, 6>{4, 0, 2, 2, 1, 3}) == loss);
    CHECK(heed::cross_entropy(x, Eigen::VectorXi{{4, 0, 2, 2, 1, 3}}) == loss);
    CHECK(heed::cross_entropy(x, std::vector<std::uint64_t>{4, 0, 2, 2, 1, 3}) == loss);
}

TEST_CASE("the bits of cross entropy depend on no thread, and it allocates nothing in a workspace") {
    support::random r(6);
    support::tensor<float, 2> x(500, 300), d(500, 300), d2(500, 300);
    support::fill_normal(x, r);
    const auto targets = random_targets(r, 500, 300, 0.1);
    const double loss = heed::cross_entropy(x, targets, d);
    heed::workspace memory;
    for (const int threads : {2, 5}) {
        const heed::thread_pool pool(threads);
        CHECK(heed::cross_entropy(x, targets, d2, heed::on(pool), heed::use(memory)) == loss);
        CHECK(support::same_bits(support::elements(d2), support::elements(d)));
    }
    long counted = 0;
    {
        const support::allocation_watch watch;
        heed::cross_entropy(x, targets, d, heed::use(memory));
        counted = watch.count();
    }
    CHECK(counted == 0);
}

TEST_CASE("what is wrong with a call of cross entropy, and nothing is written") {
    using heed_test::contains;
    support::tensor<float, 2> x(3, 4), d(3, 4);
    x.setZero();
    d.setConstant(77);
    const auto fails = [&](auto&& targets, auto&& to, const std::string& words) {
        CHECK_THROWS_WITH(heed::cross_entropy(x, targets, to), contains("heed::cross_entropy: " + words));
        CHECK(d(2, 3) == 77);
    };
    fails(std::vector<int>{1, 2}, d, "targets has 2 numbers, logits has 3 rows");
    fails(std::vector<int>{1, 4, 2}, d, "targets[1] is 4, needs a class below 4");
    fails(std::vector<std::uint64_t>{1, 2, ~std::uint64_t{0}}, d, "targets[2] is 18446744073709551615");
    fails(std::vector<int>{1, 3, 2}, support::tensor<float, 2>(3, 5), "d_logits has a width of 5, needs 4");
    support::tensor<float, 1> both(24);
    both.setZero();
    const Eigen::TensorMap<support::tensor<float, 2>> low(both.data(), 3, 4), high(both.data() + 4, 3, 4);
    CHECK_THROWS_WITH(heed::cross_entropy(low, std::vector<int>{1, 1, 1}, high),
                      contains("d_logits overlaps logits"));
}
