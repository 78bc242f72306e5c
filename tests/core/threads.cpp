// SPDX-License-Identifier: MIT
// tests/core/threads.cpp: calls within calls, callables that throw, and callers side by side
#define EIGEN_USE_THREADS
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <heed/thread_pool.hpp>

#include "support/call.hpp"

namespace {

const reference::problem& small() {
    static const reference::problem p = [] {
        support::random r(311);
        return support::problem<float>(r, 2, 4, 4, 12, 14, 4, 4);
    }();
    return p;
}

// Attention inside every task of a parallel loop over the same pool.
template <class Device>
long nested(const Device& device, int rounds) {
    const support::inputs<float> in(small());
    const auto want = support::elements(heed::attention(in.q, in.k, in.v));
    std::atomic<long> wrong{0};
    for (int round = 0; round < rounds; ++round)
        device.parallelFor(4, Eigen::TensorOpCost(0, 0, 1e6), [&](Eigen::Index first, Eigen::Index last) {
            for (Eigen::Index i = first; i < last; ++i) {
                const support::tensor<float> y = heed::attention(in.q, in.k, in.v, heed::on(device));
                if (!support::same_bits(support::elements(y), want)) ++wrong;
            }
        });
    return wrong;
}

}  // namespace

TEST_CASE("calls from inside the pool they run on do not wait for themselves") {
    for (const int threads : {1, 2, 3, 4}) {
        const heed::thread_pool pool(threads);
        CHECK(nested(pool, 1500) == 0);
        Eigen::ThreadPool eigen_pool(threads);
        const Eigen::ThreadPoolDevice device(&eigen_pool, threads);
        CHECK(nested(device, 1500) == 0);
    }
}

TEST_CASE("many threads may call into one pool") {
    const heed::thread_pool pool(3);
    const support::inputs<float> in(small());
    const auto want = support::elements(heed::attention(in.q, in.k, in.v));
    std::atomic<long> wrong{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&] {
            for (int round = 0; round < 300; ++round) {
                const support::tensor<float> y = heed::attention(in.q, in.k, in.v, heed::on(pool));
                if (!support::same_bits(support::elements(y), want)) ++wrong;
            }
        });
    for (auto& caller : callers) caller.join();
    CHECK(wrong == 0);
}

#if defined(__cpp_exceptions)
namespace {

struct stop {
    int query;
};

template <class... Options>
long caught(const Options&... options) {
    const support::inputs<float> in(small());
    long count = 0;
    for (int query = 0; query < 12; ++query) {
        support::tensor<float> y(2, 4, 12, 4);
        const auto throwing = heed::mask_if([=](heed::at i) {
            if (i.query == query && i.head == 2) throw stop{query};
            return true;
        });
        try {
            heed::attention_into(y, in.q, in.k, in.v, throwing, options...);
        } catch (const stop& s) {
            count += s.query == query;
        }
    }
    return count;
}

}  // namespace

TEST_CASE("what a callable throws reaches the caller, out of a pool too") {
    CHECK(caught() == 12);
    const heed::thread_pool pool(3);
    CHECK(caught(heed::on(pool)) == 12);
    Eigen::ThreadPool eigen_pool(3);
    const Eigen::ThreadPoolDevice device(&eigen_pool, 3);
    CHECK(caught(heed::on(device)) == 12);
    // and the pools still work
    CHECK(nested(pool, 3) == 0);
    CHECK(nested(device, 3) == 0);
}
#endif

// A caller's own tasks take no time, those of the pool's threads do, so that several callers wait at once.
TEST_CASE("every caller that waits is woken when its own job is done") {
    const heed::thread_pool pool(3);
    std::atomic<int> finished{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller)
        callers.emplace_back([&, caller] {
            for (int round = 0; round < 100; ++round)
                pool.parallelFor(3, 1.0, [&](std::ptrdiff_t i, std::ptrdiff_t) {
                    if (pool.currentThreadId() < 0) return;
                    std::this_thread::sleep_for(
                        std::chrono::microseconds(20 + 60 * ((round + caller + i) % 4)));
                });
            ++finished;
        });
    for (int waited = 0; finished < 4 && waited < 20000; ++waited)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (finished < 4) {
        std::fputs("a caller was not woken\n", stderr);  // and cannot be joined
        std::_Exit(1);
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(finished == 4);
}

#if defined(__unix__) || defined(__APPLE__)
TEST_CASE("a forked child may use the pool of its parent, and destroy it") {
    const support::inputs<float> in(small());
    const auto want = support::elements(heed::attention(in.q, in.k, in.v));
    auto pool = std::make_unique<heed::thread_pool>(3);
    // The fork also finds threads that work, and the pool's mutex held.
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) pool->parallelFor(8, 1.0, [](std::ptrdiff_t, std::ptrdiff_t) {});
    });
    for (int round = 0; round < 20; ++round) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);  // a hang is a failure
            bool right = pool->numThreads() == 1;
            const support::tensor<float> y = heed::attention(in.q, in.k, in.v, heed::on(*pool));
            right = right && support::same_bits(support::elements(y), want);
            pool.reset();
            const heed::thread_pool another(2);
            const support::tensor<float> z = heed::attention(in.q, in.k, in.v, heed::on(another));
            right = right && support::same_bits(support::elements(z), want);
            _exit(right ? 0 : 1);
        }
        int status = -1;
        REQUIRE(child > 0);
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    }
    stop = true;
    busy.join();
    CHECK(pool->numThreads() == 3);
}
#endif
