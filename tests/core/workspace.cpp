// SPDX-License-Identifier: MIT
// tests/core/workspace.cpp: no allocation with a workspace, and every failing one survived (R16)
#include <pthread.h>
#include <cstring>
#include <new>

#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"

namespace {

struct setup {
    reference::problem p;
    support::inputs<float> in;
    support::tensor<float> y;
    support::tensor<float, 3> lse;
    explicit setup(std::uint64_t seed, long queries, long keys)
        : p(make(seed, queries, keys)), in(p), y(2, 4, queries, 10), lse(2, 4, queries) {}
    static reference::problem make(std::uint64_t seed, long queries, long keys) {
        support::random r(seed);
        return support::problem<float>(r, 2, 4, 2, queries, keys, 10, 10);
    }
};

}  // namespace

TEST_CASE("a part holds what was asked for, and the other one stays as it is") {
    using part = heed::workspace::part;
    heed::workspace w(100);
    CHECK(w.bytes() == 100);
    const void* const scratch = w.reserve(101);
    CHECK(w.bytes() == 101);
    CHECK(w.reserve(50) == scratch);
    char* const selection = static_cast<char*>(w.reserve(40, part::selection));
    CHECK(w.bytes() == 141);
    CHECK(w.reserve(101) == scratch);
    selection[39] = 7;
    std::memset(w.reserve(5000), 1, 5000);
    CHECK(w.bytes() == 5040);
    CHECK((w.reserve(40, part::selection) == selection && selection[39] == 7));
    w.release();
    CHECK(w.bytes() == 0);
}

TEST_CASE("calls with a workspace that has grown allocate nothing") {
    const heed::thread_pool pool(2);
    for (const auto& [queries, keys] : {std::pair{200L, 300L}, {9L, 9L}, {1L, 5000L}, {40L, 64L}}) {
        setup s(401, queries, keys);
        heed::workspace alone, threaded;
        const auto call = [&](auto&... options) {
            heed::attention_into(s.y, s.in.q, s.in.k, s.in.v, heed::causal, heed::logsumexp(s.lse),
                                 options...);
        };
        const auto on_pool = heed::on(pool);
        const auto with_alone = heed::use(alone), with_threaded = heed::use(threaded);
        call(with_alone), call(with_threaded, on_pool);
        long counted = 0, counted_threaded = 0;
        {
            const support::allocation_watch watch;
            for (int i = 0; i < 3; ++i) call(with_alone);
            counted = watch.count();
        }
        {
            const support::allocation_watch watch;
            for (int i = 0; i < 3; ++i) call(with_threaded, on_pool);
            counted_threaded = watch.count();
        }
        INFO(queries << " queries, " << keys << " keys");
        CHECK(counted == 0);
        CHECK(counted_threaded == 0);
        support::check<float>(
            [&] {
                auto p = s.p;
                const long offset = p.keys - p.queries;
                p.visible = [offset](reference::place i) { return i.key <= i.query + offset; };
                return p;
            }(),
            s.y, &s.lse);
    }
}

TEST_CASE("one workspace serves calls of any size, and its bits are those of none") {
    heed::workspace w;
    support::random r(402);
    for (int round = 0; round < 60; ++round) {
        const auto p = round % 6 == 5 ? support::tiled_problem<float>(r) : support::random_problem<float>(r);
        const support::inputs<float> in(p);
        const auto a = heed::attention(in.q, in.k, in.v, heed::use(w));
        const auto b = heed::attention(in.q, in.k, in.v);
        CHECK(support::same_bits(support::elements(a), support::elements(b)));
    }
}

TEST_CASE("extra memory does not grow with length") {
    std::size_t last = 0;
    for (const long n : {2000L, 4000L, 16000L}) {
        support::random r(403);
        const auto p = support::problem<float>(r, 1, 1, 1, n == 16000 ? 30 : 700, n, 8, 8);
        const support::inputs<float> in(p);
        heed::workspace w;
        (void)heed::attention(in.q, in.k, in.v, heed::use(w));
        last = w.bytes();
        CHECK(last <= 2u << 20);
    }
}

#if defined(__cpp_exceptions)
TEST_CASE("the n-th allocation fails for every n: bad_alloc, nothing leaks, the next call works") {
    const heed::thread_pool pool(3);
    for (const bool threaded : {false, true})
        for (const auto& [queries, keys] : {std::pair{100L, 200L}, {1L, 3000L}}) {
            setup s(404, queries, keys);
            long failed = 0, leaked = 0, rounds = 0;
            for (bool finished = false; !finished && rounds < 100; ++rounds) {
                const support::allocation_watch watch(rounds);
                try {
                    if (threaded)
                        heed::attention_into(s.y, s.in.q, s.in.k, s.in.v, heed::logsumexp(s.lse),
                                             heed::on(pool));
                    else
                        heed::attention_into(s.y, s.in.q, s.in.k, s.in.v, heed::logsumexp(s.lse));
                    finished = watch.count() <= rounds;
                } catch (const std::bad_alloc&) {
                    ++failed;
                }
                leaked += watch.live();
            }
            INFO(queries << " queries, threaded " << threaded << ", allocations " << rounds - 1);
            CHECK(rounds < 100);
            CHECK(failed == rounds - 1);
            CHECK(leaked == 0);
            support::check<float>(s.p, s.y, &s.lse);
        }
}
#endif

TEST_CASE("a call fits on a 64 KiB stack") {
    setup s(405, 300, 400);
    setup t(406, 1, 4000);
    struct job {
        setup *a, *b;
    } both{&s, &t};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    REQUIRE(pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
    pthread_t thread;
    const auto body = [](void* p) -> void* {
        for (setup* x : {static_cast<job*>(p)->a, static_cast<job*>(p)->b})
            heed::attention_into(x->y, x->in.q, x->in.k, x->in.v, heed::logsumexp(x->lse));
        return nullptr;
    };
    REQUIRE(pthread_create(&thread, &attributes, body, &both) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    support::check<float>(s.p, s.y, &s.lse);
    support::check<float>(t.p, t.y, &t.lse);
}
