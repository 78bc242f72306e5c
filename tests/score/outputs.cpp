// SPDX-License-Identifier: MIT
// tests/score/outputs.cpp: log-sum-exp, weights and the scores at every stage
#include "support/call.hpp"

namespace {

struct written {
    support::tensor<float> y, weights, scores;
    support::tensor<float, 3> lse;
    explicit written(const reference::problem& p)
        : y(p.batch, p.heads, p.queries, p.d_v),
          weights(p.batch, p.heads, p.queries, p.keys),
          scores(weights),
          lse(p.batch, p.heads, p.queries) {
        weights.setConstant(-9), scores.setConstant(-9), lse.setConstant(-9);
    }
};

// Differences where the pair is visible; hidden pairs are judged where a stage has a rule for them.
double visible_error(const std::vector<double>& got, const std::vector<double>& want,
                     const std::vector<double>& biased) {
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
        if (biased[i] != -HUGE_VAL) {
            const double e = std::fabs(got[i] - want[i]) / (1 + std::fabs(want[i]));
            worst = e <= worst ? worst : e;
        }
    return worst;
}

}  // namespace

TEST_CASE("maximum and sum are what the log-sum-exp is made of, with sinks and on rows that see nothing") {
    support::for_problems<float>(860, 60, [](reference::problem& p, support::random& r) {
        const long offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        std::vector<float> sinks(static_cast<std::size_t>(p.heads), -HUGE_VALF);
        if (r.chance(0.5)) {
            for (float& s : sinks) s = static_cast<float>(r.normal() * 2);
            p.sinks.assign(sinks.begin(), sinks.end());
        }
        const support::inputs<float> in(p);
        written w(p);
        support::tensor<float, 3> most(w.lse), sum(w.lse);
        heed::attention_into(w.y, in.q, in.k, in.v, heed::causal_from(offset), heed::sinks(sinks),
                             heed::logsumexp(w.lse), heed::maximum_and_sum(most, sum));
        support::check<float>(p, w.y, &w.lse);
        long wrong = 0;
        for (long i = 0; i < most.size(); ++i) {
            const float m = most.data()[i], l = sum.data()[i], lse = w.lse.data()[i];
            if (lse == -HUGE_VALF)
                wrong += m != -HUGE_VALF || l != 0;
            else
                wrong += !(l >= 0.999999f) ||
                         !(std::fabs(m + std::log(l) - lse) <= 3e-7f * (1 + std::fabs(m) + std::log1p(l)));
        }
        INFO(support::describe(p));
        CHECK(wrong == 0);
    });
}

TEST_CASE("weights sum to one and are the oracle's, beside y and the log-sum-exp") {
    support::for_problems<float>(861, 120, [](reference::problem& p, support::random& r) {
        const long offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        const support::inputs<float> in(p);
        written w(p);
        heed::attention_into(w.y, in.q, in.k, in.v, heed::causal_from(offset), heed::weights(w.weights),
                             heed::logsumexp(w.lse));
        support::check<float>(p, w.y, &w.lse);
        const auto want = reference::solve<double>(p);
        INFO(support::describe(p) << ", " << support::worst_place(support::values(w.weights), want.weights));
        // a weight is e^(s - lse): off by the error of both
        const double eps = 0x1p-23;
        double worst = 0, off = 0;
        for (std::size_t row = 0; row < p.rows(); ++row) {
            double sum = 0;
            const double size = support::score_size(p, want, row);
            for (long j = 0; j < p.keys; ++j) {
                const std::size_t at = row * static_cast<std::size_t>(p.keys) + static_cast<std::size_t>(j);
                const double got = support::widen(w.weights.data()[at]), truth = want.weights[at];
                sum += got;
                worst = std::fmax(worst, std::fabs(got - truth) / (8 * eps * truth * size + 1e-37));
            }
            if (want.lse[row] != -HUGE_VAL)
                off = std::fmax(off, std::fabs(sum - 1) / (4 * eps * size));
            else
                off = std::fmax(off, sum * 1e30);
        }
        CHECK(worst <= 1);
        CHECK(off <= 1);
    });
}

TEST_CASE("scores raw, capped, biased and as probabilities") {
    support::for_problems<float>(862, 60, [](reference::problem& p, support::random& r) {
        const long offset = p.keys - p.queries, n = r.between(0, p.keys);
        support::tensor<float, 2> bias(p.queries, p.keys);
        for (long i = 0; i < bias.size(); ++i)
            bias.data()[i] = r.chance(0.1) ? -HUGE_VALF : static_cast<float>(r.normal());
        p.softcap = 2.5;
        p.score = [](double s, reference::place i) { return s + 0.5 * double(i.key % 3); };
        p.bias = [&](reference::place i) { return support::widen(bias(i.query, i.key)); };
        p.visible = [=](reference::place i) { return i.key <= i.query + offset || i.key < n; };
        const support::inputs<float> in(p);
        const auto want = reference::solve<double>(p);
        INFO(support::describe(p));
        for (const auto stage :
             {heed::stage::raw, heed::stage::capped, heed::stage::biased, heed::stage::probabilities}) {
            written w(p);
            heed::attention_into(
                w.y, in.q, in.k, in.v, heed::causal | heed::prefix(n), heed::softcap(2.5),
                heed::score([](auto s, heed::at i) { return s + 0.5f * static_cast<float>(i.key % 3); }),
                heed::bias(bias), heed::scores(w.scores, stage), heed::logsumexp(w.lse));
            support::check<float>(p, w.y, &w.lse);
            const auto got = support::values(w.scores);
            const auto& truth = stage == heed::stage::raw      ? want.raw
                                : stage == heed::stage::capped ? want.capped
                                : stage == heed::stage::biased ? want.biased
                                                               : want.weights;
            INFO("stage " << static_cast<int>(stage));
            CHECK(visible_error(got, truth, want.biased) <= 4e-6);
            long wrong = 0;
            for (std::size_t i = 0; i < got.size(); ++i)
                if (want.biased[i] == -HUGE_VAL) {
                    if (stage == heed::stage::biased) wrong += got[i] != -HUGE_VAL;
                    if (stage == heed::stage::probabilities) wrong += got[i] != 0;
                    wrong += got[i] == -9;
                }
            CHECK(wrong == 0);
        }
    });
}

TEST_CASE("asking for more outputs changes no bit of y") {
    support::for_problems<float>(863, 60, [](reference::problem& p, support::random&) {
        const support::inputs<float> in(p);
        written a(p), b(p), c(p);
        heed::attention_into(a.y, in.q, in.k, in.v, heed::causal);
        heed::attention_into(b.y, in.q, in.k, in.v, heed::causal, heed::weights(b.weights));
        heed::attention_into(c.y, in.q, in.k, in.v, heed::causal, heed::logsumexp(c.lse),
                             heed::weights(c.weights), heed::scores(c.scores, heed::stage::raw));
        INFO(support::describe(p));
        CHECK(support::same_bits(support::elements(a.y), support::elements(b.y)));
        CHECK(support::same_bits(support::elements(a.y), support::elements(c.y)));
        CHECK(support::same_bits(support::elements(b.weights), support::elements(c.weights)));
    });
}

TEST_CASE("double tensors write double outputs; half ones write float") {
    support::random r(864);
    const auto p = support::problem<double>(r, 1, 2, 1, 20, 33, 8, 8);
    const support::inputs<double> in(p);
    support::tensor<double> w(1, 2, 20, 33);
    support::tensor<double, 3> lse(1, 2, 20);
    const auto y = heed::attention(in.q, in.k, in.v, heed::weights(w), heed::logsumexp(lse));
    support::check<double>(p, y, &lse);
    CHECK(support::max_error(support::values(w), reference::solve<double>(p).weights) < 1e-15);
    const auto h = support::problem<Eigen::half>(r, 1, 2, 1, 20, 33, 8, 8);
    const support::inputs<Eigen::half> in_half(h);
    support::tensor<float> wh(1, 2, 20, 33);
    (void)heed::attention(in_half.q, in_half.k, in_half.v, heed::weights(wh));
    CHECK(support::max_error(support::values(wh), reference::solve<double>(h).weights) < 2e-6);
}
