// SPDX-License-Identifier: MIT
// tests/attention/backward_sinks.cpp: gradients beside sinks, of sinks, through dropout and through the
// log-sum-exp
#include "support/attention_gradient_call.hpp"
#include "support/dropped.hpp"

namespace {

// What flows back into the log-sum-exps, in memory as (query, head, batch).
template <class S>
struct turned_rows {
    std::vector<double> numbers;  // (batch, head, query)
    support::tensor<S, 3> memory;
    heed::view<const S> rows;

    turned_rows(const reference::problem& p, support::random& r)
        : numbers(support::normals<float>(r, p.rows())), memory(p.queries, p.heads, p.batch) {
        std::size_t row = 0;
        for (long b = 0; b < p.batch; ++b)
            for (long h = 0; h < p.heads; ++h)
                for (long i = 0; i < p.queries; ++i) memory(i, h, b) = static_cast<S>(numbers[row++]);
        rows = {memory.data(), {1, p.batch, p.heads, p.queries}, {0, 1, p.batch, p.heads * p.batch}};
    }
};

// Grouped heads behind a causal mask that leaves rows empty, with sinks or without.
template <class T>
void check_logsumexp_gradient(std::uint64_t seed, int count) {
    support::for_gradient_problems<T>(seed, count, [](reference::problem& p, support::random& r) {
        using S = support::sum_type<T>;
        const bool sunk = r.chance(0.5);
        std::vector<float> sinks(static_cast<std::size_t>(p.heads));
        for (float& s : sinks) s = sunk ? static_cast<float>(r.normal() * 2) : -HUGE_VALF;
        if (sunk) p.sinks.assign(sinks.begin(), sinks.end());
        const long offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        const support::backward_inputs<T> in(p, r, heed::sinks(sinks), heed::causal_from(offset));
        const turned_rows<S> from(p, r);
        const auto truth = support::truth_of<T>(p);
        const auto want = reference::differentiate(p, truth, in.from, {}, from.numbers);
        support::tensor<S, 1> found(p.heads);
        found.setConstant(-77);
        const auto got = in.gradients(p, heed::sinks(sinks), heed::logsumexp_gradient(from.rows),
                                      heed::causal_from(offset), heed::sinks_gradient(found));
        support::check_gradients<T>(p, truth, want, got);
        INFO(support::describe(p));
        if (sunk)
            CHECK(support::gradient_excess<S>(support::values(found), want.sinks, want.sinks_size,
                                              support::gradient_size(p, truth)) <= 1);
    });
}

}  // namespace

TEST_CASE("what flows back into the log-sum-exp: float") { check_logsumexp_gradient<float>(3153, 60); }
TEST_CASE("what flows back into the log-sum-exp: double") { check_logsumexp_gradient<double>(3154, 20); }
TEST_CASE("what flows back into the log-sum-exp: half") { check_logsumexp_gradient<Eigen::half>(3155, 30); }

TEST_CASE("a log-sum-exp without an output has the softmax for its gradient") {
    support::random r(3156);
    const auto p = support::problem<float>(r, 1, 2, 1, 70, 90, 6, 5);
    support::backward_inputs<float> in(p, r, heed::causal);
    in.dy.setZero();
    support::tensor<float> bias(1, 2, 70, 90), dbias(1, 2, 70, 90), weights(1, 2, 70, 90), y(1, 2, 70, 5);
    support::tensor<float, 3> ones(1, 2, 70);
    bias.setZero(), ones.setConstant(1);
    heed::attention_into(y, in.q, in.k, in.v, heed::causal, heed::weights(weights));
    in.gradients(p, heed::causal, heed::bias(bias), heed::bias_gradient(dbias),
                 heed::logsumexp_gradient(ones));
    double worst = 0;
    for (long i = 0; i < dbias.size(); ++i)
        worst = std::fmax(
            worst, std::fabs(static_cast<double>(dbias.data()[i]) - static_cast<double>(weights.data()[i])));
    CHECK(worst <= 2e-6);
}

TEST_CASE("sinks and their gradient, on rows that see nothing too") {
    support::for_gradient_problems<float>(3151, 120, [](reference::problem& p, support::random& r) {
        std::vector<float> sinks(static_cast<std::size_t>(p.heads));
        for (float& s : sinks) s = r.chance(0.1) ? -HUGE_VALF : static_cast<float>(r.normal() * 2);
        p.sinks.assign(sinks.begin(), sinks.end());
        const long offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        const support::backward_inputs<float> in(p, r, heed::sinks(sinks), heed::causal_from(offset));
        const auto truth = reference::solve<double>(p);
        const auto want = reference::differentiate(p, truth, in.from);
        std::vector<float> found(sinks.size(), -77.0f);
        Eigen::TensorMap<support::tensor<float, 1>> to(found.data(), p.heads);
        const auto got =
            in.gradients(p, heed::sinks(sinks), heed::causal_from(offset), heed::sinks_gradient(to));
        support::check_gradients<float>(p, truth, want, got);
        const std::vector<double> values(found.begin(), found.end());
        INFO(support::describe(p));
        CHECK(support::gradient_excess<float>(values, want.sinks, want.sinks_size,
                                              support::gradient_size(p, truth)) <= 1);
    });
}

TEST_CASE("dropout drops in the backward what it dropped in the forward") {
    support::for_gradient_problems<float>(3152, 80, [](reference::problem& p, support::random& r) {
        const double probability = 0.25 * static_cast<double>(r.between(0, 3));
        const std::uint64_t seed = r.bits();
        p.keep = support::kept_weights(p.batch, p.heads, p.queries, p.keys, probability, seed);
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) { return i.key <= i.query + shift; };
        support::check_backward<float>(p, r, heed::causal, heed::dropout(probability, seed));
    });
}
