// SPDX-License-Identifier: MIT
// tests/select/contract.cpp: selectors by scores under the contract: other options, hidden keys, the same
// bits
#include <heed/sparse.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"
#include "support/choice.hpp"
#include "support/traps.hpp"

namespace {

auto best(long k) {
    return [k](const std::vector<double>& row, reference::place) { return support::best_of(row, k); };
}
void causal(reference::problem& p) {
    const long offset = p.keys - p.queries;
    p.visible = [offset](reference::place i) { return i.key <= i.query + offset; };
}
template <class A, class B>
bool same(const A& a, const B& b) {
    return support::same_bits(support::elements(a), support::elements(b));
}

struct outcome {
    support::tensor<float> y, weights, scores;
    support::tensor<float, 3> lse;
    explicit outcome(const reference::problem& p)
        : y(p.batch, p.heads, p.queries, p.d_v),
          weights(p.batch, p.heads, p.queries, p.keys),
          scores(p.batch, p.heads, p.queries, p.keys),
          lse(p.batch, p.heads, p.queries) {}
};

}  // namespace

TEST_CASE("biases, sinks, dropout, log-sum-exp, weights and scores beside a selection") {
    support::for_problems<float>(831, 40, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r);
        causal(p);
        // A bias of whole numbers, some of them -inf.
        support::tensor<float> bias(1, p.heads, p.queries, p.keys);
        for (long i = 0; i < bias.size(); ++i)
            bias.data()[i] = r.chance(0.2) ? -HUGE_VALF : static_cast<float>(r.between(-4, 4));
        p.bias = [&](reference::place i) { return double(bias(0, i.head, i.query, i.key)); };
        std::vector<float> sinks(static_cast<std::size_t>(p.heads));
        for (float& sink : sinks) sink = static_cast<float>(r.normal());
        p.sinks.assign(sinks.begin(), sinks.end());
        const long k = r.skewed(1, p.keys);
        const auto before = reference::solve<double>(p);
        support::keep_only(p, best(k));
        const auto after = reference::solve<double>(p);

        const support::inputs<float> in(p);
        outcome got(p);
        heed::attention_into(got.y, in.q, in.k, in.v, heed::causal, heed::bias(bias), heed::sinks(sinks),
                             heed::top_k(k), heed::scale(*p.scale), heed::logsumexp(got.lse),
                             heed::weights(got.weights), heed::scores(got.scores, heed::stage::biased));
        support::check<float>(p, got.y, &got.lse);
        CHECK(support::max_error(support::values(got.weights), after.weights) < 1e-5);
        // The scores are those of the choice; what it dropped weighs exactly nothing.
        CHECK(support::max_error(support::values(got.scores), before.biased) < 1e-4);
        long wrong = 0;
        for (std::size_t i = 0; i < p.pairs(); ++i)
            wrong += after.weights[i] == 0 && !support::positive_zero(got.weights.data() + i, 1);
        CHECK(wrong == 0);

        // Dropout drops the same places as without a selection: a unit matrix for v shows them.
        support::tensor<float> unit(p.batch, p.kv_heads, p.keys, p.keys),
            shown(p.batch, p.heads, p.queries, p.keys);
        unit.setZero();
        for (long h = 0; h < p.batch * p.kv_heads; ++h)
            for (long j = 0; j < p.keys; ++j) unit.data()[(h * p.keys + j) * p.keys + j] = 1;
        heed::attention_into(shown, in.q, in.k, unit, heed::scale(0), heed::dropout(0.3, 99));
        p.keep = [&](reference::place i) {
            return shown(i.batch, i.head, i.query, i.key) != 0 ? 1 / 0.7 : 0.0;
        };
        heed::attention_into(got.y, in.q, in.k, in.v, heed::causal, heed::bias(bias), heed::sinks(sinks),
                             heed::top_k(k), heed::scale(*p.scale), heed::dropout(0.3, 99),
                             heed::logsumexp(got.lse));
        support::check<float>(p, got.y, &got.lse);
    });
}

TEST_CASE("what a mask hides is not chosen, and what is not chosen reaches nothing") {
    heed_test::without_traps by_design;
    support::for_problems<float>(832, 60, [](reference::problem& p, support::random& r) {
        causal(p);
        const long k = r.skewed(1, p.keys);
        const auto solve = [&](const reference::problem& of) {
            const support::inputs<float> in(of);
            outcome o(of);
            heed::attention_into(o.y, in.q, in.k, in.v, heed::causal, heed::top_k(k), heed::logsumexp(o.lse),
                                 heed::weights(o.weights));
            return o;
        };
        const outcome clean = solve(p);
        auto bad = p;
        const long b = r.between(0, p.batch - 1), kv = r.between(0, p.kv_heads - 1),
                   j = r.between(0, p.keys - 1);
        const bool key = r.chance(0.5);
        const double with = r.chance(0.5) ? std::nan("") : HUGE_VAL;
        const long at = (b * p.kv_heads + kv) * p.keys + j;
        if (key)
            std::fill_n(bad.k.begin() + at * p.d_k, p.d_k, with);
        else
            std::fill_n(bad.v.begin() + at * p.d_v, p.d_v, with);
        const outcome got = solve(bad);
        long changed = 0, kept = 0;
        for (long row = 0; row < static_cast<long>(p.rows()); ++row) {
            const long query = row % p.queries, head = row / p.queries % p.heads;
            const bool reads = row / p.queries / p.heads == b && head / (p.heads / p.kv_heads) == kv;
            const bool sees = reads && p.visible({b, head, query, j});
            // A value matters where its key was chosen; a key wherever it is seen.
            const bool matters = key ? sees : reads && clean.weights.data()[row * p.keys + j] != 0;
            const float* y = got.y.data() + row * p.d_v;
            if (!matters)
                changed += !support::same_bits(y, clean.y.data() + row * p.d_v, std::size_t(p.d_v)) ||
                           !support::same_bits(got.lse.data() + row, clean.lse.data() + row, 1);
            else if (std::isnan(with))
                for (long f = 0; f < p.d_v; ++f) kept += !std::isnan(y[f]);
        }
        INFO(support::describe(p) << ", " << with << (key ? " in k" : " in v") << ", key " << j);
        CHECK(changed == 0);
        CHECK(kept == 0);
    });
}

TEST_CASE("a query that sees nothing, and no keys at all") {
    support::random r(833);
    auto p = support::problem<float>(r, 2, 2, 1, 70, 20, 8, 8);
    const support::inputs<float> in(p);
    outcome got(p);
    // The first 50 queries stand before the first key.
    heed::attention_into(got.y, in.q, in.k, in.v, heed::causal, heed::local_plus_top(3, 0.5),
                         heed::logsumexp(got.lse), heed::weights(got.weights));
    for (long head = 0; head < 4; ++head) {
        CHECK(support::positive_zero(got.y.data() + head * 70 * 8, 50 * 8));
        CHECK(support::positive_zero(got.weights.data() + head * 70 * 20, 50 * 20));
        for (long i = 0; i < 50; ++i) CHECK(got.lse.data()[head * 70 + i] == -HUGE_VALF);
        CHECK(got.lse.data()[head * 70 + 50] != -HUGE_VALF);
    }
    const support::tensor<float> none(2, 1, 0, 8);
    got.y.setConstant(7);
    heed::attention_into(got.y, in.q, none, none, heed::top_k(3));
    CHECK(support::positive_zero(got.y.data(), 2 * 2 * 70 * 8));
}

TEST_CASE("scores that overflow are small, not hidden") {
    const long keys = 40;
    reference::problem p;
    p.queries = p.heads = 2, p.keys = keys, p.d_k = 1, p.d_v = 1, p.scale = 1;
    p.q = {-3e38, -3e38, -3e38, -3e38};
    for (long j = 0; j < keys; ++j) p.k.push_back(3e38), p.v.push_back(double(j + 1));
    heed_test::without_traps by_design;
    const support::inputs<float> in(p);
    // All are equal, and the first three stay.
    const auto y = heed::attention(in.q, in.k, in.v, heed::scale(1), heed::top_k(3));
    for (long i = 0; i < y.size(); ++i) CHECK(y.data()[i] == 2);
}

TEST_CASE("y may be q, and q, k and v any part of a buffer") {
    support::random r(834);
    for (const long queries : {3L, 130L}) {
        auto p = support::problem<float>(r, 1, 2, 2, queries, queries, 16, 16);
        const support::inputs<float> in(p);
        const auto want = heed::attention(in.q, in.k, in.v, heed::causal, heed::top_fraction(0.3));
        // q, k and v of a position side by side: (batch, position, 3 heads * feature).
        support::tensor<float, 3> fused(1, queries, 3 * 2 * 16);
        const auto part = [&](long which) {
            return heed::view<float>{
                fused.data() + which * 32, {1, 2, queries, 16}, {queries * 96, 16, 96, 1}};
        };
        const support::tensor<float>* from[3] = {&in.q, &in.k, &in.v};
        for (long which = 0; which < 3; ++which)
            for (long h = 0; h < 2; ++h)
                for (long i = 0; i < queries; ++i)
                    for (long f = 0; f < 16; ++f)
                        fused(0, i, which * 32 + h * 16 + f) = (*from[which])(0, h, i, f);
        auto y = part(0);
        heed::attention_into(y, part(0), part(1), part(2), heed::causal, heed::top_fraction(0.3));
        long wrong = 0;
        for (long h = 0; h < 2; ++h)
            for (long i = 0; i < queries; ++i)
                for (long f = 0; f < 16; ++f) wrong += !(fused(0, i, h * 16 + f) == want(0, h, i, f));
        CHECK(wrong == 0);
    }
}

TEST_CASE("the same bits for any threads, batch and place in it; no allocation with a workspace") {
    support::random r(835);
    const heed::thread_pool pool(2);
    for (const auto& [queries, keys] : {std::pair{210L, 400L}, {2L, 3000L}, {97L, 97L}}) {
        auto p = support::problem<float>(r, 3, 4, 2, queries, keys, 24, 20);
        const support::inputs<float> in(p);
        outcome one(p), many(p);
        heed::workspace memory, of_pool;
        const auto use = heed::use(memory), use_pool = heed::use(of_pool);
        const auto on = heed::on(pool);
        const auto call = [&](outcome& o, const auto&... options) {
            heed::attention_into(o.y, in.q, in.k, in.v, heed::causal, heed::local_plus_top(20, 0.2),
                                 heed::logsumexp(o.lse), options...);
        };
        call(one, use), call(many, use_pool, on);
        CHECK(same(one.y, many.y));
        CHECK(same(one.lse, many.lse));
        long counted = 0;
        {
            const support::allocation_watch watch;
            call(one, use), call(many, use_pool, on);
            counted = watch.count();
        }
        CHECK(counted == 0);
        // Batch entry 1 alone, and its last queries alone.
        const auto alone = [&](const support::tensor<float>& x, long first, long count) {
            const long heads = x.dimension(1), positions = x.dimension(2), features = x.dimension(3);
            support::tensor<float> part(1, heads, count, features);
            for (long h = 0; h < heads; ++h)
                std::copy_n(x.data() + ((heads + h) * positions + first) * features, count * features,
                            part.data() + h * count * features);
            return part;
        };
        for (const long last : {queries, queries - 40}) {
            if (last <= 4 && last != queries) continue;
            const auto y = heed::attention(alone(in.q, queries - last, last), alone(in.k, 0, keys),
                                           alone(in.v, 0, keys), heed::causal, heed::local_plus_top(20, 0.2));
            CHECK(same(y, alone(one.y, queries - last, last)));
        }
    }
}
