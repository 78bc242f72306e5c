// SPDX-License-Identifier: MIT
// tests/score/bias.cpp: bias tensors of every rank and kind of number, broadcast right-aligned
#include "support/broadcast.hpp"
#include "support/call.hpp"

using support::check_call;

namespace {

template <class S, int Rank>
void round_of(support::random& r, double hide) {
    auto p = r.chance(0.2) ? support::tiled_problem<float>(r) : support::random_problem<float>(r);
    const support::broadcast_shape<Rank> shape(r, p);
    support::tensor<S, Rank> bias(shape.extents);
    for (long i = 0; i < bias.size(); ++i)
        bias.data()[i] = support::narrow<S>(r.chance(hide) ? -HUGE_VAL : r.normal() * 2);
    p.bias = [&](reference::place i) { return support::widen(bias.data()[shape.index_of(i)]); };
    check_call<float>(p, heed::bias(bias));
}

}  // namespace

TEST_CASE("a bias broadcasts right-aligned") {
    support::random r(821);
    for (int i = 0; i < 40; ++i) {
        round_of<float, 4>(r, 0);
        round_of<float, 2>(r, 0);
        round_of<float, 1>(r, 0.1);
    }
}

TEST_CASE("-inf in a bias hides, and may hide everything") {
    support::random r(822);
    for (int i = 0; i < 60; ++i) round_of<float, 4>(r, i % 3 == 0 ? 0.97 : 0.4);
}

TEST_CASE("a bias of double, half or bfloat16") {
    support::random r(823);
    for (int i = 0; i < 20; ++i) {
        round_of<Eigen::half, 3>(r, 0.2);
        round_of<Eigen::bfloat16, 2>(r, 0.2);
    }
}

TEST_CASE("large biases of both signs do not overflow") {
    support::random r(824);
    for (int i = 0; i < 30; ++i) {
        auto p = support::random_problem<float>(r);
        support::tensor<float, 2> bias(p.queries, p.keys);
        static const float large[] = {0.0f, -3.4028234e38f, -1e38f, -1e30f, -2e9f};
        for (long j = 0; j < bias.size(); ++j) bias.data()[j] = large[r.between(0, 4)];
        const support::inputs<float> in(p);
        support::tensor<float, 3> lse(p.batch, p.heads, p.queries);
        const auto q = heed::attention(in.q, in.k, in.v, heed::bias(bias), heed::logsumexp(lse));
        p.bias = [&](reference::place at) { return support::widen(bias(at.query, at.key)); };
        // Only the largest of these numbers in a row counts; equal ones absorb the score.
        const auto want = reference::solve<float>(p);
        CHECK(support::max_error(support::values(q), want.y) <=
              32 * support::ulp<float>(support::max_abs(p.v)));
        CHECK(support::max_error(support::values(lse), want.lse) <= 1e-5 * (1 + support::max_abs(want.lse)));
    }
}
