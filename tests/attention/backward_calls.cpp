// SPDX-License-Identifier: MIT
// tests/attention/backward_calls.cpp: what a call of the backward allocates, refuses, and lets through
#include <functional>
#include <new>

#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/attention_gradient_call.hpp"

namespace {

struct fixture {
    reference::problem p;
    support::tensor<float> bias;
    support::backward_inputs<float> in;
    support::gradient_outputs<float> out;
    support::tensor<float> dbias;
    support::tensor<float, 1> slopes;

    fixture(long queries, long keys, support::random r = support::random(3191))
        : p(support::problem<float>(r, 2, 4, 2, queries, keys, 10, 6)),
          bias(1, 4, queries, keys),
          in((bias.setConstant(0.1f), p), r, heed::causal, heed::bias(bias), heed::alibi()),
          out(p),
          dbias(bias.dimensions()),
          slopes(4) {
        dbias.setConstant(-77), slopes.setConstant(-77);
    }
    template <class... Options>
    void run(const Options&... options) {
        heed::attention_backward_into(out.q, out.k, out.v, in.dy, in.q, in.k, in.v, in.y, in.lse,
                                      heed::causal, heed::bias(bias), heed::alibi(),
                                      heed::bias_gradient(dbias), heed::slopes_gradient(slopes), options...);
    }
    bool untouched() const {
        const auto kept = [](const auto& t) {
            for (float x : support::elements(t))
                if (x != -77) return false;
            return true;
        };
        return kept(out.q) && kept(out.k) && kept(out.v) && kept(dbias) && kept(slopes);
    }
};

}  // namespace

TEST_CASE("calls with a workspace that has grown allocate nothing, and have the bits of those without") {
    const heed::thread_pool pool(2);
    for (const auto& [queries, keys] : {std::pair{200L, 300L}, {9L, 9L}, {1L, 500L}}) {
        fixture a(queries, keys), b(queries, keys), c(queries, keys);
        heed::workspace alone, threaded;
        const auto on_pool = heed::on(pool);
        const auto with_alone = heed::use(alone), with_threaded = heed::use(threaded);
        a.run(with_alone), b.run(with_threaded, on_pool), c.run();
        long counted = 0;
        {
            const support::allocation_watch watch;
            for (int i = 0; i < 3; ++i) a.run(with_alone), b.run(with_threaded, on_pool);
            counted = watch.count();
        }
        INFO(queries << " queries, " << keys << " keys");
        CHECK(counted == 0);
        CHECK(a.out == c.out);
        CHECK(b.out == c.out);
    }
}

TEST_CASE("extra memory is that of the gradients, not of the scores") {
    support::random r(3192);
    for (const long n : {500L, 2000L}) {
        const auto p = support::problem<float>(r, 1, 1, 1, n, n, 8, 8);
        const support::backward_inputs<float> in(p, r);
        heed::workspace w;
        (void)in.gradients(p, heed::use(w));
        // Rows of dq in packs of up to 16 features, three numbers a row, and the tiles.
        CHECK(w.bytes() <= static_cast<std::size_t>(n) * 4 * (16 + 3) + (300u << 10));
    }
}

TEST_CASE("memory that another call has left behind changes no bit, beyond a group of keys or queries too") {
    support::random r(3193);
    for (const auto& [queries, keys] : {std::pair{3L, 9000L}, {9000L, 3L}, {130L, 140L}}) {
        const auto p = support::problem<float>(r, 1, 2, 1, queries, keys, 3, 3);
        const support::backward_inputs<float> in(p, r);
        heed::workspace w;
        const auto first = in.gradients(p, heed::use(w));
        CHECK(in.gradients(p, heed::use(w)) == first);
        CHECK(in.gradients(p) == first);
    }
}

#if defined(__cpp_exceptions)

TEST_CASE("the n-th allocation fails for every n: bad_alloc, nothing leaks, the next call works") {
    const heed::thread_pool pool(3);
    fixture f(100, 200);
    long failed = 0, leaked = 0, rounds = 0;
    for (bool finished = false; !finished && rounds < 100; ++rounds) {
        const support::allocation_watch watch(rounds);
        try {
            f.run(heed::on(pool));
            finished = watch.count() <= rounds;
        } catch (const std::bad_alloc&) {
            ++failed;
        }
        leaked += watch.live();
    }
    CHECK(rounds < 100);
    CHECK(failed == rounds - 1);
    CHECK(leaked == 0);
    fixture again(100, 200);
    again.run();
    CHECK(f.out == again.out);
}

TEST_CASE("a callable's exception reaches the caller from any thread") {
    support::random r(3193);
    const auto p = support::problem<float>(r, 1, 2, 1, 200, 700, 4, 4);
    const support::backward_inputs<float> in(p, r);
    struct thrown {};
    for (const int threads : {1, 2, 4})
        for (const int bad : {3, 350, 699}) {
            const heed::thread_pool pool(threads);
            support::gradient_outputs<float> out(p);
            const auto fails = heed::mask_if([bad](heed::at i) {
                if (i.key == bad && i.query == 150) throw thrown();
                return true;
            });
            INFO(threads << " threads, key " << bad);
            CHECK_THROWS_AS(heed::attention_backward_into(out.q, out.k, out.v, in.dy, in.q, in.k, in.v, in.y,
                                                          in.lse, fails, heed::on(pool)),
                            thrown);
        }
}

TEST_CASE("sums over no batch entries, heads, queries or keys are written, as zeros") {
    const heed::thread_pool pool(2);
    for (int axis = 0; axis < 5; ++axis) {
        const long batch = axis == 0 ? 0 : 2, kv_heads = axis == 1 ? 0 : 2, heads = 2 * kv_heads;
        const long queries = axis == 2 ? 0 : 5, keys = axis == 3 ? 0 : 7;
        support::tensor<float> q(batch, heads, queries, 3), dq(q.dimensions());
        support::tensor<float> k(batch, kv_heads, keys, 3), dk(k.dimensions()), dv(k.dimensions());
        support::tensor<float> y(q.dimensions()), bias(1, axis == 1 ? 1 : heads, queries, keys);
        support::tensor<float, 3> lse(batch, heads, queries);
        support::tensor<float, 2> wide(1, keys), tall(queries, 1);
        support::tensor<float, 1> slopes(heads), sinks(heads), dslopes(heads), dsinks(heads);
        support::tensor<float> dbias(bias.dimensions());
        support::tensor<float, 2> dwide(wide.dimensions()), dtall(tall.dimensions());
        for (auto* x : {&q, &k, &y, &bias}) x->setConstant(0.5f);
        for (auto* x : {&dq, &dk, &dv, &dbias}) x->setConstant(-77);
        lse.setConstant(axis == 3 ? -HUGE_VALF : 1), wide.setZero(), tall.setZero();
        slopes.setConstant(0.25f), sinks.setZero();
        for (auto* x : {&dslopes, &dsinks}) x->setConstant(-77);
        for (auto* x : {&dwide, &dtall}) x->setConstant(-77);
        const auto run = [&](const auto&... options) {
            heed::attention_backward_into(dq, dk, dv, y, q, k, k, y, lse, options...);
        };
        run(heed::bias(bias), heed::bias_gradient(dbias), heed::alibi(slopes), heed::slopes_gradient(dslopes),
            heed::sinks(sinks), heed::sinks_gradient(dsinks), heed::on(pool));
        run(heed::bias(wide), heed::bias_gradient(dwide), heed::causal);
        run(heed::bias(tall), heed::bias_gradient(dtall));
        long wrong = 0;
        const auto look = [&](const auto& x, bool zero) {
            for (const float e : support::elements(x)) wrong += zero ? e != 0 : e == -77;
        };
        INFO("axis " << axis);
        const bool none = axis < 4;
        look(dq, none), look(dk, none), look(dv, none), look(dbias, none), look(dwide, none);
        look(dtall, none), look(dslopes, none), look(dsinks, none && axis != 3);
        CHECK(wrong == 0);
    }
}

namespace {

std::string text_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const heed::error& e) {
        return e.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("arguments that do not fit: the text, and nothing was written") {
    fixture f(5, 7);
    auto& in = f.in;
    auto& out = f.out;
    const auto fails = [&](const std::function<void()>& call, const std::vector<std::string>& words) {
        const std::string text = text_of(call);
        for (const std::string& word : words) {
            INFO("'" << text << "' should say '" << word << "'");
            CHECK(text.find(word) != std::string::npos);
        }
        CHECK(f.untouched());
    };
    const auto call = [&](auto&& dq, auto&& dk, auto&& dv, const auto& dy, const auto& y, const auto& lse,
                          const auto&... options) {
        heed::attention_backward_into(dq, dk, dv, dy, in.q, in.k, in.v, y, lse, options...);
    };
    support::tensor<float> wrong(2, 4, 6, 6), wide(2, 4, 5, 7), few(2, 2, 5, 10);
    support::tensor<float, 3> rows(2, 4, 6);
    wrong.setZero(), wide.setZero(), few.setZero(), rows.setZero();
    const std::string name = "heed::attention_backward_into: ";
    fails([&] { call(out.q, out.k, out.v, wrong, in.y, in.lse); }, {name, "dy has 6 positions", "has 5"});
    fails([&] { call(out.q, out.k, out.v, in.dy, wide, in.lse); }, {name, "y has 7 features", "has 6"});
    fails([&] { call(few, out.k, out.v, in.dy, in.y, in.lse); }, {name, "dq has 2 heads", "q has 4"});
    fails([&] { call(out.q, few, out.v, in.dy, in.y, in.lse); }, {name, "dk has 5 positions", "k has 7"});
    fails([&] { call(out.q, out.k, few, in.dy, in.y, in.lse); }, {name, "dv has 5 positions", "v has 7"});
    fails([&] { call(out.q, out.k, out.v, in.dy, in.y, rows); },
          {name, "lse is (1, 2, 4, 6), needs (1, 2, 4, 5)"});
    fails([&] { call(out.q, out.k, out.k, in.dy, in.y, in.lse); }, {name, "dv has 10 features"});
    fails([&] { call(in.q, out.k, out.v, in.dy, in.y, in.lse); }, {name, "dq overlaps q"});
    fails([&] { call(out.q, out.k, in.v, in.dy, in.y, in.lse); }, {name, "dv overlaps v"});
    fails([&] { call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::scale(HUGE_VAL)); },
          {name, "scale is inf"});
    fails([&] { call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::dropout(1.5, 3)); },
          {name, "dropout is 1.5"});
    fails([&] { call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::softcap(-1)); },
          {name, "softcap is -1"});
    fails([&] { call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::bias(rows)); },
          {name, "bias has 2 heads"});
    fails(
        [&] {
            call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::bias(f.bias), heed::bias_gradient(rows));
        },
        {name, "the bias's gradient is (1, 2, 4, 6), needs (1, 4, 5, 7)"});
    fails(
        [&] {
            call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::bias(f.bias), heed::bias_gradient(f.bias));
        },
        {name, "the bias's gradient overlaps bias"});
    support::tensor<float, 1> three(3);
    fails(
        [&] { call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::alibi(), heed::slopes_gradient(three)); },
        {name, "the slopes' gradient is (1, 1, 1, 3), needs (1, 1, 1, 4)"});
    std::vector<float> sinks(4);
    fails(
        [&] {
            call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::sinks(sinks), heed::sinks_gradient(three));
        },
        {name, "the sinks' gradient is (1, 1, 1, 3), needs (1, 1, 1, 4)"});
    support::tensor<float, 3> flow(2, 4, 6);
    flow.setZero();
    fails([&] { call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::logsumexp_gradient(flow)); },
          {name, "the gradient of the log-sum-exp is (1, 2, 4, 6), needs (1, 2, 4, 5)"});
    const heed::view<const float> shared{out.q.data(), {1, 2, 4, 5}, {0, 200, 50, 10}};
    fails([&] { call(out.q, out.k, out.v, in.dy, in.y, in.lse, heed::logsumexp_gradient(shared)); },
          {name, "dq overlaps the gradient of the log-sum-exp"});
    fails([&] { (void)heed::attention_backward(wrong, in.q, in.k, in.v, in.y, in.lse); },
          {"heed::attention_backward: dy has 6 positions"});
}

#endif
