// SPDX-License-Identifier: MIT
// tests/linear/favor.cpp: random features, by their statistics and by what they are multiplied to
//
// The features are read from outside: the state after one key with value 1 is phi(k), and what a query
// reads from the unit matrix is phi(q). With them in hand the call has to be that of the identity map.
#include "support/linear_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

// phi of rows (n, d) as queries or as keys.
template <class Option>
std::vector<double> features_of(const std::vector<double>& x, long n, long d, long count, bool keys,
                                const Option& map) {
    std::vector<double> out;
    const auto rows = support::tensor4<double>(x, 1, n, 1, d);
    support::tensor<double> unit(1, n, count, count), state(1, n, count, 1);
    unit.setZero(), state.setZero();
    for (long h = 0; h < n; ++h)
        for (long i = 0; i < count; ++i) unit(0, h, i, i) = 1;
    if (keys) {
        support::tensor<double> one(1, n, 1, 1);
        one.setConstant(1);
        (void)heed::linear_attention(rows, rows, one, map, heed::unnormalised, heed::causal,
                                     heed::state(state));
        return support::values(state);
    }
    support::tensor<double> none(1, n, 1, count);
    none.setZero();
    return support::values(heed::linear_attention(rows, rows, none, map, heed::unnormalised, heed::causal,
                                                  heed::initial_state(unit)));
}

double product(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

}  // namespace

TEST_CASE("the mean over seeds is e^(q k / sqrt d), and more features are nearer") {
    support::random r(3201);
    const long d = 6;
    for (int i = 0; i < 5; ++i) {
        const auto q = support::normals<double>(r, d, 0.8), k = support::normals<double>(r, d, 0.8);
        const double want = std::exp(product(q, k) / std::sqrt(double(d)));
        double last = 0;
        for (const long count : {6L, 96L}) {
            double mean = 0, square = 0;
            constexpr int seeds = 400;
            for (int seed = 0; seed < seeds; ++seed) {
                const auto map = heed::favor(count, static_cast<std::uint64_t>(seed));
                const double x =
                    product(features_of(q, 1, d, count, false, map), features_of(k, 1, d, count, true, map));
                CHECK(x > 0);
                mean += x / seeds, square += x * x / seeds;
            }
            const double deviation = std::sqrt(square - mean * mean);
            INFO("want " << want << ", mean " << mean << ", deviation " << deviation << " of " << count
                         << " features");
            CHECK(std::fabs(mean - want) <= 4.5 * deviation / std::sqrt(double(seeds)));
            if (last != 0) CHECK(deviation < last / 2.5);  // 16 times as many: a fourth
            last = deviation;
        }
    }
}

TEST_CASE("orthogonal directions vary less than independent ones would") {
    // The variance of e^(w q) e^(w k) for one normal w is known; m independent ones would divide it by m.
    support::random r(3202);
    const long d = 8, count = 8;
    const auto q = support::normals<double>(r, d, 0.6), k = support::normals<double>(r, d, 0.6);
    double sum = 0;
    for (long f = 0; f < d; ++f)
        sum += (q[std::size_t(f)] + k[std::size_t(f)]) * (q[std::size_t(f)] + k[std::size_t(f)]);
    sum /= std::sqrt(double(d));  // |q + k|^2 over sqrt d
    const double want = std::exp(product(q, k) / std::sqrt(double(d)));
    const double independent = want * want * (std::exp(sum) - 1) / double(count);
    double mean = 0, square = 0;
    constexpr int seeds = 3000;
    for (int seed = 0; seed < seeds; ++seed) {
        const auto map = heed::favor(count, static_cast<std::uint64_t>(seed + 1000));
        const double x =
            product(features_of(q, 1, d, count, false, map), features_of(k, 1, d, count, true, map));
        mean += x / seeds, square += x * x / seeds;
    }
    INFO("variance " << square - mean * mean << ", independent " << independent);
    CHECK(square - mean * mean < 0.9 * independent);
}

TEST_CASE("the call is that of the identity on these features") {
    support::random r(3203);
    for (const long count : {1L, 5L, 24L, 70L}) {
        const auto map = heed::favor(count, 77);
        auto p = support::linear<float>(r, {1, 2, 1, 130, 130, 6, 4}, rule::linear);
        p.causal = true, p.normalised = false;
        const support::linear_inputs<float> in(p);
        auto of_features = p;
        of_features.map = features::identity, of_features.d_k = count;
        of_features.q = features_of(p.q, 260, 6, count, false, map);
        of_features.k = features_of(p.k, 130, 6, count, true, map);
        const support::tensor<float> y =
            heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::unnormalised, map);
        // Exponents of some units are floats: 16 eps and not 4.
        auto truth = reference::solve_linear<double>(of_features);
        CHECK(support::size_excess<float>(support::values(y), truth.y, truth.y_size) <= 4);
        of_features.normalised = true;
        truth = reference::solve_linear<double>(of_features);
        const support::tensor<float> mean = heed::linear_attention(in.q, in.k, in.v, heed::causal, map);
        CHECK(support::size_excess<float>(support::values(mean), truth.y, truth.y_size) <= 4);
    }
}

TEST_CASE("many features are softmax attention") {
    support::random r(3204);
    auto p = support::problem<float>(r, 1, 2, 1, 40, 40, 4, 3);
    for (auto* x : {&p.q, &p.k})
        for (double& value : *x) value = static_cast<double>(static_cast<float>(value * 0.7));
    const auto want = reference::solve<double>(p);
    const support::inputs<float> in(p);
    const support::tensor<float> few = heed::linear_attention(in.q, in.k, in.v, heed::favor(64, 3));
    const support::tensor<float> many = heed::linear_attention(in.q, in.k, in.v, heed::favor(8192, 3));
    CHECK(support::max_error(support::values(many), want.y) < 0.05);
    CHECK(support::max_error(support::values(many), want.y) <
          support::max_error(support::values(few), want.y));
}

TEST_CASE("one seed gives one answer; states go on; numbers far from zero stay finite") {
    support::random r(3205);
    const auto p = support::linear<float>(r, {2, 4, 2, 150, 150, 8, 5}, rule::linear);
    const support::linear_inputs<float> in(p);
    const auto run = [&](std::uint64_t seed) {
        return support::elements(
            heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::favor(20, seed)));
    };
    CHECK(support::same_bits(run(9), run(9)));
    CHECK(!support::same_bits(run(9), run(10)));

    support::tensor<float> state(2, 2, 20, 6), y(2, 4, 150, 5);
    state.setZero();
    for (const auto& [first, last] : {std::pair{0L, 41L}, {41L, 150L}}) {
        const auto cut = [&, a = first, b = last](auto& t) {
            return heed::as_view(t).slice_positions(a, b - a);
        };
        heed::linear_attention_into(cut(y), cut(in.q), cut(in.k), cut(in.v), heed::causal, heed::favor(20, 9),
                                    heed::state(state));
    }
    const auto whole = run(9);
    CHECK(support::max_error(support::elements(y), whole) <= 1e-5 * support::max_abs(whole));

    for (const double size : {10.0, 100.0, 1000.0}) {
        auto far = p;
        for (auto* x : {&far.q, &far.k})
            for (double& value : *x) value *= size;
        const support::linear_inputs<float> big(far);
        for (const long d_count : {8L, 64L}) {
            const support::tensor<float> z =
                heed::linear_attention(big.q, big.k, big.v, heed::causal, heed::favor(d_count, 1));
            long wrong = 0;
            for (long i = 0; i < z.size(); ++i)
                wrong += !(std::fabs(z.data()[i]) <= 1.01f * static_cast<float>(support::max_abs(p.v)));
            INFO("numbers of " << size << ", " << d_count << " features");
            CHECK(wrong == 0);  // a mean of values lies among them
        }
    }
}
