// SPDX-License-Identifier: MIT
// tests/cummax/stream.cpp: states, splits, threads and layouts change no bit (R7, R24)
#include <heed/state.hpp>
#include <heed/thread_pool.hpp>

#include "support/cummax_problem.hpp"
#include "support/traps.hpp"

namespace {

using cummax_reference::shape;
using tensor = support::tensor<float>;

struct setting {
    cummax_reference::problem<float> p;
    support::cummax_inputs<float> in;
    setting(support::random& r, const shape& s, bool across, bool special = true)
        : p(support::cummax_problem<float>::random<float>(r, s, across, special)), in(p) {}
};

shape random_shape(support::random& r, long most_positions) {
    return {r.between(1, 2), r.skewed(1, 9), r.skewed(1, most_positions), r.skewed(1, 70)};
}

// The whole with these options, heads across or apart.
template <class... Options>
tensor solve(const setting& x, const Options&... options) {
    return x.p.across ? heed::cummax_attention(x.in.o, x.in.a1, x.in.a2, options...)
                      : heed::cummax_attention(x.in.o, x.in.a1, x.in.a2, heed::heads_apart, options...);
}

}  // namespace

TEST_CASE("a stream cut anywhere gives the bits of one call, and the same state") {
    const heed_test::without_traps quiet;
    support::random r(31);
    for (int round = 0; round < 60; ++round) {
        const shape s = random_shape(r, 200);
        const setting x(r, s, r.chance(0.5));
        tensor state(s.batch, s.heads, 1, s.features), last(state), y(x.in.o);
        state.setConstant(-HUGE_VALF);
        const tensor whole = solve(x, heed::final_state(last));
        for (long first = 0; first < s.positions;) {
            const long count = r.chance(0.3) ? 1 : r.between(0, s.positions - first);
            const auto part = [&](auto& t) { return heed::as_view(t).slice_positions(first, count); };
            if (x.p.across)
                heed::cummax_attention_into(part(y), part(x.in.o), part(x.in.a1), part(x.in.a2),
                                            heed::state(state), heed::along::automatic);
            else
                heed::cummax_attention_into(part(y), part(x.in.o), part(x.in.a1), part(x.in.a2),
                                            heed::heads_apart, heed::state(state));
            first += count;
        }
        INFO(support::describe(s));
        CHECK(support::same_tensors(y, whole));
        CHECK(support::same_tensors(state, last));
        CHECK(support::same_numbers(support::elements(last), cummax_reference::maxima_of(x.p).state));
    }
}

TEST_CASE("several tokens with a state do not look ahead") {
    const heed_test::without_traps quiet;
    support::random r(32);
    const shape s{1, 3, 40, 9};
    setting x(r, s, true, false);
    x.p.state = cummax_reference::numbers<float>(s.states(), 0.5f);
    const auto state = support::cummax_tensor<float>(x.p.state, s, 1);
    CHECK(support::same_numbers(support::elements(solve(x, heed::initial_state(state))),
                                cummax_reference::forward(x.p)));
}

TEST_CASE("any number of threads gives the bits of none") {
    const heed_test::without_traps quiet;
    support::random r(33);
    for (int round = 0; round < 25; ++round) {
        const shape s{r.between(1, 2), r.between(1, 4), r.skewed(1, 6000), r.skewed(1, 40)};
        const setting x(r, s, r.chance(0.5));
        tensor last(s.batch, s.heads, 1, s.features), threaded_last(last);
        const tensor alone = solve(x, heed::final_state(last));
        for (const int threads : {2, 3, 8, 64}) {
            const heed::thread_pool pool(threads);
            INFO(support::describe(s) << ", " << threads << " threads");
            CHECK(support::same_tensors(solve(x, heed::on(pool), heed::final_state(threaded_last)), alone));
            CHECK(support::same_tensors(last, threaded_last));
        }
    }
}

TEST_CASE("many links in many hands: every turn comes once") {
    const heed_test::without_traps quiet;
    support::random r(40);
    const setting x(r, {1, 1, 300'000, 8}, true);
    const tensor alone = solve(x);
    const heed::thread_pool pool(2);
    for (int run = 0; run < 20; ++run) CHECK(support::same_tensors(solve(x, heed::on(pool)), alone));
}

TEST_CASE("hybrid: near the oracle, and the same bits for any split and number of threads") {
    const heed_test::without_traps quiet;
    support::random r(34);
    for (int round = 0; round < 25; ++round) {
        const shape s = random_shape(r, 300);
        setting x(r, s, true, false);
        x.p.hybrid = true;
        x.p.alpha = support::normals<float>(r, static_cast<std::size_t>(s.heads));
        const std::vector<float> alpha(x.p.alpha.begin(), x.p.alpha.end());
        const tensor y = heed::cummax_attention(x.in.o, x.in.a1, x.in.a2, heed::hybrid(alpha));
        const auto want = cummax_reference::forward(support::in_double(x.p));
        INFO(support::describe(s));
        CHECK(support::max_error(support::values(y), want) <= 4e-6 * std::fmax(1.0, support::max_abs(want)));
        const heed::thread_pool pool(3);
        CHECK(support::same_tensors(
            y, heed::cummax_attention(x.in.o, x.in.a1, x.in.a2, heed::hybrid(alpha), heed::on(pool))));
        tensor parts(y), state(s.batch, s.heads, 1, s.features);
        state.setConstant(-HUGE_VALF);
        const long middle = r.between(0, s.positions);
        for (const auto& [first, count] : {std::pair{0L, middle}, {middle, s.positions - middle}}) {
            const auto part = [&, from = first, n = count](auto& t) {
                return heed::as_view(t).slice_positions(from, n);
            };
            heed::cummax_attention_into(part(parts), part(x.in.o), part(x.in.a1), part(x.in.a2),
                                        heed::hybrid(alpha), heed::state(state));
        }
        CHECK(support::same_tensors(y, parts));
        // All of the maximum is the plain call but for one rounding; nothing seen is a softmax of 0.
        CHECK(support::max_error(
                  support::values(heed::cummax_attention(x.in.o, x.in.a1, x.in.a2, heed::hybrid(1))),
                  support::values(solve(x))) == 0);
    }
}

TEST_CASE("a million positions drift by nothing") {
    const heed_test::without_traps quiet;
    const long steps = 1'000'000;
    heed::cummax_state<float> state(1, 2, 8);
    support::random r(35);
    tensor o(1, 2, 1000, 8);
    std::vector<float> most(16, -HUGE_VALF);
    for (long done = 0; done < steps; done += 1000) {
        for (long i = 0; i < o.size(); ++i) {
            const auto bits = static_cast<double>(r.bits() >> 11) * 0x1p-53;
            o.data()[i] = static_cast<float>(bits);
            float& m = most[static_cast<std::size_t>(i / 8000 * 8 + i % 8)];
            m = std::fmax(m, o.data()[i]);
        }
        state.absorb(o);
    }
    CHECK(support::same_bits(support::elements(state.maxima()), most));
}

TEST_CASE("y may be o, a1 or a2 itself") {
    const heed_test::without_traps quiet;
    support::random r(36);
    const heed::thread_pool pool(3);
    for (int round = 0; round < 12; ++round) {
        const shape s = random_shape(r, 1500);
        const setting x(r, s, r.chance(0.5));
        const tensor want = solve(x);
        for (int which = 0; which < 3; ++which) {
            setting copy(x);
            tensor& y = which == 0 ? copy.in.o : which == 1 ? copy.in.a1 : copy.in.a2;
            if (x.p.across)
                heed::cummax_attention_into(y, copy.in.o, copy.in.a1, copy.in.a2, heed::on(pool));
            else
                heed::cummax_attention_into(y, copy.in.o, copy.in.a1, copy.in.a2, heed::heads_apart);
            CHECK(support::same_tensors(y, want));
        }
    }
}

TEST_CASE("any layout: one fused buffer, other orders of axes, positions across") {
    const heed_test::without_traps quiet;
    support::random r(37);
    for (int round = 0; round < 12; ++round) {
        const shape s{r.between(1, 2), r.between(1, 4), r.between(1, 60), r.between(1, 20)};
        const setting x(r, s, true);
        const tensor want = solve(x);
        // (batch, position, 3 * heads * feature), the output over the o part
        const long width = s.heads * s.features;
        support::tensor<float, 3> fused(s.batch, s.positions, 3 * width);
        const auto part = [&](long i) {
            return heed::split_heads(fused, 3 * s.heads).slice_heads(i * s.heads, s.heads);
        };
        for (long b = 0; b < s.batch; ++b)
            for (long h = 0; h < s.heads; ++h)
                for (long t = 0; t < s.positions; ++t)
                    for (long f = 0; f < s.features; ++f) {
                        part(0)(b, h, t, f) = x.in.o(b, h, t, f);
                        part(1)(b, h, t, f) = x.in.a1(b, h, t, f);
                        part(2)(b, h, t, f) = x.in.a2(b, h, t, f);
                    }
        tensor crossed(s.batch, s.heads, s.features, s.positions);
        heed::cummax_attention_into(heed::transposed(heed::as_view(crossed)), part(0), part(1), part(2));
        heed::cummax_attention_into(part(0), part(0), part(1), part(2));
        std::vector<float> a, b_, c;
        for (long b = 0; b < s.batch; ++b)
            for (long h = 0; h < s.heads; ++h)
                for (long t = 0; t < s.positions; ++t)
                    for (long f = 0; f < s.features; ++f) {
                        a.push_back(want(b, h, t, f));
                        b_.push_back(crossed(b, h, f, t));
                        c.push_back(part(0)(b, h, t, f));
                    }
        CHECK(support::same_numbers(a, b_));
        CHECK(support::same_numbers(a, c));
    }
}

TEST_CASE("along features and heads: cummax first, then the rest") {
    const heed_test::without_traps quiet;
    support::random r(38);
    for (int round = 0; round < 12; ++round) {
        const shape s{r.between(1, 2), r.between(1, 4), r.between(1, 40), r.between(1, 30)};
        setting x(r, s, true);
        const tensor e = heed::cummax(x.in.o, heed::along::feature);
        const tensor p = heed::cummax(e, heed::along::head);
        const tensor got = heed::cummax_attention(x.in.o, x.in.a1, x.in.a2, heed::along::feature);
        const tensor q = heed::cummax(x.in.o, heed::along::head);
        const tensor heads = heed::cummax_attention(x.in.o, x.in.a1, x.in.a2, heed::along::head);
        std::vector<float> want, want_heads;
        for (long i = 0; i < p.size(); ++i) {
            const auto output = [&](float m) {
                using cummax_reference::rounded;
                return rounded(rounded(rounded(m + x.in.a1.data()[i]) * x.in.a2.data()[i]) +
                               x.in.a1.data()[i]);
            };
            want.push_back(output(p.data()[i]));
            want_heads.push_back(output(q.data()[i]));
        }
        CHECK(support::same_numbers(support::elements(got), want));
        CHECK(support::same_numbers(support::elements(heads), want_heads));
    }
}

TEST_CASE("poison reaches its own channel from its position on, and the heads behind") {
    const heed_test::without_traps quiet;
    support::random r(39);
    for (int round = 0; round < 200; ++round) {
        const shape s{r.between(1, 2), r.between(1, 4), r.between(1, 90), r.between(1, 20)};
        setting x(r, s, true, false);
        const tensor clean = solve(x);
        const long b = r.between(0, s.batch - 1), h = r.between(0, s.heads - 1),
                   t = r.between(0, s.positions - 1), f = r.between(0, s.features - 1);
        x.in.o(b, h, t, f) = std::numeric_limits<float>::quiet_NaN();
        const tensor got = solve(x);
        long wrong = 0;
        for (long i = 0; i < s.batch; ++i)
            for (long j = 0; j < s.heads; ++j)
                for (long k = 0; k < s.positions; ++k)
                    for (long l = 0; l < s.features; ++l) {
                        const bool reached = i == b && j >= h && k >= t && l == f;
                        const float x0 = got(i, j, k, l), y0 = clean(i, j, k, l);
                        wrong += reached ? !std::isnan(x0) : !support::same_bits(&x0, &y0, 1);
                    }
        CHECK(wrong == 0);
    }
}

TEST_CASE("no positions, no heads, no features, no batch") {
    const heed_test::without_traps quiet;
    for (const shape s : {shape{2, 3, 0, 5}, {2, 0, 4, 5}, {0, 3, 4, 5}, {2, 3, 4, 0}}) {
        tensor o(s.batch, s.heads, s.positions, s.features), state(s.batch, s.heads, 1, s.features),
            last(state);
        state.setConstant(3), last.setConstant(7);
        const tensor y = heed::cummax_attention(o, o, o, heed::initial_state(state), heed::final_state(last));
        CHECK(y.size() == 0);
        if (s.positions == 0) CHECK(support::same_tensors(last, state));
        tensor first(state);
        (void)heed::cummax_attention_backward(o, o, o, o, heed::final_state_gradient(state),
                                              heed::initial_state_gradient(first));
        CHECK(support::same_tensors(first, state));
        CHECK(heed::cummax(o).size() == 0);
        CHECK(heed::cummax_with_index(o, heed::along::feature).indices.size() == 0);
        CHECK(heed::cummax_backward(o, o, heed::along::head).size() == 0);
        tensor alpha_gradient(1, 1, 1, 1);
        (void)heed::cummax_attention_backward(o, o, o, o, heed::hybrid(0.5),
                                              heed::hybrid_gradient(alpha_gradient));
    }
}
