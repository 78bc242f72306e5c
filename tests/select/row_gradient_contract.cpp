// SPDX-License-Identifier: MIT
// tests/select/row_gradient_contract.cpp: gradients under selectors in rows of scores, under the contract:
// other options, hidden keys, the same bits, memory
#include <heed/sparse.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/attention_gradient_call.hpp"
#include "support/traps.hpp"

namespace {

struct bent {
    template <class S>
    S operator()(S s, heed::at i) const {
        return s * S(0.75) + S(0.125) * static_cast<S>(static_cast<float>(i.key % 3));
    }
};

}  // namespace

TEST_CASE("the choice is that of the forward, from scores that other options change") {
    support::random r(3302);
    for (long queries = 1; queries <= 70; ++queries) {
        const long kv_heads = r.between(1, 2), keys = r.between(1, 200);
        auto p = support::problem<float>(r, r.between(1, 2), kv_heads * r.between(1, 3), kv_heads, queries,
                                         keys, r.between(1, 20), r.between(1, 20));
        support::tensor<float> bias(1, p.heads, p.queries, p.keys);
        for (long i = 0; i < bias.size(); ++i)
            bias.data()[i] = r.chance(0.1) ? -HUGE_VALF : static_cast<float>(r.normal());
        std::vector<float> slopes, sinks;
        for (long h = 0; h < p.heads; ++h)
            slopes.push_back(static_cast<float>(r.uniform(0, 0.1))),
                sinks.push_back(static_cast<float>(r.normal()));
        const auto selector = heed::top_k(r.skewed(1, p.keys));
        support::tensor<float> weights(p.batch, p.heads, p.queries, p.keys);
        const support::backward_inputs<float> in(p, r, heed::causal, heed::softcap(4), heed::score(bent()),
                                                 heed::alibi(slopes), heed::bias(bias), heed::sinks(sinks),
                                                 heed::dropout(0.2, 7), selector, heed::weights(weights));
        const support::tensor<bool> kept = weights > weights.constant(0);
        support::tensor<float> dbias(bias.dimensions()), dbias_masked(bias.dimensions());
        support::tensor<float, 1> dsinks(p.heads), dsinks_masked(p.heads);
        const auto gradients = [&](auto& to_bias, auto& to_sinks, const auto&... choice) {
            return in.gradients(p, heed::softcap(4), heed::score(bent()), heed::alibi(slopes),
                                heed::bias(bias), heed::sinks(sinks), heed::dropout(0.2, 7),
                                heed::bias_gradient(to_bias), heed::sinks_gradient(to_sinks), choice...);
        };
        const auto got = gradients(dbias, dsinks, heed::causal, selector);
        INFO(support::describe(p));
        CHECK(gradients(dbias_masked, dsinks_masked, heed::mask(kept)) == got);
        CHECK(support::same_bits(support::elements(dbias), support::elements(dbias_masked)));
        CHECK(support::same_bits(support::elements(dsinks), support::elements(dsinks_masked)));
    }
}

TEST_CASE("what was not kept reaches nothing, nor what a mask hides") {
    heed_test::without_traps by_design;
    support::random r(3303);
    for (const long queries : {3L, 70L}) {
        auto p = support::problem<float>(r, 1, 2, 1, queries, 90, 8, 8);
        const std::vector<long> lengths{80};
        const auto run = [&](const reference::problem& of, support::random from) {
            const support::backward_inputs<float> in(of, from, heed::key_lengths(lengths), heed::top_k(5));
            return in.gradients(of, heed::key_lengths(lengths), heed::top_k(5));
        };
        // No product with this key is large, so nobody keeps it.
        for (double& x : p.q) x = std::fabs(x) + 0.1;
        for (std::size_t f = 0; f < 8; ++f) p.k[7 * 8 + f] = -50;
        const auto clean = run(p, support::random(1));
        CHECK(support::positive_zero(clean.k.data() + 7 * 8, 8));
        CHECK(support::positive_zero(clean.v.data() + 7 * 8, 8));
        for (const double bad : {double(NAN), double(INFINITY)}) {
            for (std::size_t f = 0; f < 8; ++f) p.v[7 * 8 + f] = bad;
            for (std::size_t i = 80 * 8; i < 90 * 8; ++i) p.k[i] = p.v[i] = i % 2 == 0 ? bad : -bad;
            CHECK(run(p, support::random(1)) == clean);
        }
    }
}

TEST_CASE("the same bits for any threads and place in the batch; no allocation with a workspace") {
    support::random r(3304);
    const heed::thread_pool pool(3);
    for (const auto& [queries, keys] : {std::pair{210L, 400L}, {2L, 700L}, {70L, 64L}, {3L, 0L}, {0L, 5L}}) {
        const auto p = support::problem<float>(r, 2, 4, 2, queries, keys, 12, 10);
        const auto selector = heed::top_fraction(0.3);
        const support::backward_inputs<float> in(p, r, heed::causal, selector);
        support::gradient_outputs<float> one(p), many(p);
        heed::workspace memory, of_pool;
        const auto use = heed::use(memory), use_pool = heed::use(of_pool);
        const auto on = heed::on(pool);
        const auto call = [&](auto& to, const auto&... options) {
            heed::attention_backward_into(to.q, to.k, to.v, in.dy, in.q, in.k, in.v, in.y, in.lse,
                                          heed::causal, selector, options...);
        };
        call(one, use), call(many, use_pool, on);
        CHECK(one == many);
        long counted = 0;
        {
            const support::allocation_watch watch;
            call(one, use), call(many, use_pool, on);
            counted = watch.count();
        }
        CHECK(counted == 0);
        // The second entry alone.
        const auto second = [](const auto& x) {
            auto from = x.dimensions(), extents = x.dimensions();
            for (auto& begin : from) begin = 0;
            from[0] = extents[0] = 1;
            return std::decay_t<decltype(x)>(x.slice(from, extents));
        };
        const auto alone = heed::attention_backward(second(in.dy), second(in.q), second(in.k), second(in.v),
                                                    second(in.y), second(in.lse), heed::causal, selector);
        CHECK(support::same_bits(support::elements(alone.q), support::elements(second(one.q))));
        CHECK(support::same_bits(support::elements(alone.k), support::elements(second(one.k))));
        CHECK(support::same_bits(support::elements(alone.v), support::elements(second(one.v))));
    }
}

TEST_CASE("kept keys as a mask: every bit, along both axes, and the covers of tiles") {
    support::random r(3305);
    const long heads = 2, queries = 90, keys = 150, words = 3;
    std::vector<heed::detail::bit_word> bits(heads * queries * words, ~heed::detail::bit_word{0});
    const heed::detail::key_bits kept{bits.data(), heads, queries, words};
    std::vector<char> want(heads * queries * keys, 0);
    for (int row = 0; row < heads * queries; ++row) {
        std::vector<std::int32_t> chosen;
        // Rows that keep nothing, everything, or some.
        const double share = row % 30 < 8 ? 0 : row % 30 < 16 ? 1 : 0.5;
        for (int j = 0; j < keys; ++j)
            if (r.chance(share)) chosen.push_back(j), want[std::size_t(row * keys + j)] = 1;
        kept.record({0, row / int(queries), row % int(queries), 0}, chosen.data(),
                    heed::index(chosen.size()));
    }
    const auto at = [&](long h, long i, long j) {
        return want[std::size_t((h * queries + i) * keys + j)] != 0;
    };
    long wrong = 0, empty = 0, full = 0;
    for (int n = 0; n < 2000; ++n) {
        const int h = int(r.between(0, heads - 1)), i = int(r.between(0, queries - 1)),
                  j = int(r.between(0, keys - 1));
        const bool over_queries = r.chance(0.5);
        const long left_lanes = over_queries ? queries - i : keys - j,
                   left_rows = over_queries ? keys - j : queries - i;
        const int lanes = int(r.between(1, std::min(64L, left_lanes))),
                  rows = int(r.between(1, std::min(16L, left_rows)));
        const heed::detail::lane_block block{
            {0, h, i, j}, over_queries ? -1 : 0, over_queries ? 0 : -1, lanes - 1, rows};
        const auto visible = kept.lanes(block);
        for (int row = 0; row < rows; ++row)
            for (int lane = 0; lane < 64; ++lane) {
                const heed::at place = block.at_pos({lane, row});
                wrong += visible(place, {lane, row}) != at(h, place.query, place.key);
            }
        const int height = over_queries ? lanes : rows, width = over_queries ? rows : lanes;
        long seen = 0;
        for (int x = 0; x < height; ++x)
            for (int y = 0; y < width; ++y) seen += at(h, i + x, j + y);
        const auto cover = kept.classify({0, h, i, i + height, j, j + width});
        const auto right = seen == 0                ? heed::cover::empty
                           : seen == height * width ? heed::cover::full
                                                    : heed::cover::mixed;
        wrong += cover != right;
        empty += right == heed::cover::empty, full += right == heed::cover::full;
    }
    CHECK(wrong == 0);
    CHECK((empty > 20 && full > 20));
}
