// SPDX-License-Identifier: MIT
// tests/layers/layer_norm.cpp: rows normalised, against the formula, differences, and hard cases
#include <heed/layers/layer_norm.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/layer_gradient.hpp"
#include "support/layer_reference.hpp"
#include "support/traps.hpp"

namespace {

template <class T>
heed::layer_norm<T> random_norm(support::random& r, long width) {
    heed::layer_norm<T> norm({.width = width});
    support::randomise(norm.weights, r);
    return norm;
}

// The error of y in units of epsilon, relative to what was added up.
template <class T>
double forward_error(long rows, long width, double mean, double deviation) {
    support::random r(static_cast<std::uint64_t>(width * 100 + rows));
    support::tensor<T, 2> x(rows, width);
    support::fill_normal(x, r, deviation);
    for (long i = 0; i < x.size(); ++i) x.data()[i] += static_cast<T>(mean);
    const auto norm = random_norm<T>(r, width);
    const auto y = norm(x);
    const auto gain = support::values(norm.weights.weight), offset = support::values(norm.weights.bias);
    const auto want = reference::layer_norm(support::values(x), gain, offset);
    double worst = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        const double g = gain[i % gain.size()], o = offset[i % gain.size()];
        const double size = std::fabs(want[i] - o) + std::fabs(g) + std::fabs(o);
        worst = std::fmax(worst, std::fabs(static_cast<double>(y.data()[i]) - want[i]) / size);
    }
    return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
}

}  // namespace

TEST_CASE("layer norm is that of the formula") {
    for (const long width : {1, 2, 3, 5, 8, 15, 16, 17, 31, 48, 63, 64, 65, 100, 257, 768, 3000}) {
        INFO(width);
        CHECK(forward_error<float>(5, width, 0, 1) < 3);
        CHECK(forward_error<double>(5, width, 0, 1) < 3);
    }
}

TEST_CASE("a mean that is large against the deviation costs layer norm no digits") {
    for (const long width : {16, 37, 768}) {
        INFO(width);
        CHECK(forward_error<float>(9, width, 1e4, 1) < 3);
        CHECK(forward_error<float>(9, width, -1e6, 3) < 3);
        CHECK(forward_error<double>(9, width, 1e12, 1) < 3);
        CHECK(forward_error<float>(9, width, 1e4, 1e3) < 3);
    }
    // Rows of one number have no deviation: the offset is left.
    heed::layer_norm<float> norm({.width = 100});
    norm.weights.bias.setConstant(3);
    support::tensor<float, 2> x(2, 100);
    x.setConstant(12345.678f);
    const auto y = norm(x);
    for (long i = 0; i < 200; ++i) CHECK(std::fabs(y.data()[i] - 3) < 1e-3);
}

TEST_CASE("the gradients of layer norm agree with central differences") {
    support::random r(11);
    for (const long width : {2, 16, 37}) {
        support::tensor<double, 3> x(2, 3, width);
        support::fill_normal(x, r);
        const auto errors = support::layer_gradient(random_norm<double>(r, width), x);
        INFO(errors.text());
        CHECK(errors.worst() < 1e-6);
    }
    // Through many splits of the sums over rows.
    support::tensor<double, 2> x(300, 3);
    support::fill_normal(x, r);
    const auto errors = support::layer_gradient(random_norm<double>(r, 3), x);
    INFO(errors.text());
    CHECK(errors.worst() < 1e-6);
}

TEST_CASE("layer norm's backward in float is that in double, with a large mean too") {
    support::random r(12);
    for (const double mean : {0.0, 1e4}) {
        const long rows = 5000, width = 67;
        support::tensor<float, 2> x(rows, width), dy(rows, width);
        support::fill_normal(x, r);
        support::fill_normal(dy, r);
        for (long i = 0; i < x.size(); ++i) x.data()[i] += static_cast<float>(mean);
        const auto norm = random_norm<float>(r, width);
        heed::layer_norm<double> exact({.width = width});
        exact.weights.weight = norm.weights.weight.cast<double>();
        exact.weights.bias = norm.weights.bias.cast<double>();
        const support::tensor<double, 2> exact_x = x.cast<double>(), exact_dy = dy.cast<double>();

        auto g = heed::zeros_like(norm.weights);
        auto exact_g = heed::zeros_like(exact.weights);
        heed::layer_norm<float>::tape tape;
        heed::layer_norm<double>::tape exact_tape;
        norm.forward(x, tape);
        exact.forward(exact_x, exact_tape);
        const auto dx = norm.backward(dy, x, tape, g);
        const auto exact_dx = exact.backward(exact_dy, exact_x, exact_tape, exact_g);
        CHECK(support::max_error(support::values(dx), support::values(exact_dx)) < 2e-6);
        // A sum of 5000 terms of size 1 is about 70.
        CHECK(support::max_error(support::values(g.weight), support::values(exact_g.weight)) < 5e-5);
        CHECK(support::max_error(support::values(g.bias), support::values(exact_g.bias)) < 5e-5);
    }
}

TEST_CASE("layer norm's bits depend on no thread, and a row's on no other row") {
    support::random r(13);
    const long rows = 700, width = 131;
    support::tensor<float, 3> x(7, rows / 7, width), dy(7, rows / 7, width), y, dx;
    support::fill_normal(x, r);
    support::fill_normal(dy, r);
    const auto norm = random_norm<float>(r, width);
    heed::layer_norm<float>::tape tape;
    auto g = heed::zeros_like(norm.weights);
    y = norm.forward(x, tape);
    dx = norm.backward(dy, x, tape, g);
    for (const int threads : {2, 5}) {
        const heed::thread_pool pool(threads);
        auto g2 = heed::zeros_like(norm.weights);
        const auto y2 = norm.forward(x, tape, heed::on(pool));
        const auto dx2 = norm.backward(dy, x, tape, g2, heed::on(pool));
        CHECK(support::same_bits(support::elements(y), support::elements(y2)));
        CHECK(support::same_bits(support::elements(dx), support::elements(dx2)));
        CHECK(support::same_bits(support::elements(g.weight), support::elements(g2.weight)));
        CHECK(support::same_bits(support::elements(g.bias), support::elements(g2.bias)));
    }
    // One row alone, as a matrix, a map and a view.
    const Eigen::Map<const Eigen::Matrix<float, 1, Eigen::Dynamic, Eigen::RowMajor>> row(
        x.data() + 511 * width, width);
    const Eigen::TensorMap<const support::tensor<float, 4>> map(x.data() + 511 * width, 1, 1, 1, width);
    CHECK(support::same_bits(norm(row).data(), y.data() + 511 * width, 131));
    CHECK(support::same_bits(norm(map).data(), y.data() + 511 * width, 131));
    CHECK(support::same_bits(norm(heed::as_view(map)).data(), y.data() + 511 * width, 131));
}

TEST_CASE("NaN and infinity stay in their row of a layer norm") {
    const heed_test::without_traps quiet;
    support::random r(14);
    support::tensor<float, 2> x(20, 50), dy(20, 50);
    support::fill_normal(x, r);
    support::fill_normal(dy, r);
    const auto norm = random_norm<float>(r, 50);
    heed::layer_norm<float>::tape tape;
    auto g = heed::zeros_like(norm.weights);
    const auto y = norm.forward(x, tape);
    const auto dx = norm.backward(dy, x, tape, g);
    x(3, 49) = std::numeric_limits<float>::quiet_NaN();
    x(7, 0) = std::numeric_limits<float>::infinity();
    const auto y2 = norm.forward(x, tape);
    const auto dx2 = norm.backward(dy, x, tape, g);
    for (long i = 0; i < 20; ++i)
        for (long f = 0; f < 50; ++f)
            if (i == 3 || i == 7) {
                CHECK(std::isnan(y2(i, f)));
                CHECK(std::isnan(dx2(i, f)));
            } else {
                CHECK(y2(i, f) == y(i, f));
                CHECK(dx2(i, f) == dx(i, f));
            }
}

TEST_CASE("a training step of layer norm allocates nothing once its memory has grown") {
    support::random r(15);
    support::tensor<float, 2> x(300, 40), y(300, 40), dx(300, 40);
    support::fill_normal(x, r);
    const auto norm = random_norm<float>(r, 40);
    auto g = heed::zeros_like(norm.weights);
    heed::layer_norm<float>::tape tape;
    heed::workspace memory;
    const heed::thread_pool pool(2);
    const auto step = [&](const auto&... options) {
        norm.forward_into(y, x, tape, options...);
        norm.backward_into(dx, y, x, tape, g, options...);
    };
    const auto used = heed::use(memory);
    step(used), step(used, heed::on(pool));
    long counted = 0;
    {
        const support::allocation_watch watch;
        step(used), step(used, heed::on(pool));
        counted = watch.count();
    }
    CHECK(counted == 0);
    // Without rows there is nothing to do.
    const support::tensor<float, 2> none(0, 40);
    heed::layer_norm<float>::tape empty;
    CHECK(norm.forward(none, empty).size() == 0);
    CHECK(norm.backward(none, none, empty, g).size() == 0);
}

TEST_CASE("layer norm touches nothing beside its tensors") {
    support::guarded_arena from(4096), to(4096);
    support::random r(16);
    for (long width = 1; width < 70; ++width)
        for (const auto side : {support::wall::front, support::wall::back}) {
            float* const x = from.place<float>(static_cast<std::size_t>(3 * width), side, 0);
            float* const y = to.place<float>(static_cast<std::size_t>(3 * width), side, 0);
            for (long i = 0; i < 3 * width; ++i) x[i] = static_cast<float>(r.normal());
            const Eigen::TensorMap<support::tensor<float, 2>> in(x, 3, width);
            Eigen::TensorMap<support::tensor<float, 2>> out(y, 3, width);
            const heed::layer_norm<float> norm({.width = width});
            heed::layer_norm<float>::tape tape;
            auto g = heed::zeros_like(norm.weights);
            norm.forward_into(out, in, tape);
            bool fine = to.untouched_outside();
            norm.backward_into(out, in, in, tape, g);
            for (long i = 0; i < 3 * width; ++i) fine = fine && std::isfinite(y[i]);
            INFO(width);
            CHECK((fine && to.untouched_outside()));
        }
}

TEST_CASE("what is wrong with a call of layer norm, and nothing is written") {
    const heed::layer_norm<float> norm({.width = 4});
    heed::layer_norm<float>::tape tape;
    auto g = heed::zeros_like(norm.weights);
    support::tensor<float, 2> x(3, 4), y(3, 4), wide(3, 5), few(2, 4);
    x.setZero();
    y.setConstant(77);
    CHECK_THROWS_WITH(heed::layer_norm<float>({.width = 0}),
                      "heed::layer_norm: width is 0, needs at least 1");
    CHECK_THROWS_WITH(heed::layer_norm<float>({.width = 4, .epsilon = -1}),
                      "heed::layer_norm: epsilon is -1, needs a positive finite number");
    CHECK_THROWS_WITH(norm(wide), "heed::layer_norm: x has a width of 5, needs 4");
    CHECK_THROWS_WITH(norm.forward_into(few, x, tape),
                      "heed::layer_norm::forward_into: y has 2 positions, x has 3");
    CHECK_THROWS_WITH(norm.forward_into(x, x, tape),
                      "heed::layer_norm::forward_into: y overlaps x, needs memory of its own");
    const std::string back = "heed::layer_norm::backward_into: ";
    CHECK_THROWS_WITH(norm.backward_into(y, x, x, tape, g), back + "tape holds a forward of 0 rows, x has 3");
    norm.forward(x, tape);
    CHECK_THROWS_WITH(norm.backward_into(y, few, x, tape, g), back + "dy has 2 positions, x has 3");
    CHECK_THROWS_WITH(norm.backward_into(few, x, x, tape, g), back + "dx has 2 positions, x has 3");
    CHECK_THROWS_WITH(norm.backward_into(x, y, x, tape, g), back + "dx overlaps x, needs memory of its own");
    g.bias = heed::detail::constant_vector<float>(3, 0);
    CHECK_THROWS_WITH(norm.backward_into(y, x, x, tape, g),
                      heed_test::contains("gradients.bias has 3 entries along axis 0, the parameter has 4"));
    for (long i = 0; i < 12; ++i) CHECK(y.data()[i] == 77);
}
