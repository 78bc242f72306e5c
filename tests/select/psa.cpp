// SPDX-License-Identifier: MIT
// tests/select/psa.cpp: progressive sparse attention against the oracle, in every reading
#include <heed/select/psa.hpp>
#include <heed/sparse/schedule.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"
#include "support/psa_call.hpp"
#include "support/traps.hpp"

namespace {

using heed_test::contains;
using support::settings_of;
using support::tensor;

reference::psa random_psa(support::random& r) {
    constexpr reference::reading readings[] = {reference::reading::literal, reference::reading::masked,
                                               reference::reading::intended, reference::reading::intended};
    reference::psa s;
    s.how = readings[r.between(0, 3)];
    s.pi = {heed::cubic_exponential{}.coefficients, 4, false};
    if (r.chance(0.3)) s.pi = {{1, 0.7, 0.2, 0.02}, r.uniform(1, 6), false};
    if (r.chance(0.2)) s.pi = {{1, 1.25, 0.5, 0.0625}, 3, false};  // negative inside
    s.fraction = r.chance(0.2) ? 1 : r.uniform(0.02, 1);
    if (r.chance(0.3)) s.of_queries = r.uniform(0.1, 1);
    if (r.chance(0.3)) s.of_keys = r.uniform(0.1, 1);
    return s;
}

// Small whole numbers times 1/2: scores are exact in every type, and many are equal.
void fill_with_ties(reference::problem& p, support::random& r) {
    for (double& x : p.q) x = 0.5 * static_cast<double>(r.between(-2, 2));
    for (double& x : p.k) x = 0.5 * static_cast<double>(r.between(-2, 2));
    for (double& x : p.v) x = 0.25 * static_cast<double>(r.between(-9, 9));
}

template <class T, class... Options>
void check_psa(const reference::problem& p, const reference::psa& s, const Options&... options) {
    const auto want = reference::solve_psa<double>(p, s, reference::choose(p, s));
    const support::inputs<T> in(p);
    tensor<T> y(p.batch, p.heads, p.queries, p.d_v);
    tensor<support::sum_type<T>, 3> lse(p.batch, p.heads, p.queries);
    tensor<support::sum_type<T>> weights(p.batch, p.heads, p.queries, p.keys);
    y.setConstant(static_cast<T>(-77.0f)), lse.setConstant(-77), weights.setConstant(-77);
    heed::attention_into(y, in.q, in.k, in.v, options..., heed::psa(settings_of(s)), heed::logsumexp(lse),
                         heed::weights(weights));
    const double eps = static_cast<double>(std::numeric_limits<support::sum_type<T>>::epsilon());
    const double size = support::max_abs(p.v) + 1;
    const double rounding = sizeof(T) == 2 ? support::ulp<T>(size) : 0;
    INFO(support::describe(p) << " reading " << int(s.how) << " fraction " << s.fraction << " clamp "
                              << s.pi.clamp << ", " << support::worst_place(support::values(y), want.y));
    CHECK(support::max_error(support::values(y), want.y) <= 100 * eps * size + rounding);
    CHECK(support::max_error(support::values(weights), want.weights) <= 100 * eps);
    // Written weights visit every tile; without them hidden ones are skipped.
    y.setConstant(static_cast<T>(-77.0f));
    heed::attention_into(y, in.q, in.k, in.v, options..., heed::psa(settings_of(s)));
    CHECK(support::max_error(support::values(y), want.y) <= 100 * eps * size + rounding);
    CHECK(support::max_error(support::values(lse), want.lse) <= 100 * eps * (1 + support::max_abs(want.lse)));
    long wrong = 0;
    for (std::size_t row = 0; row < p.rows(); ++row)
        if (want.lse[row] == -HUGE_VAL)
            wrong += !support::positive_zero(y.data() + static_cast<long>(row) * p.d_v,
                                             static_cast<std::size_t>(p.d_v));
    CHECK(wrong == 0);
}

auto causal_in(const reference::problem& p) {
    const long offset = p.keys - p.queries;
    return [offset](reference::place at) { return at.key <= at.query + offset; };
}

}  // namespace

TEST_CASE("psa agrees with the oracle in every reading") {
    support::random r(1);
    for (int i = 0; i < 150; ++i) {
        auto p = support::random_problem<double>(r, 90);
        if (i % 10 == 9) p = support::problem<double>(r, 1, 4, 2, 60, 300, 9, 7);
        check_psa<double>(p, random_psa(r));
    }
}

TEST_CASE("of equal scores the lowest keys stay, in every type, and the clamp is met exactly") {
    support::random r(2);
    for (int i = 0; i < 60; ++i) {
        auto p = support::random_problem<float>(r, 70);
        if (i % 10 == 9) p = support::problem<float>(r, 1, 2, 1, 30, 700, 6, 5);
        fill_with_ties(p, r);
        p.scale = 1;
        const auto s = random_psa(r);
        const bool rounds = s.pi.clamp != std::floor(s.pi.clamp);
        p.visible = causal_in(p);
        if (!rounds) check_psa<float>(p, s, heed::scale(1), heed::causal);
        if (!rounds) check_psa<Eigen::bfloat16>(p, s, heed::scale(1), heed::causal);
    }
}

TEST_CASE("masks, score steps and sinks come before the choice") {
    support::random r(3);
    for (int i = 0; i < 40; ++i) {
        auto p = support::random_problem<double>(r, 60);
        p.softcap = 2;
        p.visible = causal_in(p);
        std::vector<double> bias(static_cast<std::size_t>(p.queries * p.keys));
        for (double& x : bias) x = r.chance(0.1) ? -HUGE_VAL : r.normal();
        p.bias = [&bias, keys = p.keys](reference::place at) {
            return bias[static_cast<std::size_t>(at.query * keys + at.key)];
        };
        const tensor<double> added = support::tensor4<double>(bias, 1, 1, p.queries, p.keys);
        std::vector<double> sinks(static_cast<std::size_t>(p.heads), 0.75);
        p.sinks = sinks;
        check_psa<double>(p, random_psa(r), heed::causal, heed::softcap(2), heed::bias(added),
                          heed::sinks(sinks));
    }
}

TEST_CASE("a fraction that keeps the whole row, and one that keeps a single key") {
    support::random r(4);
    const auto p = support::problem<double>(r, 1, 2, 2, 7, 40, 8, 8);
    const support::inputs<double> in(p);
    reference::psa s{
        {heed::cubic_exponential{}.coefficients, 4, false}, reference::reading::intended, 1, 1, 1};
    check_psa<double>(p, s);
    s.fraction = 1e-9;
    check_psa<double>(p, s);
    // A single key has weight 1, up to the division of a weight by itself.
    const auto one = heed::attention(in.q, in.k, in.v, heed::psa(1e-9));
    const auto hard = heed::attention(in.q, in.k, in.v, heed::hard_attention());
    CHECK(support::max_error(support::values(one), support::values(hard)) < 1e-14);
    // A schedule's share goes straight in.
    const heed::sparsity_schedule fraction{.end = 0.1, .steps = 10};
    const auto scheduled = heed::attention(in.q, in.k, in.v, heed::psa(fraction(5)));
    const auto plain = heed::attention(in.q, in.k, in.v, heed::psa(0.55));
    CHECK(support::max_error(support::values(scheduled), support::values(plain)) == 0);
}

TEST_CASE("with little lost below the clamp psa is near to softmax over the same keys") {
    support::random r(5);
    const auto p = support::problem<double>(r, 1, 2, 2, 20, 64, 16, 16);
    const support::inputs<double> in(p);
    const auto best = support::values(heed::attention(in.q, in.k, in.v, heed::top_fraction(0.25)));
    const auto mine = support::values(heed::attention(in.q, in.k, in.v, heed::psa(0.25)));
    CHECK(support::max_error(best, mine) < 0.1);
    CHECK(support::max_error(best, mine) > 1e-4);
}

TEST_CASE("what is hidden stays out; NaN that is seen arrives") {
    const heed_test::without_traps quiet;
    support::random r(6);
    const auto p = support::problem<float>(r, 1, 2, 1, 9, 150, 12, 10);
    for (const auto reading :
         {heed::psa_reading::literal, heed::psa_reading::masked, heed::psa_reading::intended}) {
        const heed::psa_settings s{.fraction = 0.3, .reading = reading, .sparsify_keys = 0.5};
        const auto solve = [&](const reference::problem& x) {
            const support::inputs<float> in(x);
            return heed::attention(in.q, in.k, in.v, heed::window(40, 2), heed::psa(s));
        };
        const auto clean = solve(p);
        for (const double with : {double(NAN), HUGE_VAL, -HUGE_VAL, 3e38})
            for (const bool key : {true, false}) {
                auto bad = p;
                const long j = 103, d = key ? p.d_k : p.d_v;
                for (long f = 0; f < d; ++f)
                    (key ? bad.k : bad.v)[static_cast<std::size_t>(j * d + f)] = with;
                const auto got = solve(bad);
                long wrong = 0;
                for (long h = 0; h < 2; ++h)
                    for (long i = 0; i < 9; ++i) {
                        const long at = i + 141;
                        if (j < at - 40 || j > at + 2)
                            wrong += !support::same_bits(&got(0, h, i, 0), &clean(0, h, i, 0), 10);
                        else if (std::isnan(with) && key)
                            wrong += !std::isnan(got(0, h, i, 0));
                    }
                INFO("reading " << int(reading) << ", " << with << (key ? " in a key" : " in a value"));
                CHECK(wrong == 0);
            }
    }
}

TEST_CASE("a weight is 0, and its value not read, exactly where the rounded difference is below the clamp") {
    const heed_test::without_traps quiet;
    support::random r(9);
    const long keys = 400;
    for (int i = 0; i < 40; ++i) {
        // Scores are the bias alone, at sizes whose rounding moves the edge.
        const float far =
            static_cast<float>(r.normal() * std::ldexp(1.0, static_cast<int>(r.between(-20, 24))));
        tensor<float> q(1, 1, 1, 2), k(1, 1, keys, 2), v(1, 1, keys, 1), bias(1, 1, 1, keys),
            w(1, 1, 1, keys);
        q.setZero(), k.setZero(), v.setConstant(1);
        for (long j = 0; j < keys; ++j)
            bias(0, 0, 0, j) =
                far - static_cast<float>(r.chance(0.5) ? 8 * r.uniform() : 4 + 1e-6 * r.normal());
        bias(0, 0, 0, r.between(0, keys - 1)) = far;
        for (long j = 0; j < keys; ++j)
            if (bias(0, 0, 0, j) - far < -4.0f) v(0, 0, j, 0) = NAN;
        const auto y = heed::attention(q, k, v, heed::bias(bias), heed::psa(1), heed::weights(w));
        long wrong = 0;
        for (long j = 0; j < keys; ++j) wrong += (w(0, 0, 0, j) != 0) != (bias(0, 0, 0, j) - far >= -4.0f);
        INFO("largest score " << far);
        CHECK(wrong == 0);
        CHECK(std::fabs(y(0, 0, 0, 0) - 1) <= 16 * 1.2e-7f);
    }
}

TEST_CASE("the same bits for threads, batches and in place; no allocation with a workspace") {
    support::random r(7);
    const auto p = support::problem<float>(r, 2, 4, 2, 60, 200, 24, 24);
    const support::inputs<float> in(p);
    for (const auto reading : {heed::psa_reading::literal, heed::psa_reading::intended}) {
        const auto option = heed::psa({.fraction = 0.2, .reading = reading, .sparsify_queries = 0.5});
        const auto y = heed::attention(in.q, in.k, in.v, heed::causal, option);
        const heed::thread_pool pool(5);
        const auto threaded = heed::attention(in.q, in.k, in.v, heed::causal, option, heed::on(pool));
        CHECK(support::same_bits(support::elements(threaded), support::elements(y)));
        const auto part = [](const auto& x) { return heed::as_view(x).slice_batch(1, 1); };
        const auto second = heed::attention(part(in.q), part(in.k), part(in.v), heed::causal, option);
        CHECK(support::same_bits(second.data(), y.data() + y.size() / 2,
                                 static_cast<std::size_t>(second.size())));
        heed::workspace memory;
        auto z = in.q;
        heed::attention_into(z, z, in.k, in.v, heed::causal, option, heed::use(memory));
        CHECK(support::same_bits(support::elements(z), support::elements(y)));
        long counted = 0;
        {
            const support::allocation_watch watch;
            heed::attention_into(z, in.q, in.k, in.v, heed::causal, option, heed::use(memory));
            counted = watch.count();
        }
        CHECK(counted == 0);
    }
}

TEST_CASE("what a caller can get wrong") {
    const heed_test::without_traps quiet;  // NaN among the settings
    support::random r(8);
    const auto p = support::problem<float>(r, 1, 1, 1, 3, 5, 4, 4);
    const support::inputs<float> in(p);
    tensor<float> y(1, 1, 3, 4);
    y.setConstant(-7);
    const auto call = [&](const heed::psa_settings& s) {
        heed::attention_into(y, in.q, in.k, in.v, heed::psa(s));
    };
    CHECK_THROWS_WITH(call({.fraction = 0}),
                      "heed::attention_into: psa has a fraction of 0, needs a number above 0, at most 1");
    CHECK_THROWS_WITH(call({.fraction = NAN}), contains("a fraction of nan"));
    CHECK_THROWS_WITH(call({.sparsify_queries = 1.5}), contains("a sparsify_queries of 1.5"));
    CHECK_THROWS_WITH(call({.sparsify_keys = -1}), contains("a sparsify_keys of -1"));
    CHECK_THROWS_WITH(call({.clamp = -4}), contains("clamp is -4, needs a number above 0"));
    CHECK_THROWS_WITH(call({.coefficients = {1, NAN, 0, 0}}), contains("coefficient a1 is nan"));
    CHECK_THROWS_WITH(call({.coefficients = {-1, 0, 0, 0}}),
                      contains("coefficient a0 is -1, needs at least"));
    CHECK_THROWS_WITH(heed::attention(in.q, in.k, in.v, heed::psa(2)), contains("a fraction of 2"));
    long written = 0;
    for (long i = 0; i < y.size(); ++i) written += y.data()[i] != -7;
    CHECK(written == 0);
    // In the other readings a weight is an exponential, whatever a0 is.
    CHECK_NOTHROW(call({.reading = heed::psa_reading::masked, .coefficients = {-1, 0, 0, 0}}));
}
