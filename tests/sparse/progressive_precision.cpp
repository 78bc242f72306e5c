// SPDX-License-Identifier: MIT
// tests/sparse/progressive_precision.cpp: scores of the high bits, and of all bits where a row is flat
//
// The oracle splits queries and keys by itself, in the type of the call, solves the problem once with the
// high bits of the keys and once with all of them, and takes each row from the one or the other.
#include <heed/sparse/progressive_precision.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"
#include "support/traps.hpp"

namespace {

using heed_test::contains;

// Rows of d numbers to step * n, with all bits or the high ones.
template <class S>
std::vector<double> rounded_rows(const std::vector<double>& x, long d, bool all_bits) {
    std::vector<double> y(x.size());
    long beyond = 0;  // four bits
    for (std::size_t row = 0; row < x.size(); row += static_cast<std::size_t>(d)) {
        S most = 0;
        for (std::size_t f = row; f < row + static_cast<std::size_t>(d); ++f)
            most = std::fmax(most, std::fabs(static_cast<S>(x[f])));
        const S step = most / 119;
        for (std::size_t f = row; f < row + static_cast<std::size_t>(d); ++f) {
            const int n = step > 0 ? static_cast<int>(std::round(static_cast<S>(x[f]) / step)) : 0;
            const int high = static_cast<int>(std::floor((n + 8) / 16.0));
            beyond += high < -7 || high > 7 || n - 16 * high < -8 || n - 16 * high > 7;
            y[f] = static_cast<double>(step) * (all_bits ? n : 16 * high);
        }
    }
    CHECK(beyond == 0);
    return y;
}

struct expected {
    reference::problem p;
    reference::answer<double> a;
    long recomputed = 0;
    long close = 0;  // rows whose probability is too near the threshold to tell
};

template <class T>
expected solve(const reference::problem& p, double threshold) {
    using S = support::sum_type<T>;
    auto high = p, whole = p;
    high.q = whole.q = rounded_rows<S>(p.q, p.d_k, true);
    high.k = rounded_rows<S>(p.k, p.d_k, false);
    whole.k = rounded_rows<S>(p.k, p.d_k, true);
    expected e{high, support::truth_of<T>(high)};
    const auto b = support::truth_of<T>(whole);
    const auto keys = static_cast<std::size_t>(p.keys), d_v = static_cast<std::size_t>(p.d_v);
    for (std::size_t row = 0; row < p.rows(); ++row) {
        double top = 0;
        for (std::size_t j = 0; j < keys; ++j) top = std::fmax(top, e.a.weights[row * keys + j]);
        const bool empty = top == 0;
        if (std::fabs(top - threshold) < 1e-4 * threshold) ++e.close;
        if (empty || top >= threshold) continue;
        ++e.recomputed;
        const auto take = [&](auto& to, const auto& from, std::size_t n) {
            std::copy_n(from.begin() + static_cast<long>(row * n), n,
                        to.begin() + static_cast<long>(row * n));
        };
        take(e.a.y, b.y, d_v), take(e.a.lse, b.lse, 1), take(e.a.weights, b.weights, keys);
        take(e.a.raw, b.raw, keys), take(e.a.capped, b.capped, keys), take(e.a.biased, b.biased, keys);
    }
    return e;
}

template <class T, class... Options>
long check_precision(const reference::problem& p, double threshold, const Options&... options) {
    const expected e = solve<T>(p, threshold);
    if (e.close > 0) return 0;
    const support::inputs<T> in(p);
    support::tensor<T> y(p.batch, p.heads, p.queries, p.d_v);
    support::tensor<support::sum_type<T>, 3> lse(p.batch, p.heads, p.queries);
    support::tensor<support::sum_type<T>> weights(p.batch, p.heads, p.queries, p.keys);
    heed::precision_report report;
    heed::attention_into(y, in.q, in.k, in.v, options..., heed::logsumexp(lse), heed::weights(weights),
                         heed::progressive_precision(threshold, report));
    support::check<T>(e.p, e.a, y, &lse);
    CHECK(report.rows == static_cast<long>(p.rows()));
    CHECK(report.recomputed == e.recomputed);
    CHECK(support::max_error(support::values(weights), e.a.weights) <=
          (std::is_same_v<T, double> ? 1e-13 : 1e-5));
    return e.recomputed;
}

}  // namespace

TEST_CASE("rows are those of the high bits, or of all bits where they are flat") {
    support::random r(1);
    long again = 0, rows = 0;
    for (int i = 0; i < 60; ++i) {
        auto p = i % 8 == 7 ? support::problem<float>(r, 1, 4, 2, 20, 300, 70, 40)
                            : support::random_problem<float>(r, 100);
        support::fill<float>(p, r, r.uniform(0.5, 2.5));
        again += check_precision<float>(p, r.uniform(0.1, 0.6));
        rows += static_cast<long>(p.rows());
    }
    CHECK(again > rows / 10);
    CHECK(again < rows * 9 / 10);
}

TEST_CASE("masks, scores and element types") {
    support::random r(2);
    for (int i = 0; i < 24; ++i) {
        auto p = support::random_problem<Eigen::half>(r, 90);
        const long offset = p.keys - p.queries;
        p.visible = [=](reference::place at) { return at.key <= at.query + offset; };
        check_precision<Eigen::half>(p, 0.4, heed::causal);
        check_precision<double>(p, 0.4, heed::causal);
        const std::vector<float> sinks(static_cast<std::size_t>(p.heads), 0.5f);
        p.sinks.assign(sinks.begin(), sinks.end());
        p.softcap = 3;
        check_precision<double>(p, 0.3, heed::causal, heed::sinks(sinks), heed::softcap(3));
    }
}

TEST_CASE("thresholds of 0 and 1") {
    support::random r(3);
    const auto p = support::problem<double>(r, 1, 2, 1, 30, 40, 16, 8);
    CHECK(check_precision<double>(p, 0) == 0);
    CHECK(check_precision<double>(p, 1) == 60);
    const support::inputs<double> in(p);
    heed::precision_report report;
    heed::attention(in.q, in.k, in.v, heed::progressive_precision(1, report));
    CHECK(report.share() == 1);
    // The more bits, the nearer to exact.
    const auto exact = support::values(heed::attention(in.q, in.k, in.v));
    const auto few = support::values(heed::attention(in.q, in.k, in.v, heed::progressive_precision(0)));
    const auto all = support::values(heed::attention(in.q, in.k, in.v, heed::progressive_precision(1)));
    CHECK(support::max_error(all, exact) < 0.2 * support::max_error(few, exact));
    CHECK(support::max_error(all, exact) < 0.03);
}

TEST_CASE("what is hidden stays out, what is seen arrives") {
    const heed_test::without_traps quiet;
    support::random r(4);
    auto p = support::problem<float>(r, 1, 2, 1, 12, 140, 20, 9);
    const auto solve_ = [](const reference::problem& x) {
        const support::inputs<float> in(x);
        return heed::attention(in.q, in.k, in.v, heed::window(70, 3), heed::progressive_precision(0.2));
    };
    const auto clean = solve_(p);
    for (const double with : {double(NAN), HUGE_VAL, -HUGE_VAL}) {
        for (const bool key : {true, false}) {
            auto bad = p;
            const long j = 65;
            auto& x = key ? bad.k : bad.v;
            const long d = key ? bad.d_k : bad.d_v;
            x[static_cast<std::size_t>(j * d + 3)] = with;
            const auto got = solve_(bad);
            long wrong = 0;
            for (long h = 0; h < 2; ++h)
                for (long i = 0; i < 12; ++i) {
                    const long at = i + 128;
                    const bool sees = j >= at - 70 && j <= at + 3;
                    if (!sees)
                        wrong += !support::same_bits(&got(0, h, i, 0), &clean(0, h, i, 0), 9);
                    else
                        wrong += key ? !std::isnan(got(0, h, i, 0)) : std::isfinite(got(0, h, i, 3));
                }
            CHECK(wrong == 0);
        }
    }
    // Zeros have no step, and no keys give zero.
    p.q.assign(p.q.size(), 0);
    check_precision<float>(p, 0.5);
    const support::tensor<float> q(1, 2, 3, 4), none(1, 1, 0, 4);
    const auto y =
        heed::attention(support::tensor<float>(q.constant(1)), none, none, heed::progressive_precision(0.5));
    CHECK(support::positive_zero(y.data(), static_cast<std::size_t>(y.size())));
}

TEST_CASE("the same bits for any thread count and batch, no allocation with a workspace, in place") {
    support::random r(5);
    const auto p = support::problem<float>(r, 2, 4, 2, 33, 150, 24, 24);
    const support::inputs<float> in(p);
    const auto option = heed::progressive_precision(0.2);
    const auto y = heed::attention(in.q, in.k, in.v, heed::causal, option);
    for (const int threads : {2, 7}) {
        const heed::thread_pool pool(threads);
        const auto z = heed::attention(in.q, in.k, in.v, heed::causal, option, heed::on(pool));
        CHECK(support::same_bits(support::elements(z), support::elements(y)));
    }
    const auto part = [](const auto& x) { return heed::as_view(x).slice_batch(1, 1); };
    const auto second = heed::attention(part(in.q), part(in.k), part(in.v), heed::causal, option);
    CHECK(support::same_bits(second.data(), y.data() + y.size() / 2, static_cast<std::size_t>(y.size() / 2)));
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
    const heed_test::without_traps quiet;  // NaN as a threshold
    CHECK_THROWS_WITH(
        heed::attention_into(z, in.q, in.k, in.v, heed::progressive_precision(1.5)),
        "heed::attention_into: progressive_precision has a threshold of 1.5, needs a probability "
        "from 0 to 1");
    CHECK_THROWS_WITH(heed::attention(in.q, in.k, in.v, heed::progressive_precision(NAN)),
                      contains("a threshold of nan"));
}
