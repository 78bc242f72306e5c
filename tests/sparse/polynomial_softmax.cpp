// SPDX-License-Identifier: MIT
// tests/sparse/polynomial_softmax.cpp: polynomial weights against the oracle, and against softmax
#include <heed/sparse/polynomial_softmax.hpp>
#include <heed/thread_pool.hpp>

#include "sparse/remez.hpp"
#include "support/allocation.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/psa_reference.hpp"
#include "support/random.hpp"
#include "support/tensors.hpp"
#include "support/traps.hpp"

namespace {

using heed_test::contains;
using support::tensor;

constexpr float hidden = -HUGE_VALF;
const heed::cubic_exponential cubic;
const heed::table_exponential table;

reference::polynomial oracle_of(const heed::cubic_exponential& e) { return {e.coefficients, e.clamp, false}; }
reference::polynomial oracle_of(const heed::table_exponential& e) {
    return {e.coefficients, double(e.cut), true};
}

// Scores on a grid of 1/16: differences are exact in every type, and the clamp and the whole numbers are hit.
template <class T>
tensor<T> scores(support::random& r, long heads, long rows, long n, double deviation, double hide) {
    tensor<T> x(2, heads, rows, n);
    for (long i = 0; i < x.size(); ++i)
        x.data()[i] = r.chance(hide) ? static_cast<T>(hidden)
                                     : support::narrow<T>(std::round(16 * deviation * r.normal()) / 16);
    return x;
}

std::vector<double> row_of(const std::vector<double>& x, long row, long n) {
    return {x.begin() + row * n, x.begin() + (row + 1) * n};
}

// The largest error, in units of what rounding may do to a weight.
template <class T, class Exponential>
double error_of(const tensor<T>& y, const tensor<T>& x, const Exponential& e) {
    const long n = x.dimension(3);
    const auto s = support::values(x), got = support::values(y);
    std::vector<double> w;
    double worst = 0;
    for (long row = 0; row < x.size() / n; ++row) {
        reference::polynomial_row(oracle_of(e), row_of(s, row, n), w);
        for (long j = 0; j < n; ++j) {
            const double want = w[static_cast<std::size_t>(j)];
            const double is = got[static_cast<std::size_t>(row * n + j)];
            if (std::isnan(want) != std::isnan(is)) return HUGE_VAL;
            // Where the oracle is +0 so is the result: the clamp is decided exactly on this grid.
            if (want == 0 && (is != 0 || std::signbit(is))) return HUGE_VAL;
            worst = std::fmax(worst, std::fabs(is - want));
        }
    }
    constexpr double eps = std::is_same_v<T, double> ? 2.2e-16 : 1.2e-7;
    return worst / ((sizeof(T) == 2 ? 0.5 * support::ulp<T>(1) : 0) + 16 * eps);
}

template <class T>
void all_lengths(std::uint64_t seed) {
    support::random r(seed);
    for (const long n :
         {1L, 2L, 3L, 7L, 8L, 9L, 15L, 16L, 17L, 31L, 33L, 64L, 100L, 127L, 1024L, 1500L, 5000L}) {
        const auto x = scores<T>(r, n > 200 ? 1 : 2, n > 200 ? 1 : 3, n, r.chance(0.5) ? 1 : 4, 0.2);
        INFO(n << " scores in a row");
        CHECK(error_of(heed::polynomial_softmax(x), x, cubic) <= 1);
        CHECK(error_of(heed::polynomial_softmax(x, table), x, table) <= 1);
    }
}

}  // namespace

TEST_CASE("the default coefficients are the cubics of least largest error") {
    const auto of_exp = support::remez_cubic([](double t) { return std::exp(t); }, -4, 0);
    const auto of_table = support::remez_cubic([](double f) { return std::exp(-f); }, 0, 1);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(std::fabs(of_exp.a[i] - cubic.coefficients[i]) <= 1e-9);
        CHECK(std::fabs(of_table.a[i] - table.coefficients[i]) <= 1e-9);
    }
    CHECK(std::fabs(of_exp.error - 0.0142566) <= 1e-6);
    CHECK(std::fabs(of_table.error - 0.0002004) <= 1e-6);
    CHECK(cubic.clamp == 4);
    CHECK(table.cut == 6);
    // The error takes turns at five points, which no other cubic's does.
    for (const double t : {-4.0, -3.31733014, -1.80694646, -0.49065968, 0.0})
        CHECK(std::fabs(std::fabs(of_exp(t) - std::exp(t)) - of_exp.error) <= 1e-8);
}

TEST_CASE("weights are those of the oracle") {
    all_lengths<float>(1);
    all_lengths<double>(2);
    all_lengths<Eigen::half>(3);
    all_lengths<Eigen::bfloat16>(4);
}

TEST_CASE("coefficients, clamp and cut may be given") {
    support::random r(5);
    const auto x = scores<double>(r, 2, 5, 40, 2, 0.1);
    const heed::cubic_exponential dips{.coefficients = {1, 1.25, 0.5, 0.0625},
                                       .clamp = 3};  // negative inside
    CHECK(error_of(heed::polynomial_softmax(x, dips), x, dips) <= 1);
    for (const int cut : {1, 2, 9, 15}) {
        heed::table_exponential e;
        e.cut = cut;
        CHECK(error_of(heed::polynomial_softmax(x, e), x, e) <= 1);
    }
}

TEST_CASE("the distance to softmax is what the header says") {
    support::random r(6);
    double cubic_far = 0, table_far = 0;
    long beyond = 0;
    for (const double deviation : {0.25, 1.0, 3.0}) {
        const auto x = scores<double>(r, 2, 20, 64, deviation, 0);
        const auto a = support::values(heed::polynomial_softmax(x));
        const auto b = support::values(heed::polynomial_softmax(x, table));
        const auto s = support::values(x);
        std::vector<double> w;
        for (long row = 0; row < x.size() / 64; ++row) {
            const auto scores_ = row_of(s, row, 64);
            reference::detail::softmax_row<double>(scores_, nullptr, w = scores_);
            double top = -HUGE_VAL, sum_a = 0, sum_b = 0;
            for (double v : scores_) top = std::fmax(top, v);
            double off_a = 0, off_b = 0;
            for (double v : scores_) {
                const double wa = reference::weight_of(oracle_of(cubic), v - top);
                const double wb = reference::weight_of(oracle_of(table), v - top);
                sum_a += wa, off_a += std::fabs(wa - std::exp(v - top));
                sum_b += wb, off_b += std::fabs(wb - std::exp(v - top));
            }
            for (std::size_t j = 0; j < 64; ++j) {
                const double p = w[j], ga = a[static_cast<std::size_t>(row) * 64 + j],
                             gb = b[static_cast<std::size_t>(row) * 64 + j];
                beyond += std::fabs(ga - p) > (std::exp(-4.0) + p * off_a) / sum_a + 1e-12;
                beyond += std::fabs(gb - p) > (std::exp(-6.0) + p * off_b) / sum_b + 1e-12;
                cubic_far = std::fmax(cubic_far, std::fabs(ga - p));
                table_far = std::fmax(table_far, std::fabs(gb - p));
            }
        }
    }
    INFO("largest distance to softmax " << cubic_far << ", with the table " << table_far);
    CHECK(beyond == 0);
    CHECK(cubic_far < 0.1);
    CHECK(table_far < 0.018);
}

TEST_CASE("hard cases of a row") {
    const heed_test::without_traps quiet;
    tensor<float> x(1, 1, 5, 19);
    x.setConstant(1.5f);
    for (long j = 0; j < 19; ++j) x(0, 0, 1, j) = hidden;
    x(0, 0, 2, 17) = NAN;
    x(0, 0, 3, 4) = HUGE_VALF;
    x(0, 0, 4, 0) = -3e38f;
    for (const auto& y : {heed::polynomial_softmax(x), heed::polynomial_softmax(x, table)}) {
        long wrong = 0;
        for (long j = 0; j < 19; ++j) {
            wrong += std::fabs(y(0, 0, 0, j) - 1 / 19.0f) > 1e-7f;
            wrong += !std::isnan(y(0, 0, 2, j)) + !std::isnan(y(0, 0, 3, j));
            wrong += j == 0 ? y(0, 0, 4, j) != 0 : std::fabs(y(0, 0, 4, j) - 1 / 18.0f) > 1e-7f;
        }
        CHECK(wrong == 0);
        CHECK(support::positive_zero(&y(0, 0, 1, 0), 19));
    }
    const auto dx = heed::polynomial_softmax_backward(x, x);
    CHECK(support::positive_zero(&dx(0, 0, 1, 0), 19));
    tensor<float> none(1, 2, 3, 0);
    CHECK(heed::polynomial_softmax(none).size() == 0);
}

namespace {

// Central differences of <dy, weights> of the oracle.
template <class Exponential>
void check_gradient(const Exponential& e, std::uint64_t seed) {
    support::random r(seed);
    for (const long n : {1L, 2L, 7L, 8L, 33L, 70L}) {
        tensor<double> x(1, 1, 2, n), dy(1, 1, 2, n);
        for (long i = 0; i < x.size(); ++i) x.data()[i] = 1.7 * r.normal(), dy.data()[i] = r.normal();
        if (n > 4) x(0, 0, 0, 3) = -HUGE_VAL, dy(0, 0, 0, 3) = NAN;
        const auto got = support::values(heed::polynomial_softmax_backward(dy, x, e));
        for (long row = 0; row < 2; ++row) {
            auto s = row_of(support::values(x), row, n);
            const auto g = row_of(support::values(dy), row, n);
            const auto loss = [&] {
                std::vector<long double> wide(s.begin(), s.end()), w;
                reference::polynomial_row<long double>(oracle_of(e), wide, w);
                long double sum = 0;
                for (std::size_t j = 0; j < w.size(); ++j)
                    if (w[j] != 0) sum += w[j] * static_cast<long double>(g[j]);
                return sum;
            };
            double total = 0;
            for (std::size_t j = 0; j < s.size(); ++j) {
                const double is = got[static_cast<std::size_t>(row * n) + j], kept = s[j];
                total += is;
                if (std::isinf(kept)) {
                    CHECK(is == 0);
                    continue;
                }
                s[j] = kept + 1e-5;
                const double step = s[j];
                const long double up = loss();
                s[j] = kept - 1e-5;
                const long double want = (up - loss()) / (static_cast<long double>(step) - s[j]);
                s[j] = kept;
                INFO("row of " << n << ", score " << j);
                CHECK(std::fabs(is - double(want)) <= 1e-7 * (1 + std::fabs(is)));
            }
            CHECK(std::fabs(total) <= 1e-12);
        }
    }
}

}  // namespace

TEST_CASE("gradients agree with central differences") {
    const heed_test::without_traps quiet;  // NaN behind a hidden score
    check_gradient(cubic, 7);
    check_gradient(table, 8);
    check_gradient(heed::cubic_exponential{.coefficients = {1, 1.25, 0.5, 0.0625}, .clamp = 3}, 9);
}

TEST_CASE("layouts, threads, in place: the same bits") {
    support::random r(10);
    const auto x = scores<float>(r, 3, 50, 77, 2, 0.1);
    const auto y = heed::polynomial_softmax(x);
    const heed::thread_pool two(2), five(5);
    tensor<float> z(x.dimensions());
    for (const auto* pool : {&two, &five}) {
        heed::polynomial_softmax_into(z, x, heed::on(*pool));
        CHECK(support::same_bits(support::elements(z), support::elements(y)));
    }
    z = x;
    heed::polynomial_softmax_into(z, z);
    CHECK(support::same_bits(support::elements(z), support::elements(y)));
    // Rows along an axis whose elements are apart.
    tensor<float> turned(2, 3, 77, 50), into(2, 3, 77, 50);
    for (long i = 0; i < x.size(); ++i)
        turned(i / 77 / 50 / 3, i / 77 / 50 % 3, i % 77, i / 77 % 50) = x.data()[i];
    heed::polynomial_softmax_into(heed::transposed(into), heed::transposed(turned));
    long other = 0;
    for (long i = 0; i < x.size(); ++i)
        other += into(i / 77 / 50 / 3, i / 77 / 50 % 3, i % 77, i / 77 % 50) != y.data()[i];
    CHECK(other == 0);
    const auto dx = heed::polynomial_softmax_backward(y, x);
    heed::polynomial_softmax_backward_into(z = y, z, x, heed::on(two));
    CHECK(support::same_bits(support::elements(z), support::elements(dx)));
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> m(4, 9);
    m.setRandom();
    CHECK(std::fabs(heed::polynomial_softmax(m).row(3).sum() - 1) < 1e-6f);
}

TEST_CASE("a workspace that has grown saves every allocation") {
    support::random r(11);
    const auto x = scores<float>(r, 2, 9, 300, 1, 0);
    tensor<float> y(x.dimensions()), dx(x.dimensions());
    heed::workspace memory;
    const auto call = [&] {
        heed::polynomial_softmax_into(y, x, heed::use(memory));
        heed::polynomial_softmax_backward_into(dx, y, x, heed::use(memory));
    };
    call();
    long counted = 0;
    {
        const support::allocation_watch watch;
        call();
        counted = watch.count();
    }
    CHECK(counted == 0);
}

TEST_CASE("what a caller can get wrong") {
    const heed_test::without_traps quiet;  // NaN among the settings
    tensor<float> x(1, 2, 3, 8), y(1, 2, 3, 7), z(1, 2, 3, 8);
    x.setZero(), z.setConstant(-7);
    CHECK_THROWS_WITH(heed::polynomial_softmax_into(y, x),
                      "heed::polynomial_softmax_into: y has 7 features, x has 8");
    CHECK_THROWS_WITH(heed::polynomial_softmax(x, heed::cubic_exponential{.clamp = 0}),
                      "heed::polynomial_softmax: clamp is 0, needs a number above 0, at most 1000");
    CHECK_THROWS_WITH(heed::polynomial_softmax_into(z, x, heed::cubic_exponential{.clamp = NAN}),
                      contains("clamp is nan"));
    CHECK_THROWS_WITH(heed::polynomial_softmax(x, heed::cubic_exponential{.coefficients = {1, 1e7, 0, 0}}),
                      contains("coefficient a1 is 1e+07, needs a number between -1e6 and 1e6"));
    CHECK_THROWS_WITH(heed::polynomial_softmax(x, heed::cubic_exponential{.coefficients = {0, 1, 0, 0}}),
                      contains("coefficient a0 is 0, needs at least 1e-6"));
    heed::table_exponential e;
    e.cut = 16;
    CHECK_THROWS_WITH(heed::polynomial_softmax(x, e),
                      contains("cut is 16, needs a whole number from 1 to 15"));
    const auto part = [&](long first) { return heed::as_view(x).slice_features(first, 7); };
    CHECK_THROWS_WITH(heed::polynomial_softmax_into(part(1), part(0)),
                      contains("y overlaps x, needs to be x itself or memory of its own"));
    CHECK_THROWS_WITH(heed::polynomial_softmax_backward(y, x), contains("dy has 7 features, x has 8"));
    CHECK_THROWS_WITH(heed::polynomial_softmax_backward_into(x, z, x), contains("dx overlaps x"));
    long written = 0;
    for (long i = 0; i < z.size(); ++i) written += z.data()[i] != -7;
    CHECK(written == 0);
}
