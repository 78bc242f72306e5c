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

namespace {

// Two callers of one pool with a task each of their own and one that stands in a thread of the pool until it
// is let go, so that both wait at once.
struct waiting_callers {
    heed::thread_pool pool{3};
    std::atomic<bool> let_go[2]{};
    std::atomic<bool> back[2]{};
    std::thread caller[2];

    static void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

    // The first of them waits before the second does.
    explicit waiting_callers(int first) {
        for (const int who : {first, 1 - first}) {
            std::atomic<int> started{0};
            std::atomic<bool> own{false}, settled{false};
            caller[who] = std::thread([&, this, who] {
                pool.parallelFor(2, 1.0, [&, this, who](std::ptrdiff_t, std::ptrdiff_t) {
                    ++started;
                    while (started < 2) std::this_thread::yield();
                    if (pool.currentThreadId() < 0) {
                        own = true;
                        return;
                    }
                    while (!own) std::this_thread::yield();
                    settled = true;  // nothing of this frame is touched from here on
                    while (!let_go[who]) pause();
                });
                back[who] = true;
            });
            while (!settled) pause();
            for (int i = 0; i < 20; ++i) pause();
        }
    }
    ~waiting_callers() {
        for (std::atomic<bool>& go : let_go) go = true;
        for (std::thread& t : caller) t.join();
    }
    bool comes_back(int who) {
        let_go[who] = true;
        for (int waited = 0; !back[who] && waited < 5000; ++waited) pause();
        return back[who];
    }
};

}  // namespace

TEST_CASE("a caller comes back when its own job is done, and not before") {
    for (const int first : {0, 1})
        for (const int done_first : {0, 1}) {
            waiting_callers x(first);
            CHECK((!x.back[0] && !x.back[1]));
            if (!x.comes_back(done_first)) {
                std::fputs("a caller was not woken\n", stderr);  // and may never be
                std::_Exit(1);
            }
            CHECK(!x.back[1 - done_first]);
            CHECK(x.comes_back(1 - done_first));
        }
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
