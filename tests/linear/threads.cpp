// SPDX-License-Identifier: MIT
// tests/linear/threads.cpp: chunks that wait for each other: calls within calls, odd devices, callables that
// throw
//
// The chunks of one long head hand their state on from thread to thread. None may wait for a chunk that
// nobody works on: not on a pool of one, not inside the pool itself, not on a device that runs its lanes
// one after the other or in the wrong order, and not when a chunk ended with an exception.
#define EIGEN_USE_THREADS
#include <atomic>
#include <thread>

#include <heed/thread_pool.hpp>

#include "support/linear_gradient_call.hpp"

namespace {

using support::linear_problem;
using support::rule;

linear_problem sample(std::uint64_t seed, long batch, long n, bool causal = true) {
    support::random r(seed);
    auto p = support::linear<float>(r, {batch, 2, 1, n, causal ? n : n / 2, 9, 7}, rule::linear);
    p.causal = causal;
    return p;
}

// Forward and backward of all rules' common options, as bits.
template <class... Options>
std::vector<float> solve(const linear_problem& p, const Options&... options) {
    const support::linear_inputs<float> in(p);
    auto all = support::elements(heed::linear_attention(in.q, in.k, in.v, options...));
    support::tensor<float> dy(p.batch, p.heads, p.queries, p.d_v);
    dy.setConstant(0.25f);
    const auto g = heed::linear_attention_backward(dy, in.q, in.k, in.v, options...);
    for (const auto* t : {&g.q, &g.k, &g.v}) all.insert(all.end(), t->data(), t->data() + t->size());
    return all;
}

// Says that it has threads, and runs what it is given on this one: forwards, or from the end.
struct serial_device {
    bool backwards = false;
    int numThreads() const { return 5; }
    template <class Cost, class F>
    void parallelFor(std::ptrdiff_t n, const Cost&, const F& f) const {
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            const std::ptrdiff_t at = backwards ? n - 1 - i : i;
            f(at, at + 1);
        }
    }
};

}  // namespace

TEST_CASE("not causal: 1 to 8 threads") {
    for (const long n : {1L, 100L, 900L}) {
        const auto p = sample(4101, n == 900 ? 1 : 2, n, false);
        const auto alone = solve(p), efficient = solve(p, heed::efficient),
                   favor = solve(p, heed::favor(16, 1));
        for (int threads = 1; threads <= 8; ++threads) {
            const heed::thread_pool pool(threads);
            CHECK(support::same_bits(solve(p, heed::on(pool)), alone));
            CHECK(support::same_bits(solve(p, heed::efficient, heed::on(pool)), efficient));
            CHECK(support::same_bits(solve(p, heed::favor(16, 1), heed::on(pool)), favor));
        }
    }
}

TEST_CASE("a device that runs its lanes one after the other") {
    for (const long batch : {1L, 30L}) {
        const auto p = sample(4102, batch, 400);
        const auto alone = solve(p, heed::causal);
        const serial_device forwards, backwards{true};
        CHECK(support::same_bits(solve(p, heed::causal, heed::on(forwards)), alone));
        CHECK(support::same_bits(solve(p, heed::causal, heed::on(backwards)), alone));
    }
}

TEST_CASE("calls from inside the pool they run on, and many callers of one pool") {
    const auto p = sample(4103, 1, 300);
    const auto alone = solve(p, heed::causal);
    for (const int threads : {1, 2, 3, 4}) {
        const heed::thread_pool pool(threads);
        std::atomic<long> wrong{0};
        for (int round = 0; round < 25; ++round)
            pool.parallelFor(4, Eigen::TensorOpCost(0, 0, 1e6), [&](Eigen::Index first, Eigen::Index last) {
                for (Eigen::Index i = first; i < last; ++i)
                    if (!support::same_bits(solve(p, heed::causal, heed::on(pool)), alone)) ++wrong;
            });
        std::vector<std::thread> callers;
        for (int i = 0; i < 3; ++i)
            callers.emplace_back([&] {
                for (int round = 0; round < 20; ++round)
                    if (!support::same_bits(solve(p, heed::causal, heed::on(pool)), alone)) ++wrong;
            });
        for (auto& caller : callers) caller.join();
        CHECK(wrong == 0);
    }
}

TEST_CASE("a state read on a pool") {
    const auto p = sample(4104, 2, 700);
    const support::linear_inputs<float> in(p);
    const heed::thread_pool pool(3);
    support::tensor<float> state(2, 1, 9, 8), again(2, 1, 9, 8);
    state.setZero(), again.setZero();
    (void)heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::state(state));
    (void)heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::on(pool), heed::state(again));
    CHECK(support::same_bits(support::elements(state), support::elements(again)));
}

#if defined(__cpp_exceptions)
namespace {

struct stop {};

// Throws at one number that stands in the middle of k.
template <class... Options>
long caught(const linear_problem& p, const Options&... options) {
    const support::linear_inputs<float> in(p);
    const auto f = [](auto x) {
        if (x == decltype(x)(12345)) throw stop{};
        return x * x;
    };
    const auto map = heed::feature_map(f, [](auto x) { return x + x; });
    support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
    y.setConstant(0.5f);
    long count = 0;
    try {
        heed::linear_attention_into(y, in.q, in.k, in.v, map, options...);
    } catch (const stop&) {
        ++count;
    }
    try {
        (void)heed::linear_attention_backward(y, in.q, in.k, in.v, map, options...);
    } catch (const stop&) {
        ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("what a callable throws reaches the caller, and nobody waits for the chunk that threw") {
    auto p = sample(4105, 1, 500);
    for (const long t : {0L, 70L, 250L, 499L}) {
        auto bad = p;
        bad.k[static_cast<std::size_t>(t * 9 + 3)] = 12345;
        CHECK(caught(bad, heed::causal) == 2);
        CHECK(caught(bad) == 2);
        for (const int threads : {1, 2, 4}) {
            const heed::thread_pool pool(threads);
            for (int round = 0; round < 10; ++round) {
                CHECK(caught(bad, heed::causal, heed::on(pool)) == 2);
                CHECK(caught(bad, heed::on(pool)) == 2);
            }
            CHECK(caught(p, heed::causal, heed::on(pool)) == 0);
        }
    }
}
#endif
