// SPDX-License-Identifier: MIT
// tests/layers/layer_norm_large.cpp: rows of finite numbers whose squares, or sums, are beyond their type
#include <heed/layers/layer_norm.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_gradient.hpp"
#include "support/layer_reference.hpp"
#include "support/traps.hpp"

namespace {

template <class T>
void check_large_rows(long width, int exponent) {
    INFO(width << " numbers of 2^" << exponent);
    constexpr double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
    support::random r(static_cast<std::uint64_t>(width));
    support::tensor<T, 2> x(4, width), dy(4, width);
    support::fill_normal(x, r);
    support::fill_normal(dy, r);
    for (long i = 0; i < width; ++i) x(1, i) += static_cast<T>(4);  // all of one sign
    const double most = support::max_abs(support::values(x));
    for (long i = 0; i < x.size(); ++i) x.data()[i] *= static_cast<T>(0.9 / most);
    // The last row stays as it is.
    support::tensor<T, 2> large = x;
    for (long i = 0; i < 3 * width; ++i) large.data()[i] = std::ldexp(x.data()[i], exponent);

    heed::layer_norm<T> norm({.width = width});
    support::randomise(norm.weights, r);
    typename heed::layer_norm<T>::tape tape, plain_tape;
    const auto y = norm.forward(large, tape), plain = norm(x);
    const auto want = reference::layer_norm(support::values(large), support::values(norm.weights.weight),
                                            support::values(norm.weights.bias));
    const auto got = support::values(y);
    double worst = 0;
    for (std::size_t i = 0; i < want.size(); ++i)
        worst = std::fmax(worst, std::fabs(got[i] - want[i]) / (1 + std::fabs(want[i])));
    CHECK(worst < 32 * epsilon);
    CHECK(support::same_bits(&y(3, 0), &plain(3, 0), static_cast<std::size_t>(width)));

    // The gradient is that of rows where nothing overflows, epsilon as small against them, made smaller.
    heed::layer_norm<T> exact(
        {.width = width, .epsilon = static_cast<double>(std::numeric_limits<T>::min())});
    exact.weights = norm.weights;
    (void)exact.forward(x, plain_tape);
    auto g = heed::zeros_like(norm.weights), plain_g = g;
    const auto dx = norm.backward(dy, large, tape, g), want_dx = exact.backward(dy, x, plain_tape, plain_g);
    const double size = std::fmax(1, support::max_abs(support::values(want_dx)));
    worst = 0;
    for (long i = 0; i < 3 * width; ++i)
        worst = std::fmax(worst, std::fabs(static_cast<double>(std::ldexp(dx.data()[i], exponent)) -
                                           static_cast<double>(want_dx.data()[i])));
    CHECK(worst < 64 * epsilon * size);
}

}  // namespace

TEST_CASE("rows whose squares overflow are normalised all the same") {
    const heed_test::without_traps quiet;
    for (const long width : {2, 3, 7, 16, 33, 100, 768}) {
        for (const int exponent : {62, 64, 70, 100, 120}) check_large_rows<float>(width, exponent);
        for (const int exponent : {510, 512, 600, 900, 1020}) check_large_rows<double>(width, exponent);
    }
    // {2, -2, 1, 0} has a mean of 1/4 and a variance of 35/16.
    heed::layer_norm<float> norm({.width = 4});
    support::tensor<float, 2> x(1, 4);
    x.setValues({{2e19f, -2e19f, 1e19f, 0}});
    CHECK(std::fabs(static_cast<double>(norm(x)(0, 0)) - 1.75 / std::sqrt(35.0 / 16)) < 1e-6);
}

TEST_CASE("rows of the largest number have no deviation: the offset is left") {
    const heed_test::without_traps quiet;
    for (const long width : {1, 3, 16, 37, 768}) {
        heed::layer_norm<float> norm({.width = width});
        norm.weights.bias.setConstant(3);
        support::tensor<float, 2> x(2, width);
        for (long i = 0; i < width; ++i) {
            x(0, i) = std::numeric_limits<float>::max();
            x(1, i) = -3.4e38f;
        }
        const auto y = norm(x);
        for (long i = 0; i < y.size(); ++i) CHECK(std::fabs(static_cast<double>(y.data()[i]) - 3) < 1e-3);
    }
}
