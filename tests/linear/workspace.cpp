// SPDX-License-Identifier: MIT
// tests/linear/workspace.cpp: no allocation with a workspace, and every failing one survived (R16)
#include <pthread.h>
#include <new>

#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/linear_gradient_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

struct setup {
    linear_problem p;
    support::linear_inputs<float> in;
    support::linear_gradient_outputs<float> out;
    support::tensor<float> y, dy, state;
    setup(rule kind, long n)
        : p(make(kind, n)), in(p), out(p), y(2, 4, n, 10), dy(2, 4, n, 10), state(2, 2, 12, p.columns()) {
        dy.setConstant(0.5f), state.setZero();
    }
    static linear_problem make(rule kind, long n) {
        support::random r(3401);
        auto p = support::linear<float>(r, {2, 4, 2, n, n, 12, 10}, kind);
        p.causal = true;
        return p;
    }
    template <class... Extra>
    void forward(const Extra&... extra) {
        support::with_rule(p, in, [&](const auto&... options) {
            heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, heed::final_state(state),
                                        options..., extra...);
        });
    }
    template <class... Extra>
    void backward(const Extra&... extra) {
        support::with_rule_gradients(p, in, out, [&](const auto&... options) {
            heed::linear_attention_backward_into(out.q, out.k, out.v, dy, in.q, in.k, in.v, heed::causal,
                                                 options..., extra...);
        });
    }
    void check_forward() {
        const auto last = support::values(state);
        support::check_linear<float>(p, support::values(y), &last);
    }
};

template <class F>
long allocations(const F& f) {
    f(), f();
    const support::allocation_watch watch;
    for (int i = 0; i < 3; ++i) f();
    return watch.count();
}

}  // namespace

TEST_CASE("calls with a workspace that has grown allocate nothing") {
    const heed::thread_pool pool(2);
    const auto on_pool = heed::on(pool);
    for (const rule kind : support::all_rules)
        for (const long n : {1L, 40L, 300L}) {
            setup s(kind, n);
            heed::workspace w;
            const auto use = heed::use(w);
            const long forward = allocations([&] { s.forward(use); });
            s.check_forward();
            const long forward_threaded = allocations([&] { s.forward(use, on_pool); });
            s.check_forward();
            const long backward = allocations([&] { s.backward(use); });
            const long backward_threaded = allocations([&] { s.backward(on_pool, use); });
            INFO(support::describe(s.p));
            CHECK(forward == 0);
            CHECK(forward_threaded == 0);
            CHECK(backward == 0);
            CHECK(backward_threaded == 0);
        }
}

TEST_CASE("maps that need memory of their own take it from the workspace") {
    setup s(rule::linear, 150);
    const auto count = [&](const auto&... options) {
        heed::workspace w;
        const auto use = heed::use(w);
        const long forward =
            allocations([&] { heed::linear_attention_into(s.y, s.in.q, s.in.k, s.in.v, options..., use); });
        const long backward = allocations([&] {
            heed::linear_attention_backward_into(s.out.q, s.out.k, s.out.v, s.dy, s.in.q, s.in.k, s.in.v,
                                                 options..., use);
        });
        return forward + backward;
    };
    CHECK(count() == 0);
    CHECK(count(heed::softmax_features, heed::causal) == 0);
    CHECK(count(heed::taylor, heed::causal) == 0);
    CHECK(count(heed::favor(32, 1)) == 0);
    CHECK(count(heed::efficient) == 0);
    CHECK(count(heed::retention) == 0);
}

TEST_CASE("one workspace serves calls of any size, and its bits are those of none") {
    heed::workspace w;
    support::random r(3402);
    for (int i = 0; i < 40; ++i) {
        const auto p =
            support::linear<float>(r, support::random_linear_shape(r, i % 2 == 0, 200), rule::linear);
        const support::linear_inputs<float> in(p);
        if (i % 2 == 0)
            CHECK(support::same_bits(
                support::elements(heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::use(w))),
                support::elements(heed::linear_attention(in.q, in.k, in.v, heed::causal))));
        else
            CHECK(
                support::same_bits(support::elements(heed::linear_attention(in.q, in.k, in.v, heed::use(w))),
                                   support::elements(heed::linear_attention(in.q, in.k, in.v))));
    }
}

TEST_CASE("the forward's memory does not grow with the length of a thread's head") {
    std::size_t last = 0;
    for (const long n : {1000L, 20000L}) {
        support::random r(3403);
        const auto p = support::linear<float>(r, {1, 1, 1, n, n, 8, 8}, rule::linear);
        const support::linear_inputs<float> in(p);
        heed::workspace w;
        (void)heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::use(w));
        if (last != 0) CHECK(w.bytes() <= 2 * last);
        last = w.bytes();
    }
}

#if defined(__cpp_exceptions)
TEST_CASE("the n-th allocation fails for every n: bad_alloc, nothing leaks, the next call works") {
    const heed::thread_pool pool(3);
    for (const bool threaded : {false, true})
        for (const bool backward : {false, true})
            for (const rule kind : {rule::linear, rule::gated_features_delta}) {
                setup s(kind, 150);
                long failed = 0, leaked = 0, rounds = 0;
                for (bool finished = false; !finished && rounds < 200; ++rounds) {
                    const support::allocation_watch watch(rounds);
                    try {
                        if (backward && threaded) s.backward(heed::on(pool));
                        if (backward && !threaded) s.backward();
                        if (!backward && threaded) s.forward(heed::on(pool));
                        if (!backward && !threaded) s.forward();
                        finished = watch.count() <= rounds;
                    } catch (const std::bad_alloc&) {
                        ++failed;
                    }
                    leaked += watch.live();
                }
                INFO("threaded " << threaded << ", backward " << backward << ", allocations " << rounds - 1);
                CHECK(rounds < 200);
                CHECK(failed == rounds - 1);
                CHECK(leaked == 0);
                if (!backward) s.check_forward();
            }
}
#endif

TEST_CASE("a call fits on a 64 KiB stack") {
    setup s(rule::linear, 200), t(rule::gated_features_delta, 200);
    struct job {
        setup *a, *b;
    } both{&s, &t};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    REQUIRE(pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
    pthread_t thread;
    const auto body = [](void* x) -> void* {
        for (setup* one : {static_cast<job*>(x)->a, static_cast<job*>(x)->b}) one->forward(), one->backward();
        return nullptr;
    };
    REQUIRE(pthread_create(&thread, &attributes, body, &both) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    s.check_forward(), t.check_forward();
}
