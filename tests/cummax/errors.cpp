// SPDX-License-Identifier: MIT
// tests/cummax/errors.cpp: what a caller can get wrong, and the sentence that says so; allocations
#include <heed/state.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/cummax_problem.hpp"

namespace {
using tensor = support::tensor<float>;
using heed_test::contains;
tensor made(long b, long h, long t, long f) {
    tensor x(b, h, t, f);
    x.setConstant(0.5f);
    return x;
}
}  // namespace

TEST_CASE("shapes, overlaps and states are checked before anything is written") {
    const tensor o = made(2, 3, 5, 7), long_a = made(2, 3, 6, 7), few = made(2, 2, 5, 7);
    tensor y = made(2, 3, 5, 7);
    y.setConstant(-1);
    tensor state = made(2, 3, 1, 7), wrong = made(2, 3, 5, 7);
    CHECK_THROWS_WITH(heed::cummax_attention_into(y, o, long_a, o),
                      "heed::cummax_attention_into: a1 has 6 positions, o has 5");
    CHECK_THROWS_WITH(heed::cummax_attention_into(y, o, o, few),
                      "heed::cummax_attention_into: a2 has 2 heads, o has 3");
    CHECK_THROWS_WITH(heed::cummax_attention(o, o, o, heed::state(wrong)),
                      "heed::cummax_attention: the state is (2, 3, 5, 7), needs (2, 3, 1, 7)");
    CHECK_THROWS_WITH(heed::cummax_attention(o, o, o, heed::state(state), heed::along::head),
                      contains("a state goes along positions, along is head"));
    CHECK_THROWS_WITH(heed::cummax_attention(o, o, o, heed::hybrid(0.5), heed::along::head),
                      contains("hybrid blends over heads, needs along position or feature"));
    const std::vector<float> alpha(2, 0.5f);
    CHECK_THROWS_WITH(heed::cummax_attention(o, o, o, heed::hybrid(alpha)),
                      contains("hybrid has 2 numbers, needs one, or one for each of the 3 heads"));
    tensor buffer = made(1, 1, 8, 7);
    const auto part = [&](long first) { return heed::as_view(buffer).slice_positions(first, 5); };
    CHECK_THROWS_WITH(heed::cummax_attention_into(part(1), part(0), part(0), part(0)),
                      contains("y overlaps o, needs to be o itself or memory of its own"));
    tensor d1 = made(2, 3, 5, 7), d2 = made(2, 3, 5, 7);
    CHECK_THROWS_WITH(heed::cummax_attention_backward_into(y, d1, d1, o, o, o, o),
                      contains("da2 overlaps da1"));
    CHECK_THROWS_WITH(heed::cummax_attention_backward_into(y, d1, d2, d2, o, o, o),
                      contains("da2 overlaps dy"));
    CHECK_THROWS_WITH(heed::cummax_into(y, long_a), contains("y has 5 positions, x has 6"));
    support::tensor<std::int32_t> indices(2, 3, 5, 6);
    CHECK_THROWS_WITH(heed::cummax_with_index_into(y, indices, o), contains("indices is (2, 3, 5, 6), x is"));
    heed::cummax_state<float> seen(2, 3, 7);
    CHECK_THROWS_WITH(seen.absorb(few), contains("state is (2, 3, 1, 7), needs (2, 2, 1, 7)"));
    CHECK_THROWS_WITH(seen.merge(heed::cummax_state<float>(2, 3, 6)), contains("axis 3 of the other state"));
    CHECK_THROWS_WITH(heed::cummax_state<float>(-1, 3, 6), contains("batch is -1"));
    long written = 0;
    for (long i = 0; i < y.size(); ++i) written += y.data()[i] != -1;
    CHECK(written == 0);
}

TEST_CASE("an error names the function that was called") {
    const tensor o = made(1, 2, 3, 4), few = made(1, 2, 2, 4);
    tensor y = o, d1 = o, d2 = o, d3 = o;
    const std::array<double, 3> k{};
    std::array<double, 3> dk{};
    CHECK_THROWS_WITH(heed::maxstate(o, few, o), "heed::maxstate: a1 has 2 positions, o has 3");
    CHECK_THROWS_WITH(heed::maxstate_into(y, o, few, o), "heed::maxstate_into: a1 has 2 positions, o has 3");
    CHECK_THROWS_WITH(heed::maxstate_backward(few, o, o, o),
                      "heed::maxstate_backward: dy has 2 positions, o has 3");
    CHECK_THROWS_WITH(heed::maxstate_backward_into(y, d1, d2, few, o, o, o),
                      "heed::maxstate_backward_into: dy has 2 positions, o has 3");
    CHECK_THROWS_WITH(heed::maxstate_super(o, o, o, few, k),
                      "heed::maxstate_super: d has 2 positions, a has 3");
    CHECK_THROWS_WITH(heed::maxstate_super_into(y, o, o, o, few, k),
                      "heed::maxstate_super_into: d has 2 positions, a has 3");
    CHECK_THROWS_WITH(heed::maxstate_super_backward(few, o, o, o, o, k),
                      "heed::maxstate_super_backward: dy has 2 positions, a has 3");
    CHECK_THROWS_WITH(heed::maxstate_super_backward_into(y, d1, d2, d3, dk, few, o, o, o, o, k),
                      "heed::maxstate_super_backward_into: dy has 2 positions, a has 3");
}

TEST_CASE("calls with a workspace that has grown allocate nothing") {
    const tensor o = made(1, 2, 3000, 24);
    tensor y = o, d1 = o, d2 = o, state = made(1, 2, 1, 24);
    support::tensor<std::int32_t> indices(1, 2, 3000, 24);
    heed::workspace w;
    const heed::thread_pool pool(2);
    const auto all = [&](const auto&... options) {
        heed::cummax_attention_into(y, o, o, o, heed::state(state), options...);
        heed::cummax_attention_into(y, o, o, o, heed::hybrid(0.3), options...);
        heed::cummax_attention_backward_into(y, d1, d2, o, o, o, o, options...);
        heed::cummax_into(y, o, heed::along::feature, options...);
        heed::cummax_with_index_into(y, indices, o, options...);
        heed::cummax_backward_into(y, o, o, heed::along::head, options...);
    };
    const auto used = heed::use(w);
    const auto threads = heed::on(pool);
    all(used), all(used, threads);
    long counted = 0;
    {
        const support::allocation_watch watch;
        all(used), all(used, threads);
        counted = watch.count();
    }
    CHECK(counted == 0);
    heed::workspace stream;
    heed::cummax_attention_into(y, o, o, o, heed::use(stream));
    CHECK(stream.bytes() <= 1u << 20);
}
