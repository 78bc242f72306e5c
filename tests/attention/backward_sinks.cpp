// SPDX-License-Identifier: MIT
// tests/attention/backward_sinks.cpp: gradients beside sinks, of sinks, and through dropout
#include "support/attention_gradient_call.hpp"

namespace {

// What dropout keeps, found by a forward on the unit matrix: kept(b, h, i, j).
std::vector<bool> kept(const reference::problem& p, double probability, std::uint64_t seed) {
    support::tensor<float> q(p.batch, p.heads, p.queries, 1), k(p.batch, p.heads, p.keys, 1),
        v(p.batch, p.heads, p.keys, p.keys);
    q.setZero(), k.setZero(), v.setZero();
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long j = 0; j < p.keys; ++j) v(b, h, j, j) = 1;
    const auto y = heed::attention(q, k, v, heed::dropout(probability, seed));
    std::vector<bool> found;
    for (long i = 0; i < y.size(); ++i) found.push_back(y.data()[i] != 0);
    return found;
}

}  // namespace

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
        const auto keep = kept(p, probability, seed);
        const long heads = p.heads, queries = p.queries, keys = p.keys;
        p.keep = [=](reference::place i) {
            const long pair = ((i.batch * heads + i.head) * queries + i.query) * keys + i.key;
            return keep[static_cast<std::size_t>(pair)] ? 1 / (1 - probability) : 0;
        };
        const long shift = keys - queries;
        p.visible = [=](reference::place i) { return i.key <= i.query + shift; };
        support::check_backward<float>(p, r, heed::causal, heed::dropout(probability, seed));
    });
}
