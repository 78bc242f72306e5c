// SPDX-License-Identifier: MIT
// tests/layers/heads_gated_delta.cpp: the gated delta rule inside a multi-head layer
#include <algorithm>

#include "support/heads_call.hpp"
#include "support/linear_reference.hpp"
#include "support/traps.hpp"

namespace {

using heed::gated_delta_heads;
using support::head_problem;
using support::numbers;

// Rows divided by sqrt(<x, x> + least).
void make_unit(numbers& x, long dim, double least) {
    for (std::size_t row = 0; row < x.size(); row += static_cast<std::size_t>(dim)) {
        double square = least;
        for (long f = 0; f < dim; ++f)
            square += x[row + static_cast<std::size_t>(f)] * x[row + static_cast<std::size_t>(f)];
        for (long f = 0; f < dim; ++f) x[row + static_cast<std::size_t>(f)] /= std::sqrt(square);
    }
}

auto gated_delta(double scale) {
    return [scale](const head_problem& p) {
        reference::linear_problem l;
        l.batch = p.batch, l.heads = p.config.heads, l.kv_heads = p.config.kv_heads;
        l.queries = l.keys = p.queries, l.d_k = l.d_v = p.config.head_dim;
        l.q = p.streams[0], l.k = p.streams[1], l.v = p.streams[2];
        make_unit(l.q, l.d_k, 1e-6);
        make_unit(l.k, l.d_k, 1e-6);
        for (std::size_t i = 0; i < p.streams[3].size(); ++i) {
            const std::size_t head = i / static_cast<std::size_t>(p.keys) % p.own[0].size();
            l.g.push_back(-std::log1p(std::exp(p.streams[3][i] + p.own[0][head])));
            l.beta.push_back(1 / (1 + std::exp(-p.streams[4][i])));
        }
        l.causal = true, l.normalised = false, l.scale = scale, l.map = reference::features::identity;
        return reference::solve_linear<double>(l).y;
    };
}

const heed::attention_config plain{.width = 12, .heads = 3};
const heed::attention_config grouped{
    .width = 12, .heads = 4, .kv_heads = 2, .head_dim = 18, .in_bias = true, .rotary_positions = 200};

bool all_finite(const std::vector<float>& x) {
    return std::all_of(x.begin(), x.end(), [](float number) { return std::isfinite(number); });
}

}  // namespace

TEST_CASE("gated delta heads: forward") {
    support::check_forward<gated_delta_heads>(plain, 2, 70, gated_delta(1));
    support::check_forward<gated_delta_heads>(grouped, 2, 70, gated_delta(1), heed::causal);
    support::check_forward<gated_delta_heads>(grouped, 1, 5, gated_delta(0.25), heed::scale(0.25));
}

TEST_CASE("gated delta heads: gradients") {
    support::check_gradient<gated_delta_heads>(plain, 2, 9);
    support::check_gradient<gated_delta_heads>(grouped, 1, 5, heed::scale(0.25), heed::causal);
}

TEST_CASE("gated delta heads: streams") {
    support::check_stream<gated_delta_heads>(plain, 2, 70);
    support::check_stream<gated_delta_heads>(grouped, 1, 70, heed::causal, heed::scale(0.25));
}

TEST_CASE("gated delta heads: threads and allocations") {
    support::check_calls<float, gated_delta_heads>(grouped, 2, 130);
    support::check_calls<double, gated_delta_heads>(plain, 2, 70, heed::causal);
}

TEST_CASE("gated delta heads: memories of 10 to 1000 positions at the start") {
    const heed::multi_head_attention<double, gated_delta_heads> layer({.width = 12, .heads = 3});
    const auto& decay = layer.weights.heads.decay;
    const double positions[] = {10, 100, 1000};
    for (long h = 0; h < 3; ++h) CHECK(std::fabs(std::log1p(std::exp(decay(h))) * positions[h] - 1) < 1e-12);
    const heed::multi_head_attention<double, gated_delta_heads> one({.width = 12, .heads = 3, .kv_heads = 1});
    CHECK(std::fabs(std::log1p(std::exp(one.weights.heads.decay(0))) * 100 - 1) < 1e-12);
}

// An input of zeros has queries, keys and values of zeros; numbers that make every gate 0 or 1 stay numbers.
TEST_CASE("gated delta heads: rows of zeros and gates at their ends") {
    support::head_setup<float, gated_delta_heads> s(plain, 1, 6);
    s.x.setZero();
    support::training_step<float, gated_delta_heads> step(s);
    step.run();
    CHECK(all_finite(step.all()));
    CHECK(support::max_abs(support::elements(step.y)) == 0);

    support::head_setup<float, gated_delta_heads> far(plain, 1, 6);
    for (long i = 0; i < far.x.size(); ++i) far.x.data()[i] *= 1e4f;
    support::training_step<float, gated_delta_heads> another(far);
    another.run();
    CHECK(all_finite(another.all()));
}

// Rows whose squares overflow have length 1 like any other, and their gradient is at right angles to them.
TEST_CASE("gated delta heads: queries and keys as large as numbers go") {
    const heed_test::without_traps quiet;
    const auto check = [](auto type, std::initializer_list<double> sizes, double rounding) {
        using T = decltype(type);
        support::random r(19);
        for (const long features : {1L, 5L, 16L, 37L}) {
            const auto ones = support::random_rows<T>(r, 1, 33, features);
            for (const double size : sizes) {
                // Every other row stays as it is, and keeps its bits.
                support::tensor<T, 3> x = ones;
                for (long p = 0; p < 33; p += 2)
                    for (long f = 0; f < features; ++f) x(0, p, f) *= static_cast<T>(size);
                const auto rows = heed::detail::rows_of<const T>("test", "x", x);
                const auto plain_rows = heed::detail::rows_of<const T>("test", "x", ones);
                heed::detail::l2_normalized<T> unit, before;
                const auto none = heed::detail::device_of();
                unit.forward(rows.heads_from(0, 1, features), static_cast<T>(1e-6), none);
                before.forward(plain_rows.heads_from(0, 1, features), static_cast<T>(1e-6), none);
                support::tensor<T, 3> d = ones;
                d.setConstant(1);
                const auto d_rows = heed::detail::written_rows<T, support::tensor<T, 3>&>("test", "d", d);
                unit.backward(d_rows.heads_from(0, 1, features), none);
                double worst = 0;
                for (long p = 0; p < 33; ++p) {
                    long double square = 1e-6L, along = 0;
                    for (long f = 0; f < features; ++f)
                        square += static_cast<long double>(x(0, p, f)) * x(0, p, f);
                    const long double length = std::sqrt(square);
                    for (long f = 0; f < features; ++f) along += x(0, p, f) / length;
                    for (long f = 0; f < features; ++f) {
                        const long double y = x(0, p, f) / length;
                        worst = std::fmax(worst, static_cast<double>(std::fabs(unit.y(0, 0, p, f) - y)));
                        worst = std::fmax(
                            worst, static_cast<double>(std::fabs(d(0, p, f) * length - (1 - y * along))) / 8);
                        if (p % 2 == 1) CHECK(unit.y(0, 0, p, f) == before.y(0, 0, p, f));
                    }
                }
                INFO(features << " features of " << size);
                CHECK(worst < rounding);
            }
        }
    };
    check(float{}, {1e4, 1e18, 1e20, 1e30, 3e36}, 1e-6);
    check(double{}, {1e4, 1e150, 1e160, 1e300}, 2e-15);

    // The layer: in float, what the rule gives in double.
    support::head_setup<float, gated_delta_heads> s(plain, 1, 6);
    for (long i = 0; i < s.x.size(); ++i) s.x.data()[i] *= 1e20f;
    const numbers want = support::expected(s, gated_delta(1));
    const auto got = support::values(s.layer(s.x));
    CHECK(support::max_error(got, want) < 1e-5 * support::max_abs(want));
    CHECK(support::max_abs(want) > 1e18);
}

TEST_CASE("gated delta heads: what does not fit is refused") {
    CHECK_THROWS_WITH(
        (heed::multi_head_attention<float, gated_delta_heads>({.width = 12, .heads = 3, .memory_width = 12})),
        heed_test::contains("this attention has no cross form"));
    const support::head_setup<float, gated_delta_heads> s(plain, 2, 7);
    CHECK_THROWS_WITH(s.layer(s.x, heed::window(3, 0)),
                      heed_test::contains("got window(3, 0); this attention takes no mask but heed::causal"));
    decltype(s.layer)::stream stream;
    CHECK_THROWS_WITH(s.layer.extend(s.x, stream, heed::scale(HUGE_VAL)),
                      heed_test::contains("needs a finite number"));
    CHECK(stream.position == 0);
    CHECK(
        support::same_bits(support::elements(s.layer.extend(s.x, stream)), support::elements(s.layer(s.x))));
}
