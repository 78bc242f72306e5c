// SPDX-License-Identifier: MIT
// tests/attention/backward_sinks.cpp: gradients beside sinks, of sinks, and through dropout
#include "support/attention_gradient_call.hpp"
#include "support/dropped.hpp"

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
