// SPDX-License-Identifier: MIT
// tests/core/determinism.cpp: the same bits for any thread count, batch size and batch position
//
// Three executors: heed's thread_pool, Eigen's ThreadPoolDevice, and one that shuffles the order
// of its tasks and sleeps in between, which a work split that depends on timing would not survive.
#define EIGEN_USE_THREADS
#include <heed/thread_pool.hpp>

#include "support/call.hpp"
#include "support/jittery.hpp"

namespace {

struct outcome {
    support::tensor<float> y, weights;
    support::tensor<float, 3> lse;
    bool operator==(const outcome& o) const {
        const auto same = [](const auto& a, const auto& b) {
            return support::same_bits(support::elements(a), support::elements(b));
        };
        return same(y, o.y) && same(weights, o.weights) && same(lse, o.lse);
    }
};

// With the weights written, which touches every path that a plain call does not.
template <class... Options>
outcome detailed(const reference::problem& p, const support::inputs<float>& in, const Options&... options) {
    outcome o{{p.batch, p.heads, p.queries, p.d_v},
              {p.batch, p.heads, p.queries, p.keys},
              {p.batch, p.heads, p.queries}};
    heed::attention_into(o.y, in.q, in.k, in.v, heed::causal, heed::dropout(0.2, 7), heed::weights(o.weights),
                         heed::logsumexp(o.lse), options...);
    return o;
}
template <class... Options>
outcome plain(const reference::problem& p, const support::inputs<float>& in, const Options&... options) {
    outcome o{{p.batch, p.heads, p.queries, p.d_v}, {0, 0, 0, 0}, {p.batch, p.heads, p.queries}};
    heed::attention_into(o.y, in.q, in.k, in.v, heed::causal, heed::logsumexp(o.lse), options...);
    return o;
}

std::vector<reference::problem> shapes(std::uint64_t seed) {
    support::random r(seed);
    std::vector<reference::problem> all{
        support::problem<float>(r, 2, 4, 2, 90, 110, 16, 16),  // tiles
        support::problem<float>(r, 1, 2, 1, 330, 700, 12, 9),  // several key tiles
        support::problem<float>(r, 1, 4, 1, 1, 9000, 16, 16),  // decode: split over keys
        support::problem<float>(r, 1, 2, 1, 1, 33000, 6, 5),   // parts of keys, and several of them a task
        support::problem<float>(r, 3, 2, 2, 3, 2100, 8, 8),    // a few queries
        support::problem<float>(r, 5, 3, 3, 9, 9, 8, 8)};      // small
    for (int i = 0; i < 4; ++i) all.push_back(support::random_problem<float>(r));
    return all;
}

}  // namespace

TEST_CASE("1 to 64 threads of heed's pool and of Eigen's give the bits of none") {
    for (const auto& p : shapes(301)) {
        INFO(support::describe(p));
        const support::inputs<float> in(p);
        const outcome alone = plain(p, in), alone_detailed = detailed(p, in);
        bool same = true;
        for (const int threads : {1, 2, 3, 5, 8, 17, 64}) {
            const heed::thread_pool pool(threads);
            same = same && plain(p, in, heed::on(pool)) == alone;
            same = same && detailed(p, in, heed::on(pool)) == alone_detailed;
            Eigen::ThreadPool eigen_pool(threads);
            const Eigen::ThreadPoolDevice device(&eigen_pool, threads);
            same = same && plain(p, in, heed::on(device)) == alone;
        }
        CHECK(same);
    }
}

TEST_CASE("250 jittered runs give the same bits") {
    // Four targets run this test: 1,000 runs in all.
    const auto all = shapes(302);
    std::vector<outcome> alone;
    for (const auto& p : all) alone.push_back(plain(p, support::inputs<float>(p)));
    support::random r(303);
    long different = 0;
    for (int run = 0; run < 250; ++run) {
        const std::size_t i = static_cast<std::size_t>(run) % all.size();
        const support::jittery device{static_cast<int>(r.between(2, 9)), support::random(r.bits())};
        different += !(plain(all[i], support::inputs<float>(all[i]), heed::on(device)) == alone[i]);
    }
    CHECK(different == 0);
}

TEST_CASE("a batch entry's bits do not depend on the batch around it") {
    support::random r(304);
    for (int round = 0; round < 30; ++round) {
        auto p = support::random_problem<float>(r);
        p.batch = r.between(2, 5);
        support::fill<float>(p, r);
        const support::inputs<float> in(p);
        const outcome whole = plain(p, in);
        bool same = true;
        for (long b = 0; b < p.batch; ++b) {
            auto one = p;
            one.batch = 1;
            const auto part = [&](const std::vector<double>& x) {
                const long n = static_cast<long>(x.size()) / p.batch;
                return std::vector<double>(x.begin() + b * n, x.begin() + (b + 1) * n);
            };
            one.q = part(p.q), one.k = part(p.k), one.v = part(p.v);
            const outcome alone = plain(one, support::inputs<float>(one));
            same = same && support::same_bits(alone.y.data(), whole.y.data() + b * alone.y.size(),
                                              static_cast<std::size_t>(alone.y.size()));
            same = same && support::same_bits(alone.lse.data(), whole.lse.data() + b * alone.lse.size(),
                                              static_cast<std::size_t>(alone.lse.size()));
        }
        INFO(support::describe(p));
        CHECK(same);
    }
}

TEST_CASE("grouped heads give the bits of repeated ones") {
    support::random r(305);
    for (int round = 0; round < 40; ++round) {
        auto p = round % 8 == 7 ? support::problem<float>(r, 1, 6, 2, r.between(1, 3), 3000, 8, 8)
                                : support::random_problem<float>(r);
        auto wide = p;
        wide.kv_heads = p.heads;
        wide.k.clear(), wide.v.clear();
        const long group = p.heads / p.kv_heads;
        for (long h = 0; h < p.batch * p.kv_heads; ++h)
            for (long g = 0; g < group; ++g) {
                const long k = p.keys * p.d_k, v = p.keys * p.d_v;
                wide.k.insert(wide.k.end(), p.k.begin() + h * k, p.k.begin() + (h + 1) * k);
                wide.v.insert(wide.v.end(), p.v.begin() + h * v, p.v.begin() + (h + 1) * v);
            }
        INFO(support::describe(p));
        CHECK(plain(p, support::inputs<float>(p)) == plain(wide, support::inputs<float>(wide)));
    }
}
