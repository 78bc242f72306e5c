// SPDX-License-Identifier: MIT
// tests/properties/huge.cpp: tensors that reach past 2^31 elements give the bits of compact ones (R12)
//
// Every tensor of a call is spread along one axis at a time (support/spread.hpp), what is read and what is
// written, states and tables too.
#include <sys/resource.h>

#include <heed/attention.hpp>
#include <heed/cummax.hpp>
#include <heed/linear.hpp>
#include <heed/sparse.hpp>
#include <heed/state.hpp>

#include "support/check.hpp"
#include "support/random.hpp"
#include "support/spread.hpp"

namespace {

using support::spread;
using tensor = support::tensor<float>;
using extents = std::array<long, 4>;

tensor numbers(support::random& r, const extents& e) {
    tensor t(e[0], e[1], e[2], e[3]);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = static_cast<float>(r.normal());
    return t;
}

template <class A, class B>
bool same(const A& spread_out, const B& compact) {
    return support::same_bits(support::elements(support::gathered(spread_out)), support::elements(compact));
}

// f(spread) for each of the four axes.
template <class F>
void for_axes(const F& f) {
    for (std::size_t axis = 0; axis < 4; ++axis) {
        INFO("spread along axis " << axis);
        spread s(axis);
        f(s);
    }
}

constexpr long B = 2, H = 4, G = 2, D = 6, W = 5;

struct shape {
    long queries, keys;
};
constexpr shape shapes[] = {{2, 9}, {2, 700}, {70, 300}};  // small, row by row, tiles

}  // namespace

TEST_CASE("exact attention, its masks, biases and weights, and the way back") {
    support::random r(1201);
    for (const auto& [queries, keys] : shapes) {
        INFO(queries << " queries, " << keys << " keys");
        const tensor q = numbers(r, {B, H, queries, D}), k = numbers(r, {B, G, keys, D}),
                     v = numbers(r, {B, G, keys, W}), dy = numbers(r, {B, H, queries, W}),
                     bias = numbers(r, {B, H, queries, keys});
        support::tensor<bool> mask(B, H, queries, keys);
        for (long i = 0; i < mask.size(); ++i) mask.data()[i] = r.chance(0.8);
        tensor weights(B, H, queries, keys), dbias(bias);
        support::tensor<float, 3> lse(B, H, queries), spread_lse(lse);
        const tensor y = heed::attention(q, k, v, heed::mask(mask), heed::bias(bias), heed::weights(weights),
                                         heed::logsumexp(lse));
        const auto g = heed::attention_backward(dy, q, k, v, y, lse, heed::mask(mask), heed::bias(bias),
                                                heed::bias_gradient(dbias));
        for_axes([&, queries = queries, keys = keys](spread& s) {
            const auto sq = s.of(q), sk = s.of(k), sv = s.of(v), sb = s.of(bias);
            const auto sm = s.of(mask);
            const auto sy = s.zeros<float>({B, H, queries, W}), sw = s.zeros<float>({B, H, queries, keys});
            heed::attention_into(sy, sq, sk, sv, heed::mask(sm), heed::bias(sb), heed::weights(sw),
                                 heed::logsumexp(spread_lse));
            CHECK(same(sy, y));
            CHECK(same(sw, weights));
            CHECK(support::same_bits(support::elements(spread_lse), support::elements(lse)));
            const auto dq = s.zeros<float>({B, H, queries, D}), dk = s.zeros<float>({B, G, keys, D}),
                       dv = s.zeros<float>({B, G, keys, W}), db = s.zeros<float>({B, H, queries, keys});
            heed::attention_backward_into(dq, dk, dv, s.of(dy), sq, sk, sv, sy, lse, heed::mask(sm),
                                          heed::bias(sb), heed::bias_gradient(db));
            CHECK(same(dq, g.q));
            CHECK(same(dk, g.k));
            CHECK(same(dv, g.v));
            CHECK(same(db, dbias));
        });
    }
}

TEST_CASE("selected keys, native sparse attention, states") {
    support::random r(1202);
    const long queries = 40, keys = 90;
    const tensor q = numbers(r, {B, H, queries, D}), k = numbers(r, {B, G, keys, D}),
                 v = numbers(r, {B, G, keys, W}), gates = numbers(r, {B, H, queries, 3});
    const tensor best = heed::attention(q, k, v, heed::top_k(7)),
                 native = heed::native_sparse_attention(q, k, v, gates), all = heed::attention(q, k, v);
    heed::softmax_state<float> state(B, H, queries, W);
    state.absorb(q, k, v);
    tensor finished(B, H, queries, W);
    state.finish_into(finished);
    for_axes([&](spread& s) {
        const auto sq = s.of(q), sk = s.of(k), sv = s.of(v);
        const auto y = s.zeros<float>({B, H, queries, W});
        heed::attention_into(y, sq, sk, sv, heed::top_k(7));
        CHECK(same(y, best));
        heed::native_sparse_attention_into(y, sq, sk, sv, s.of(gates));
        CHECK(same(y, native));
        heed::softmax_state<float> far(B, H, queries, W);
        far.absorb(sq, sk, sv);
        far.finish_into(y);
        CHECK(same(y, finished));
    });
}

TEST_CASE("linear attention, its states and the way back") {
    support::random r(1203);
    const long n = 150;
    const tensor q = numbers(r, {B, H, n, D}), k = numbers(r, {B, G, n, D}), v = numbers(r, {B, G, n, W}),
                 dy = numbers(r, {B, H, n, W}), first = numbers(r, {B, G, D, W});
    tensor decay = numbers(r, {B, G, n, D});
    for (long i = 0; i < decay.size(); ++i) decay.data()[i] = -std::fabs(decay.data()[i]);
    tensor last(B, G, D, W), dfirst(last), ddecay(decay);
    const tensor y = heed::linear_attention(q, k, v, heed::causal, heed::decay(decay),
                                            heed::initial_state(first), heed::final_state(last));
    const auto g = heed::linear_attention_backward(dy, q, k, v, heed::causal, heed::decay(decay),
                                                   heed::initial_state(first), heed::decay_gradient(ddecay),
                                                   heed::initial_state_gradient(dfirst));
    for_axes([&](spread& s) {
        const auto sq = s.of(q), sk = s.of(k), sv = s.of(v), sg = s.of(decay), sf = s.of(first);
        const auto sy = s.zeros<float>({B, H, n, W}), sl = s.zeros<float>({B, G, D, W});
        heed::linear_attention_into(sy, sq, sk, sv, heed::causal, heed::decay(sg), heed::initial_state(sf),
                                    heed::final_state(sl));
        CHECK(same(sy, y));
        CHECK(same(sl, last));
        const auto state = s.of(first);
        heed::linear_attention_into(sy, sq, sk, sv, heed::causal, heed::decay(sg), heed::state(state));
        CHECK(same(sy, y));
        CHECK(same(state, last));
        const auto dq = s.zeros<float>({B, H, n, D}), dk = s.zeros<float>({B, G, n, D}),
                   dv = s.zeros<float>({B, G, n, W}), df = s.zeros<float>({B, G, D, W}),
                   dg = s.zeros<float>({B, G, n, D});
        heed::linear_attention_backward_into(dq, dk, dv, s.of(dy), sq, sk, sv, heed::causal, heed::decay(sg),
                                             heed::initial_state(sf), heed::decay_gradient(dg),
                                             heed::initial_state_gradient(df));
        CHECK(same(dq, g.q));
        CHECK(same(dk, g.k));
        CHECK(same(dv, g.v));
        CHECK(same(df, dfirst));
        CHECK(same(dg, ddecay));
    });
}

TEST_CASE("cummax attention, scans and the way back") {
    support::random r(1204);
    const extents e{B, H, 60, D};
    const tensor o = numbers(r, e), a1 = numbers(r, e), a2 = numbers(r, e), dy = numbers(r, e),
                 first = numbers(r, {B, H, 1, D});
    tensor last(B, H, 1, D);
    const tensor y = heed::cummax_attention(o, a1, a2, heed::initial_state(first), heed::final_state(last));
    const auto g = heed::cummax_attention_backward(dy, o, a1, a2, heed::initial_state(first));
    const tensor scan = heed::cummax(o, heed::along::position),
                 across = heed::cummax(o, heed::along::feature);
    for_axes([&](spread& s) {
        const auto so = s.of(o), s1 = s.of(a1), s2 = s.of(a2), sf = s.of(first);
        const auto sy = s.zeros<float>(e), sl = s.zeros<float>({B, H, 1, D});
        heed::cummax_attention_into(sy, so, s1, s2, heed::initial_state(sf), heed::final_state(sl));
        CHECK(same(sy, y));
        CHECK(same(sl, last));
        heed::cummax_into(sy, so, heed::along::position);
        CHECK(same(sy, scan));
        heed::cummax_into(sy, so, heed::along::feature);
        CHECK(same(sy, across));
        const auto d = s.zeros<float>(e), d1 = s.zeros<float>(e), d2 = s.zeros<float>(e);
        heed::cummax_attention_backward_into(d, d1, d2, s.of(dy), so, s1, s2, heed::initial_state(sf));
        CHECK(same(d, g.o));
        CHECK(same(d1, g.a1));
        CHECK(same(d2, g.a2));
    });
}

// The last case, so that it looks back on the others.
TEST_CASE("all of it stays under 512 MB") {
    rusage usage{};
    REQUIRE(::getrusage(RUSAGE_SELF, &usage) == 0);
#if defined(__APPLE__)
    const double megabytes = static_cast<double>(usage.ru_maxrss) / (1 << 20);
#else
    const double megabytes = static_cast<double>(usage.ru_maxrss) / 1024;
#endif
    CHECK(megabytes < 512);
}
