// SPDX-License-Identifier: MIT
// tests/sparse/quantise.cpp: values on a grid, levels and schedules over training
#include <heed/sparse/quantise.hpp>
#include <heed/sparse/schedule.hpp>
#include <heed/thread_pool.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/tensors.hpp"
#include "support/traps.hpp"

namespace {

using heed_test::contains;
using support::tensor;

// round to nearest, ties to even, of a double that holds the element exactly.
double on_grid(double x, int level) {
    const double scaled = std::ldexp(x, level);
    if (!std::isfinite(x) || std::fabs(scaled) >= 0x1p52) return x;
    double whole = std::floor(scaled);
    const double rest = scaled - whole;
    if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2) != 0)) whole += 1;
    return std::copysign(std::ldexp(whole, -level), x);
}

template <class T>
void check_levels(std::uint64_t seed) {
    support::random r(seed);
    for (const int level : {-60, -3, -1, 0, 1, 2, 5, 12, 24, 40, 60}) {
        tensor<T> x(1, 2, 3, 53);
        for (long i = 0; i < x.size(); ++i) {
            // Halves, whole numbers and others, near the grid's own size.
            const double size = std::ldexp(1.0, r.chance(0.2) ? r.between(-9, 30) > 9 ? 9 : -9 : -level);
            const double v = r.chance(0.4) ? static_cast<double>(r.between(-40, 40)) * 0.5 : 10 * r.normal();
            x.data()[i] = support::narrow<T>(v * size);
        }
        const heed::progressive_grid g{.first_level = level, .last_level = level};
        const auto y = heed::quantise_progressively(x, 3, g);
        long wrong = 0;
        for (long i = 0; i < x.size(); ++i) {
            // A 16-bit element holds fewer digits than the grid may ask for: it is rounded once more.
            const T want = support::narrow<T>(on_grid(support::widen(x.data()[i]), level));
            wrong += !support::same_bits(&want, y.data() + i, 1);
        }
        INFO("level " << level);
        CHECK(wrong == 0);
    }
}

}  // namespace

TEST_CASE("numbers go to the nearest point of the grid, ties to the even one") {
    check_levels<float>(1);
    check_levels<double>(2);
    check_levels<Eigen::half>(3);
    check_levels<Eigen::bfloat16>(4);
}

TEST_CASE("what is not on any grid stays") {
    const heed_test::without_traps quiet;
    tensor<float> x(1, 1, 1, 7);
    const float given[] = {HUGE_VALF, -HUGE_VALF, NAN, 3e38f, -0.0f, -0.2f, 1e-40f};
    std::copy(given, given + 7, x.data());
    const auto y = heed::quantise_progressively(x, 0, {});
    CHECK(support::same_bits(y.data(), x.data(), 5));
    CHECK((y.data()[5] == 0 && std::signbit(y.data()[5])));
    CHECK((y.data()[6] == 0 && !std::signbit(y.data()[6])));
}

TEST_CASE("levels follow the steps") {
    const heed::progressive_grid finer{.warmup_steps = 10, .interval = 5};
    CHECK(!heed::level_of(0, finer));
    CHECK(!heed::level_of(9, finer));
    CHECK(*heed::level_of(10, finer) == 0);
    CHECK(*heed::level_of(14, finer) == 0);
    CHECK(*heed::level_of(15, finer) == 1);
    CHECK(*heed::level_of(110, finer) == 20);
    CHECK(*heed::level_of(PTRDIFF_MAX, finer) == 60);
    const heed::progressive_grid coarser{.interval = 2, .first_level = 3, .toward = heed::grid::coarser};
    CHECK(*heed::level_of(0, coarser) == 3);
    CHECK(*heed::level_of(2, coarser) == 2);
    CHECK(*heed::level_of(1000, coarser) == 0);
    CHECK(*heed::level_of(16, {.toward = heed::grid::coarser}) == 0);
    CHECK(*heed::level_of(5, {.first_level = 2, .last_level = 4}) == 4);

    tensor<float> x(1, 1, 2, 5);
    x.setConstant(0.3f);
    CHECK(heed::quantise_progressively(x, 9, finer)(0, 0, 1, 4) == 0.3f);
    CHECK(heed::quantise_progressively(x, 10, finer)(0, 0, 1, 4) == 0.0f);
    CHECK(heed::quantise_progressively(x, 20, finer)(0, 0, 1, 4) == 0.25f);
    // In place, over threads.
    const heed::thread_pool pool(3);
    heed::quantise_progressively_into(x, x, 20, finer, heed::on(pool));
    CHECK(x(0, 0, 0, 0) == 0.25f);
}

TEST_CASE("a schedule thins out linearly or cubically") {
    const heed::sparsity_schedule linear{.end = 0.2, .steps = 100, .warmup_steps = 10};
    heed::sparsity_schedule cubic = linear;
    cubic.ramp = heed::ramp::cubic;
    for (const auto& s : {linear, cubic}) {
        CHECK(s(0) == 1);
        CHECK(s(10) == 1);
        CHECK(s(110) == 0.2);
        CHECK(s(PTRDIFF_MAX) == 0.2);
        for (heed::index t = 10; t < 110; ++t) CHECK_FALSE(s(t + 1) >= s(t));
    }
    CHECK(std::fabs(linear(60) - 0.6) < 1e-15);
    CHECK(std::fabs(cubic(60) - (0.2 + 0.8 * 0.125)) < 1e-15);
    CHECK_THROWS_WITH((heed::sparsity_schedule{.end = 0, .steps = 5}(1)),
                      "heed::sparsity_schedule: end is 0, needs a number above 0, at most 1");
    CHECK_THROWS_WITH((heed::sparsity_schedule{.end = 0.5, .steps = 0}(1)), contains("steps is 0"));
    CHECK_THROWS_WITH((heed::sparsity_schedule{.warmup_steps = -1}(1)), contains("warmup_steps is -1"));
    CHECK_THROWS_WITH(linear(-1), contains("step is -1, needs at least 0"));
}

TEST_CASE("what a caller can get wrong") {
    tensor<float> x(1, 1, 2, 5), y(1, 1, 3, 5);
    x.setZero();
    const auto call = [&](const heed::progressive_grid& g) { return heed::quantise_progressively(x, 5, g); };
    CHECK_THROWS_WITH(heed::quantise_progressively_into(y, x, 0, {}), contains("y has 3 positions, x has 2"));
    CHECK_THROWS_WITH(heed::quantise_progressively(x, -1, {}),
                      "heed::quantise_progressively: step is -1, needs at least 0");
    CHECK_THROWS_WITH(call({.interval = 0}), contains("interval is 0, needs at least 1"));
    CHECK_THROWS_WITH(call({.warmup_steps = -2}), contains("warmup_steps is -2"));
    CHECK_THROWS_WITH(call({.first_level = 61}), contains("a level is 61, needs one from -60 to 60"));
    CHECK_THROWS_WITH(call({.first_level = 4, .last_level = 3}),
                      contains("needs a last level that is no lower"));
    CHECK_THROWS_WITH(call({.first_level = 2, .last_level = 3, .toward = heed::grid::coarser}),
                      contains("needs a last level that is no higher"));
}
