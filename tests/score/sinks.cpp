// SPDX-License-Identifier: MIT
// tests/score/sinks.cpp: a logit per head that takes weight and gives nothing
#include "support/call.hpp"

using support::check_call;

namespace {

std::vector<float> logits(reference::problem& p, support::random& r, double spread) {
    std::vector<float> s(static_cast<std::size_t>(p.heads));
    for (float& x : s) x = static_cast<float>(r.normal() * spread);
    p.sinks.assign(s.begin(), s.end());
    return s;
}

}  // namespace

TEST_CASE("sinks join the denominator") {
    support::for_problems<float>(841, 100, [](reference::problem& p, support::random& r) {
        const auto s = logits(p, r, r.chance(0.3) ? 30 : 2);
        check_call<float>(p, heed::sinks(s));
    });
}

TEST_CASE("sinks and rows that see nothing") {
    support::for_problems<float>(842, 100, [](reference::problem& p, support::random& r) {
        const auto s = logits(p, r, 3);
        const long offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        check_call<float>(p, heed::sinks(s), heed::causal_from(offset));
    });
}

TEST_CASE("a sink of -inf is no sink") {
    support::random r(843);
    auto p = support::problem<float>(r, 1, 2, 1, 30, 200, 8, 8);
    const support::inputs<float> in(p);
    support::tensor<float, 1> s(2);
    s.setConstant(-HUGE_VALF);
    const auto with = heed::attention(in.q, in.k, in.v, heed::sinks(s), heed::causal_from(-5));
    const auto without = heed::attention(in.q, in.k, in.v, heed::causal_from(-5));
    CHECK(support::same_bits(support::elements(with), support::elements(without)));
}

TEST_CASE("sinks over a split row, in every element type") {
    support::random r(844);
    auto p = support::problem<float>(r, 2, 4, 2, 1, 5000, 8, 8);
    const auto s = logits(p, r, 4);
    check_call<float>(p, heed::sinks(s));
    auto d = support::problem<double>(r, 1, 2, 2, 5, 300, 8, 8);
    support::tensor<double, 1> sd(2);
    sd(0) = 0.1, sd(1) = -2;
    d.sinks = {0.1, -2};
    check_call<double>(d, heed::sinks(sd));
}
