// SPDX-License-Identifier: MIT
// tests/attention/backward_bits.cpp: gradients have the same bits for any threads, batch size and position
#include <heed/thread_pool.hpp>

#include "support/attention_gradient_call.hpp"
#include "support/jittery.hpp"

namespace {

// Gradients of everything that is summed: over heads, blocks of keys, rows.
struct outcome {
    support::gradient_outputs<float> g;
    support::tensor<float> bias;
    support::tensor<float, 1> slopes, sinks;
    bool operator==(const outcome& o) const {
        const auto same = [](const auto& a, const auto& b) {
            return support::same_bits(support::elements(a), support::elements(b));
        };
        return g == o.g && same(bias, o.bias) && same(slopes, o.slopes) && same(sinks, o.sinks);
    }
};

struct fixture {
    reference::problem p;
    support::tensor<float> bias;
    std::vector<float> sinks;
    support::backward_inputs<float> in;

    fixture(const reference::problem& p_, support::random& r)
        : p(p_),
          bias(1, p.heads, 1, p.keys),
          sinks(static_cast<std::size_t>(p.heads), 0.5f),
          in((set_bias(), p), r, heed::causal, heed::bias(bias), heed::alibi(), heed::sinks(sinks)) {}

    // Beside the scores of the first head their sums drown in a log-sum-exp.
    void set_bias() {
        bias.setConstant(0.25f);
        for (long j = 0; j < p.keys; ++j) bias(0, 0, 0, j) = 1e9f;
    }

    template <class... Options>
    outcome run(const Options&... options) const {
        outcome o{support::gradient_outputs<float>(p), bias, {p.heads}, {p.heads}};
        heed::attention_backward_into(o.g.q, o.g.k, o.g.v, in.dy, in.q, in.k, in.v, in.y, in.lse,
                                      heed::causal, heed::bias(bias), heed::alibi(), heed::sinks(sinks),
                                      heed::bias_gradient(o.bias), heed::slopes_gradient(o.slopes),
                                      heed::sinks_gradient(o.sinks), options...);
        return o;
    }
};

std::vector<reference::problem> shapes(support::random& r) {
    return {support::problem<float>(r, 2, 4, 2, 190, 210, 9, 8),
            support::problem<float>(r, 1, 1, 1, 330, 700, 6, 9),
            support::problem<float>(r, 1, 2, 1, 700, 330, 6, 9),
            support::problem<float>(r, 5, 3, 3, 9, 300, 8, 8),
            support::problem<float>(r, 1, 3, 1, 1, 1, 4, 4)};
}

}  // namespace

TEST_CASE("1 to 8 threads give the bits of none") {
    support::random r(3161);
    for (const auto& p : shapes(r)) {
        const fixture f(p, r);
        const outcome alone = f.run();
        bool same = true;
        for (const int threads : {1, 2, 3, 4, 5, 6, 7, 8, 33}) {
            const heed::thread_pool pool(threads);
            same = same && f.run(heed::on(pool)) == alone;
        }
        INFO(support::describe(p));
        CHECK(same);
    }
}

TEST_CASE("100 jittered runs give the same bits") {
    support::random r(3162);
    std::vector<fixture> all;
    std::vector<outcome> alone;
    for (const auto& p : shapes(r)) all.emplace_back(p, r);
    // Options keep references to what a fixture owns, so they are made anew for each call.
    for (const fixture& f : all) alone.push_back(f.run());
    long different = 0;
    for (std::size_t run = 0; run < 100; ++run) {
        const std::size_t i = run % all.size();
        const support::jittery device{static_cast<int>(r.between(2, 9)), support::random(r.bits())};
        different += !(all[i].run(heed::on(device)) == alone[i]);
    }
    CHECK(different == 0);
}

TEST_CASE("a batch entry's bits do not depend on the batch around it") {
    support::random r(3163);
    for (int round = 0; round < 30; ++round) {
        auto p = round % 8 == 7 ? support::problem<float>(r, 2, 2, 1, 150, 300, 5, 5)
                                : support::random_problem<float>(r);
        p.batch = r.between(2, 4);
        support::fill<float>(p, r);
        const support::backward_inputs<float> in(p, r, heed::causal);
        const auto whole = in.gradients(p, heed::causal);
        const auto single = [&](const auto& t, long b) {
            const auto v = heed::as_view(t);
            return heed::view(v).slice_batch(b, 1);
        };
        bool same = true;
        for (long b = 0; b < p.batch; ++b) {
            auto one = p;
            one.batch = 1;
            support::gradient_outputs<float> g(one);
            const support::tensor<float, 2> lse = in.lse.chip(b, 0);
            heed::attention_backward_into(g.q, g.k, g.v, single(in.dy, b), single(in.q, b), single(in.k, b),
                                          single(in.v, b), single(in.y, b), lse, heed::causal);
            const auto equal = [&](const auto& part, const auto& all) {
                return support::same_bits(part.data(), all.data() + b * part.size(),
                                          static_cast<std::size_t>(part.size()));
            };
            same = same && equal(g.q, whole.q) && equal(g.k, whole.k) && equal(g.v, whole.v);
        }
        INFO(support::describe(p));
        CHECK(same);
    }
}
