// SPDX-License-Identifier: MIT
// tests/core/races.cpp: no kernel's threads touch the same memory without an order between them
//
// Compiled with the thread sanitizer, which ends the program at the first race and sees one also where the
// two sides did not meet in this run: a state that is handed on before it is finished, a partial result read
// before it is there. Every kind of work that threads share is here once, long enough for several tasks.
#include <heed/attention.hpp>
#include <heed/cummax.hpp>
#include <heed/linear.hpp>
#include <heed/sparse.hpp>

#include "support/call.hpp"
#include "support/side_by_side.hpp"

namespace {

const support::side_by_side lanes{3};

support::tensor<float> tensor(long heads, long positions, long features, std::uint64_t seed) {
    support::random r(seed);
    support::tensor<float> t(1, heads, positions, features);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = static_cast<float>(r.normal());
    return t;
}

struct attention_inputs {
    support::tensor<float> q, k, v;
    support::tensor<float, 3> lse;
    attention_inputs(long heads, long kv_heads, long queries, long keys)
        : q(tensor(heads, queries, 8, 1)),
          k(tensor(kv_heads, keys, 8, 2)),
          v(tensor(kv_heads, keys, 8, 3)),
          lse(1, heads, queries) {}
    // The same with one thread and with all, also the gradients.
    template <class... Options>
    void check(const Options&... options) {
        const auto alone = heed::attention(q, k, v, heed::logsumexp(lse), options...);
        const auto y = heed::attention(q, k, v, heed::on(lanes), heed::logsumexp(lse), options...);
        CHECK(support::same_bits(support::elements(y), support::elements(alone)));
        const auto g = heed::attention_backward(y, q, k, v, y, lse, options...);
        const auto h = heed::attention_backward(y, q, k, v, y, lse, heed::on(lanes), options...);
        CHECK(support::same_bits(support::elements(g.q), support::elements(h.q)));
        CHECK(support::same_bits(support::elements(g.k), support::elements(h.k)));
        CHECK(support::same_bits(support::elements(g.v), support::elements(h.v)));
    }
};

// One head over many chunks, so that every link of the chain waits for another thread's.
template <class... Options>
void check_linear(const Options&... options) {
    const auto q = tensor(1, 400, 6, 4), k = tensor(1, 400, 6, 5), v = tensor(1, 400, 7, 6);
    const auto y = heed::linear_attention(q, k, v, heed::on(lanes), options...);
    CHECK(support::same_bits(support::elements(y),
                             support::elements(heed::linear_attention(q, k, v, options...))));
    const auto g = heed::linear_attention_backward(v, q, k, v, options...);
    const auto h = heed::linear_attention_backward(v, q, k, v, heed::on(lanes), options...);
    CHECK(support::same_bits(support::elements(g.q), support::elements(h.q)));
    CHECK(support::same_bits(support::elements(g.k), support::elements(h.k)));
    CHECK(support::same_bits(support::elements(g.v), support::elements(h.v)));
}

}  // namespace

TEST_CASE("exact attention") {
    attention_inputs(2, 1, 300, 500).check(heed::causal);     // tiles
    attention_inputs(4, 2, 1, 9000).check();                  // keys split over threads
    attention_inputs(2, 2, 3, 5000).check(heed::causal);      // and for a few queries
    attention_inputs(1, 1, 200, 300).check(heed::top_k(20));  // rows of scores
    attention_inputs(6, 3, 7, 9).check();                     // small
}

TEST_CASE("linear attention: all rules, and the sums that need no order") {
    support::tensor<float, 3> g(1, 1, 400), beta(1, 1, 400);
    support::tensor<float> by_feature(1, 1, 400, 6);
    g.setConstant(-0.1f), beta.setConstant(0.1f), by_feature.setConstant(-0.1f);
    check_linear(heed::causal);
    check_linear(heed::causal, heed::decay(g));
    check_linear(heed::causal, heed::decay(by_feature));
    check_linear(heed::causal, heed::delta(beta));
    check_linear(heed::causal, heed::decay(g), heed::delta(beta));
    check_linear();
}

TEST_CASE("cummax: scans, attention and both ways back") {
    const auto o = tensor(2, 9000, 5, 7), a1 = tensor(2, 9000, 5, 8), a2 = tensor(2, 9000, 5, 9);
    CHECK(support::same_bits(support::elements(heed::cummax(o, heed::along::position, heed::on(lanes))),
                             support::elements(heed::cummax(o, heed::along::position))));
    const auto y = heed::cummax_attention(o, a1, a2, heed::on(lanes));
    CHECK(support::same_bits(support::elements(y), support::elements(heed::cummax_attention(o, a1, a2))));
    const auto g = heed::cummax_attention_backward(y, o, a1, a2);
    const auto h = heed::cummax_attention_backward(y, o, a1, a2, heed::on(lanes));
    CHECK(support::same_bits(support::elements(g.o), support::elements(h.o)));
    CHECK(support::same_bits(support::elements(g.a2), support::elements(h.a2)));
}

TEST_CASE("native sparse attention") {
    const auto q = tensor(2, 200, 8, 10), k = tensor(1, 200, 8, 11), v = tensor(1, 200, 8, 12);
    const auto gates = tensor(2, 200, 3, 13);
    const auto alone = heed::native_sparse_attention(q, k, v, gates);
    const auto y = heed::native_sparse_attention(q, k, v, gates, heed::on(lanes));
    CHECK(support::same_bits(support::elements(y), support::elements(alone)));
}
