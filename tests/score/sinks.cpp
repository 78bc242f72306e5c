// SPDX-License-Identifier: MIT
// tests/score/sinks.cpp: a logit per head that takes weight and gives nothing
#include "support/call.hpp"
#include "support/traps.hpp"

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

TEST_CASE("a sink of +inf takes all the weight, one of NaN tells of it") {
    support::random r(845);
    const reference::problem shapes[] = {support::problem<float>(r, 1, 3, 1, 5, 7, 8, 8),      // small
                                         support::problem<float>(r, 1, 3, 1, 70, 300, 8, 8),   // tiles
                                         support::problem<float>(r, 1, 3, 1, 1, 5000, 8, 8)};  // split keys
    for (const auto& p : shapes) {
        INFO(support::describe(p));
        const support::inputs<float> in(p);
        support::tensor<float, 1> s(3), ds(3);
        s(0) = 0.5f, s(1) = HUGE_VALF, s(2) = std::numeric_limits<float>::quiet_NaN();
        support::tensor<float, 3> lse(1, 3, p.queries);
        const heed_test::without_traps quiet;
        const support::tensor<float> y =
            heed::attention(in.q, in.k, in.v, heed::sinks(s), heed::causal_from(-2), heed::logsumexp(lse));
        const auto g = heed::attention_backward(y, in.q, in.k, in.v, y, lse, heed::sinks(s),
                                                heed::causal_from(-2), heed::sinks_gradient(ds));
        long wrong = 0;
        for (long i = 0; i < p.queries; ++i) {
            const bool empty = i < 2;
            wrong +=
                !std::isfinite(lse(0, 0, i)) || !(lse(0, 1, i) == HUGE_VALF) || !std::isnan(lse(0, 2, i));
            for (long f = 0; f < p.d_v; ++f) {
                wrong += !(y(0, 1, i, f) == 0) || !(g.q(0, 1, i, f) == 0);
                wrong += !empty && !std::isnan(y(0, 2, i, f));
            }
        }
        CHECK(wrong == 0);
        CHECK(std::isfinite(ds(0)));
        CHECK(ds(1) == 0);  // a logit that has all the weight: nothing moves it
    }
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
