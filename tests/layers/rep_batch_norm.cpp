// SPDX-License-Identifier: MIT
// tests/layers/rep_batch_norm.cpp: from layer norm to batch norm to nothing, against the formula
#include <heed/layers/rep_batch_norm.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_gradient.hpp"
#include "support/layer_reference.hpp"
#include "support/traps.hpp"

namespace {

// Step 1 of 4 after 2 of warm-up has lambda 0.8 3/4 = 0.6.
template <class T>
heed::rep_batch_norm<T> random_norm(support::random& r, long width, long step) {
    heed::rep_batch_norm<T> norm({.width = width, .warm_up = 2, .steps = 4, .start = 0.8});
    support::randomise(norm.weights, r);
    support::fill_normal(norm.running.mean, r);
    support::fill_normal(norm.running.variance, r);
    norm.running.variance = norm.running.variance.abs() + static_cast<T>(0.5);
    norm.set_step(step);
    return norm;
}
template <class T>
reference::rep_batch_norm reference_of(const heed::rep_batch_norm<T>& norm, double lambda) {
    return {support::values(norm.weights.layer.weight), support::values(norm.weights.layer.bias),
            support::values(norm.weights.batch.weight), support::values(norm.weights.batch.bias),
            static_cast<double>(norm.weights.eta(0)),   lambda};
}
constexpr long warm = 0, blended = 3, over = 6;

}  // namespace

TEST_CASE("lambda is 1 in the warm-up, then falls in a line to 0") {
    heed::rep_batch_norm<float> norm({.width = 3, .warm_up = 2, .steps = 4, .start = 0.8});
    const double want[] = {1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0};
    for (const double lambda : want) {
        CHECK(std::fabs(norm.lambda() - lambda) < 1e-15);
        CHECK(norm.lambda_at(norm.step()) == norm.lambda());
        norm.advance();
    }
    CHECK(norm.lambda_at(1000000) == 0);
    CHECK(heed::rep_batch_norm<float>({.width = 3}).lambda() == 0);
    CHECK(norm.weights.eta(0) == 1);
}

TEST_CASE("a training step of the norm is that of the formula, and moves the running statistics") {
    for (const long step : {warm, blended, over})
        for (const long width : {1, 7, 16, 33, 100})
            for (const long rows : {1, 5, 200, 5000}) {
                support::random r(static_cast<std::uint64_t>(step * 100 + width));
                support::tensor<float, 2> x(rows, width);
                support::fill_normal(x, r, 3);
                auto norm = random_norm<float>(r, width, step);
                const auto before = norm.running;
                heed::rep_batch_norm<float>::tape tape;
                const auto y = norm.forward(x, tape);
                const auto want = reference_of(norm, norm.lambda())(support::values(x));
                INFO("step " << step << ", " << rows << " x " << width);
                CHECK(support::max_error(support::values(y), want) <= 4e-6 * (1 + support::max_abs(want)));
                double off = 0;
                for (long f = 0; f < width; ++f) {
                    const auto in = support::values(x);
                    const reference::moments m(in.data() + f, static_cast<std::size_t>(rows),
                                               static_cast<std::size_t>(width));
                    const double mean = static_cast<double>(m.origin + m.mean);
                    const double variance =
                        static_cast<double>(m.variance) * (rows > 1 ? double(rows) / double(rows - 1) : 1);
                    const double share = step == warm ? 0 : 0.1;
                    off = std::fmax(
                        off, std::fabs(norm.running.mean(f) - (before.mean(f) * (1 - share) + share * mean)));
                    off = std::fmax(off, std::fabs(norm.running.variance(f) -
                                                   (before.variance(f) * (1 - share) + share * variance)));
                }
                CHECK(off < 1e-6);
            }
}

TEST_CASE("inference takes the running statistics, and lambda 0 unless told otherwise") {
    support::random r(31);
    for (const long step : {warm, over}) {
        auto norm = random_norm<double>(r, 21, step);
        support::tensor<double, 3> x(2, 9, 21);
        support::fill_normal(x, r);
        const auto mean = support::values(norm.running.mean),
                   variance = support::values(norm.running.variance);
        for (const double lambda : {0.0, 0.3, 1.0}) {
            norm.inference_lambda = lambda;
            const auto want = reference_of(norm, lambda)(support::values(x), &mean, &variance);
            CHECK(support::max_error(support::values(norm(x)), want) < 1e-14 * (1 + support::max_abs(want)));
        }
        CHECK(support::values(norm.running.mean) == mean);
    }
}

TEST_CASE("means that are large against the deviations cost the batch's statistics no digits") {
    support::random r(32);
    support::tensor<float, 2> x(1000, 40);
    support::fill_normal(x, r);
    for (long i = 0; i < x.size(); ++i) x.data()[i] += 1e4f;
    // A feature that begins with rows of zeros, whose mean is elsewhere.
    for (long i = 0; i < 100; ++i) x(i, 7) = 0;
    auto norm = random_norm<float>(r, 40, over);
    norm.weights.eta.setZero();
    heed::rep_batch_norm<float>::tape tape;
    const auto y = norm.forward(x, tape);
    const auto want = reference_of(norm, 0)(support::values(x));
    CHECK(support::max_error(support::values(y), want) < 2e-6 * (1 + support::max_abs(want)));
}

TEST_CASE("the gradients of the norm agree with central differences at every step") {
    support::random r(33);
    for (const long step : {warm, blended, over})
        for (const long rows : {3, 150}) {
            support::tensor<double, 2> x(rows, rows == 3 ? 17 : 3);
            support::fill_normal(x, r);
            const auto norm = random_norm<double>(r, x.dimension(1), step);
            const auto errors = support::layer_gradient(norm, x);
            INFO(step << ": " << errors.text());
            CHECK(errors.worst() < 1e-6);
        }
}

TEST_CASE("the norm's backward in float is that in double") {
    support::random r(34);
    support::tensor<float, 2> x(700, 50), dy(700, 50);
    support::fill_normal(x, r);
    support::fill_normal(dy, r);
    for (long i = 0; i < x.size(); ++i) x.data()[i] += 20;
    auto norm = random_norm<float>(r, 50, blended);
    heed::rep_batch_norm<double> exact(norm.config());
    exact.set_step(blended);
    const auto widen = [](const std::string&, auto& to, const auto& from) {
        to = from.template cast<double>();
    };
    heed::for_each_parameter(widen, exact.weights, norm.weights);
    const support::tensor<double, 2> exact_x = x.cast<double>(), exact_dy = dy.cast<double>();
    heed::rep_batch_norm<float>::tape tape;
    heed::rep_batch_norm<double>::tape exact_tape;
    auto g = heed::zeros_like(norm.weights);
    auto exact_g = heed::zeros_like(exact.weights);
    norm.forward(x, tape);
    exact.forward(exact_x, exact_tape);
    const auto dx = support::values(norm.backward(dy, x, tape, g));
    const auto exact_dx = support::values(exact.backward(exact_dy, exact_x, exact_tape, exact_g));
    CHECK(support::max_error(dx, exact_dx) < 2e-6 * support::max_abs(exact_dx));
    heed::for_each_parameter(
        [&](const std::string& name, const auto& got, const auto& want) {
            INFO(name);
            // Sums of 700 terms of size 1; eta's 35000 terms of size 20.
            CHECK(support::max_error(support::values(got), support::values(want)) <
                  (name == "eta" ? 1e-2 : 2e-5));
        },
        g, exact_g);
}

TEST_CASE("what is left at the end folds into the next linear layer") {
    support::random r(35);
    for (const bool bias : {true, false}) {
        auto norm = random_norm<double>(r, 19, over);
        heed::projection<double> next({.inputs = 19, .outputs = 8, .bias = bias}, 3), folded = next;
        if (bias) support::fill_normal(next.weights.bias, r), folded = next;
        support::tensor<double, 2> x(30, 19);
        support::fill_normal(x, r, 2);
        norm.fold_into(folded.weights);
        const auto want = support::values(next(norm(x))), got = support::values(folded(x));
        CHECK(support::max_error(got, want) < 1e-14 * (1 + support::max_abs(want)));
        CHECK(support::max_abs(want) > 1);
        // In float, to its rounding.
        const auto narrow = [](const std::string&, auto& to, const auto& from) {
            to = from.template cast<float>();
        };
        heed::rep_batch_norm<float> small({.width = 19});
        heed::projection<float> small_next({.inputs = 19, .outputs = 8, .bias = bias});
        heed::for_each_parameter(narrow, small.weights, norm.weights);
        heed::for_each_parameter(narrow, small.running, norm.running);
        heed::for_each_parameter(narrow, small_next.weights, next.weights);
        small.fold_into(small_next.weights);
        const support::tensor<float, 2> small_x = x.cast<float>();
        CHECK(support::max_error(support::values(small_next(small_x)), want) <
              4e-6 * (1 + support::max_abs(want)));
    }
}

TEST_CASE("the norm's bits depend on no thread, and it allocates nothing once its memory has grown") {
    support::random r(36);
    support::tensor<float, 2> x(900, 37), dy(900, 37), y(900, 37), dx(900, 37);
    support::fill_normal(x, r);
    support::fill_normal(dy, r);
    const auto norm = random_norm<float>(r, 37, blended);
    const heed::thread_pool two(2), five(5);
    heed::workspace memory;
    heed::rep_batch_norm<float>::tape tape;
    auto g = heed::zeros_like(norm.weights);
    auto one = norm;
    const auto step = [&](auto& layer, const auto&... options) {
        layer.forward_into(y, x, tape, options...);
        layer.backward_into(dx, dy, x, tape, g, options...);
    };
    step(one);
    const auto want_y = support::elements(y), want_dx = support::elements(dx);
    const auto want_g = g;
    for (const auto* pool : {&two, &five}) {
        auto many = norm;
        heed::set_zero(g);
        step(many, heed::on(*pool));
        CHECK(support::same_bits(support::elements(y), want_y));
        CHECK(support::same_bits(support::elements(dx), want_dx));
        CHECK(support::same_bits(support::elements(many.running.variance),
                                 support::elements(one.running.variance)));
        heed::for_each_parameter(
            [](const std::string& name, const auto& a, const auto& b) {
                INFO(name);
                CHECK(support::same_bits(support::elements(a), support::elements(b)));
            },
            g, want_g);
    }
    one.inference_lambda = 0.5;
    const auto all = [&](const auto&... options) {
        step(one, options...);
        one.forward_into(y, x, options...);
    };
    const auto used = heed::use(memory);
    all(used), all(used, heed::on(two));
    long counted = 0;
    {
        const support::allocation_watch watch;
        all(used), all(used, heed::on(two));
        counted = watch.count();
    }
    CHECK(counted == 0);
}

TEST_CASE("NaN stays in its row at inference and in the warm-up, and in its feature after that") {
    const heed_test::without_traps quiet;
    support::random r(37);
    support::tensor<float, 2> x(20, 30);
    support::fill_normal(x, r);
    x(4, 9) = std::numeric_limits<float>::quiet_NaN();
    auto norm = random_norm<float>(r, 30, warm);
    heed::rep_batch_norm<float>::tape tape;
    const auto y = norm(x), in_warm_up = norm.forward(x, tape);
    norm.set_step(over);
    const auto trained = norm.forward(x, tape);
    for (long i = 0; i < 20; ++i)
        for (long f = 0; f < 30; ++f) {
            CHECK(std::isnan(y(i, f)) == (i == 4 && f == 9));
            CHECK(std::isnan(in_warm_up(i, f)) == (i == 4));
            CHECK(std::isnan(trained(i, f)) == (f == 9));
        }
}

TEST_CASE("what is wrong with a call of the norm, and nothing is written") {
    using config = heed::rep_batch_norm_config;
    using norm_type = heed::rep_batch_norm<float>;
    const auto refuses = [](const config& c, const std::string& words) {
        CHECK_THROWS_WITH(norm_type(c), "heed::rep_batch_norm: " + words);
    };
    refuses({.width = 0}, "width is 0, needs at least 1");
    refuses({.width = 1, .warm_up = -1}, "warm_up is -1, needs 0 or more");
    refuses({.width = 1, .steps = -1}, "steps is -1, needs 0 or more");
    refuses({.width = 1, .start = 2}, "start is 2, needs 0 to 1");
    refuses({.width = 1, .momentum = -1}, "momentum is -1, needs 0 to 1");
    refuses({.width = 1, .epsilon = -1}, "epsilon is -1, needs a positive finite number");

    norm_type norm({.width = 4, .warm_up = 3, .steps = 5});
    const norm_type before = norm;
    norm_type::tape tape;
    auto g = heed::zeros_like(norm.weights);
    support::tensor<float, 2> x(3, 4), y(3, 4), wide(3, 5), few(2, 4), none(0, 4);
    x.setZero();
    y.setConstant(77);
    CHECK_THROWS_WITH(norm.set_step(-1), "heed::rep_batch_norm::set_step: step is -1, needs 0 or more");
    const std::string f = "heed::rep_batch_norm::forward_into: ", b = "heed::rep_batch_norm::backward_into: ";
    CHECK_THROWS_WITH(norm.forward(wide, tape), "heed::rep_batch_norm::forward: x has a width of 5, needs 4");
    CHECK_THROWS_WITH(norm.forward(none, tape),
                      "heed::rep_batch_norm::forward: x has no rows; a batch's statistics need at least 1");
    CHECK_THROWS_WITH(norm.forward_into(few, x, tape), f + "y has 2 positions, x has 3");
    CHECK_THROWS_WITH(norm.forward_into(x, x, tape), f + "y overlaps x, needs memory of its own");
    CHECK_THROWS_WITH(norm.backward_into(y, x, x, tape, g), b + "tape holds a forward of 0 rows, x has 3");
    CHECK_THROWS_WITH(norm.backward_into(y, few, x, tape, g), b + "dy has 2 positions, x has 3");
    CHECK_THROWS_WITH(norm.backward_into(x, y, x, tape, g), b + "dx overlaps x, needs memory of its own");
    CHECK(norm(none).size() == 0);
    norm.inference_lambda = 2;
    CHECK_THROWS_WITH(norm.forward_into(y, x),
                      "heed::rep_batch_norm::forward_into: inference_lambda is 2, needs 0 to 1");
    norm.inference_lambda = 0;
    heed::projection<float> next({.inputs = 4, .outputs = 2}), other({.inputs = 5, .outputs = 2});
    CHECK_THROWS_WITH(
        norm.fold_into(next.weights),
        "heed::rep_batch_norm::fold_into: lambda is 1 at step 0; needs 0, which is reached at step 8");
    norm.set_step(8);
    CHECK_THROWS_WITH(norm.fold_into(other.weights),
                      "heed::rep_batch_norm::fold_into: the projection has 5 inputs, needs 4");
    for (long i = 0; i < 12; ++i) CHECK(y.data()[i] == 77);
    CHECK(support::values(norm.running.mean) == support::values(before.running.mean));
    norm.fold_into(next.weights);
}
