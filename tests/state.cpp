// SPDX-License-Identifier: MIT
// tests/state.cpp: the laws of a mergeable state: identity, any order, any split
//
// Keys are cut into random parts, each part absorbed by a state of its own or by a common one, and
// the states merged in random order. The result is attention over all keys within the error that
// one merge may add (R3 once more for each part).
#include <heed/state.hpp>

#include "support/call.hpp"
#include "support/traps.hpp"

namespace {

constexpr long features = 9;

struct cut {
    std::vector<long> ends;  // of the parts; some parts are empty
};

cut random_cut(support::random& r, long keys) {
    cut c;
    for (long n = r.between(1, 5); n > 1; --n) c.ends.push_back(r.between(0, keys));
    std::sort(c.ends.begin(), c.ends.end());
    c.ends.push_back(keys);
    return c;
}

reference::problem sample(support::random& r) {
    const long kv = r.between(1, 2);
    return support::problem<float>(r, r.between(1, 2), kv * r.between(1, 3), kv, r.skewed(1, 20),
                                   r.skewed(1, 300), features, features);
}

heed::softmax_state<float> empty_state(const reference::problem& p) {
    return {p.batch, p.heads, p.queries, p.d_v};
}

// One part of the keys: views, so nothing is copied.
void absorb(heed::softmax_state<float>& s, const support::inputs<float>& in, long first, long last) {
    s.absorb(in.q, heed::as_view(in.k).slice_positions(first, last - first),
             heed::as_view(in.v).slice_positions(first, last - first));
}

void check(const reference::problem& p, const heed::softmax_state<float>& s, double parts) {
    const auto want = reference::solve<double>(p);
    support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
    s.finish_into(y);
    INFO(support::describe(p) << ", " << parts << " parts");
    CHECK(support::excess<float>(p, want, support::values(y)) <= 1 + parts);
    CHECK(support::excess_lse<float>(p, want, support::values(s.logsumexp())) <= 1 + parts);
}

bool same(const heed::softmax_state<float>& a, const heed::softmax_state<float>& b) {
    return support::same_bits(support::elements(a.output()), support::elements(b.output())) &&
           support::same_bits(support::elements(a.logsumexp()), support::elements(b.logsumexp()));
}

}  // namespace

TEST_CASE("one state absorbs any split of the keys") {
    support::random r(901);
    for (int round = 0; round < 60; ++round) {
        const auto p = sample(r);
        const support::inputs<float> in(p);
        const cut c = random_cut(r, p.keys);
        auto s = empty_state(p);
        long first = 0;
        for (const long last : c.ends) absorb(s, in, first, last), first = last;
        check(p, s, static_cast<double>(c.ends.size()));
    }
}

TEST_CASE("states merge in any order and any tree") {
    support::random r(902);
    for (int round = 0; round < 60; ++round) {
        const auto p = sample(r);
        const support::inputs<float> in(p);
        const cut c = random_cut(r, p.keys);
        std::vector<heed::softmax_state<float>> states;
        long first = 0;
        for (const long last : c.ends) {
            states.push_back(empty_state(p));
            absorb(states.back(), in, first, last);
            first = last;
        }
        while (states.size() > 1) {
            const auto i = static_cast<std::size_t>(r.between(0, static_cast<long>(states.size()) - 1));
            auto taken = states[i];
            states.erase(states.begin() + static_cast<long>(i));
            const auto j = static_cast<std::size_t>(r.between(0, static_cast<long>(states.size()) - 1));
            states[j].merge(taken);
        }
        check(p, states[0], static_cast<double>(c.ends.size()));
    }
}

TEST_CASE("the empty state is the identity, to the bit, on both sides") {
    support::random r(903);
    const auto p = sample(r);
    const support::inputs<float> in(p);
    auto s = empty_state(p), t = empty_state(p);
    absorb(s, in, 0, p.keys);
    const auto before = s;
    s.merge(empty_state(p));
    CHECK(same(s, before));
    t.merge(before);
    CHECK(same(t, before));
    t.absorb(in.q, in.k, in.v, heed::prefix(0));
    CHECK(same(t, before));
    auto nothing = empty_state(p);
    nothing.merge(empty_state(p));
    CHECK(same(nothing, empty_state(p)));
    t.reset();
    CHECK(same(t, empty_state(p)));
    CHECK(support::positive_zero(t.output().data(), static_cast<std::size_t>(t.output().size())));
}

TEST_CASE("one absorb is one call, to the bit") {
    support::random r(904);
    const auto p = sample(r);
    const support::inputs<float> in(p);
    auto s = empty_state(p);
    s.absorb(in.q, in.k, in.v, heed::causal, heed::softcap(5));
    support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
    s.finish_into(y);
    CHECK(support::same_bits(support::elements(y), support::elements(heed::attention(
                                                       in.q, in.k, in.v, heed::softcap(5), heed::causal))));
}

TEST_CASE("heed::merge joins finished parts, empty ones too") {
    support::random r(905);
    for (int round = 0; round < 40; ++round) {
        auto p = sample(r);
        const support::inputs<float> in(p);
        const long middle = r.between(0, p.keys);
        support::tensor<float> a(p.batch, p.heads, p.queries, p.d_v), b(a);
        support::tensor<float, 3> la(p.batch, p.heads, p.queries), lb(la);
        heed::attention_into(a, in.q, in.k, in.v, heed::prefix(middle), heed::logsumexp(la));
        heed::attention_into(b, in.q, in.k, in.v, !heed::prefix(middle), heed::logsumexp(lb));
        heed::merge(a, la, b, lb);
        const auto want = reference::solve<double>(p);
        CHECK(support::excess<float>(p, want, support::values(a)) <= 2);
        CHECK(support::excess_lse<float>(p, want, support::values(la)) <= 2);
    }
}

TEST_CASE("parts with far apart log-sum-exps do not overflow") {
    const heed_test::without_traps quiet;
    support::tensor<float> a(1, 1, 4, 2), b(1, 1, 4, 2);
    support::tensor<float, 3> la(1, 1, 4), lb(1, 1, 4);
    a.setConstant(1), b.setConstant(3);
    const float huge[4][2] = {{3e38f, -3e38f}, {-3e38f, 3e38f}, {1000, 1000}, {-HUGE_VALF, -HUGE_VALF}};
    for (int i = 0; i < 4; ++i) la(0, 0, i) = huge[i][0], lb(0, 0, i) = huge[i][1];
    a(0, 0, 3, 0) = a(0, 0, 3, 1) = b(0, 0, 3, 0) = b(0, 0, 3, 1) = 0;
    heed::merge(a, la, b, lb);
    CHECK(a(0, 0, 0, 0) == 1);
    CHECK(a(0, 0, 1, 1) == 3);
    CHECK(a(0, 0, 2, 0) == 2);
    CHECK(std::fabs(la(0, 0, 2) - (1000 + std::log(2.0f))) < 1e-4f);
    CHECK(la(0, 0, 3) == -HUGE_VALF);
    CHECK(support::positive_zero(&a(0, 0, 3, 0), 2));
}

TEST_CASE("beside a part that saw nothing, the other keeps its bits, whatever stands there") {
    support::tensor<float> nothing(1, 1, 2, 3), some(1, 1, 2, 3);
    support::tensor<float, 3> no_maximum(1, 1, 2), no_sum(1, 1, 2), maximum(1, 1, 2), sum(1, 1, 2);
    const auto fill = [&] {
        nothing.setConstant(std::numeric_limits<float>::quiet_NaN()), no_maximum.setConstant(-HUGE_VALF);
        no_sum.setZero(), maximum.setConstant(-3e38f), sum.setConstant(7);
        for (long i = 0; i < 6; ++i) some.data()[i] = i % 2 == 0 ? -0.0f : 3.25f;
    };
    fill();
    const support::tensor<float> want = some;
    heed::merge(nothing, no_maximum, no_sum, some, maximum, sum);
    CHECK(support::same_bits(support::elements(nothing), support::elements(want)));
    CHECK((no_maximum(0, 0, 1) == -3e38f && no_sum(0, 0, 1) == 7));
    fill();
    heed::merge(some, maximum, sum, nothing, no_maximum, no_sum);
    CHECK(support::same_bits(support::elements(some), support::elements(want)));
    CHECK((maximum(0, 0, 1) == -3e38f && sum(0, 0, 1) == 7));
}

TEST_CASE("double states keep double") {
    support::random r(906);
    const auto p = support::problem<double>(r, 1, 2, 1, 7, 200, 8, 8);
    const support::inputs<double> in(p);
    heed::softmax_state<double> s(1, 2, 7, 8);
    for (long first = 0; first < 200; first += 40)
        s.absorb(in.q, heed::as_view(in.k).slice_positions(first, 40),
                 heed::as_view(in.v).slice_positions(first, 40));
    support::tensor<double> y(1, 2, 7, 8);
    s.finish_into(y);
    CHECK(support::excess<double>(p, support::truth_of<double>(p), support::values(y)) <= 6);
}

TEST_CASE("parts of 16-bit tensors are joined in float: many parts, one rounding") {
    support::random r(907);
    const auto p = support::problem<Eigen::bfloat16>(r, 1, 2, 1, 7, 640, 8, 8);
    const support::inputs<Eigen::bfloat16> in(p);
    heed::softmax_state<Eigen::bfloat16> s(1, 2, 7, 8);
    for (long first = 0; first < 640; first += 20)
        s.absorb(in.q, heed::as_view(in.k).slice_positions(first, 20),
                 heed::as_view(in.v).slice_positions(first, 20));
    // The state itself, before it is rounded to bfloat16, is good to float accuracy.
    const auto want = reference::solve<double>(p);
    CHECK(support::max_error(support::values(s.output()), want.y) <= 1e-5);
}

namespace {

// One query of 0, so that scores are their biases, and values that say from which part of the keys they are.
template <class T>
struct equal_scores {
    using S = support::sum_type<T>;
    support::tensor<T> q{1, 1, 1, 3}, k, v;
    support::tensor<S, 1> bias;

    equal_scores(long keys, double score, double value) : k(1, 1, keys, 3), v(1, 1, keys, 2), bias(keys) {
        q.setZero(), k.setZero();
        v.setConstant(static_cast<T>(static_cast<float>(value)));
        bias.setConstant(static_cast<S>(score));
    }
};

template <class T>
void check_equal_scores() {
    using S = support::sum_type<T>;
    const double eps = static_cast<double>(std::numeric_limits<S>::epsilon());
    for (double score : {-3e38, -1e9, -1e6, -30.0, 0.0, 1e4, 1e9, 1e20, 3e38})
        for (const auto& [first, second] :
             {std::pair{1L, 7L}, {7L, 1L}, {1L, 999L}, {300L, 500L}, {0L, 3L}}) {
            if (std::is_same_v<T, double> && std::fabs(score) > 1e38) score = score < 0 ? -1e308 : 1e308;
            const equal_scores<T> a(first, score, 0), b(second, score, 1);
            const double want = static_cast<double>(second) / static_cast<double>(first + second);
            heed::softmax_state<T> one(1, 1, 1, 2), other(1, 1, 1, 2), both(1, 1, 1, 2);
            one.absorb(a.q, a.k, a.v, heed::bias(a.bias));
            other.absorb(b.q, b.k, b.v, heed::bias(b.bias));
            both = one;
            both.absorb(b.q, b.k, b.v, heed::bias(b.bias));
            support::tensor<S> ya = one.output();
            support::tensor<S, 3> ma = one.maximum(), la = one.sum();
            heed::merge(ya, ma, la, other.output(), other.maximum(), other.sum());
            one.merge(other);
            INFO(first << " and " << second << " keys of score " << score);
            for (const auto* s : {&one, &both}) {
                CHECK(std::fabs(static_cast<double>(s->output()(0, 0, 0, 1)) - want) <= 4 * eps);
                CHECK(s->maximum()(0, 0, 0) == static_cast<S>(score));
                CHECK(std::fabs(static_cast<double>(s->sum()(0, 0, 0)) - double(first + second)) <=
                      4 * eps * double(first + second));
            }
            CHECK(support::same_bits(support::elements(ya), support::elements(one.output())));
            CHECK(support::same_bits(support::elements(ma), support::elements(one.maximum())));
            CHECK(support::same_bits(support::elements(la), support::elements(one.sum())));
        }
}

}  // namespace

TEST_CASE("a state keeps its sum beside scores of any size: float") { check_equal_scores<float>(); }
TEST_CASE("a state keeps its sum beside scores of any size: double") { check_equal_scores<double>(); }
TEST_CASE("a state keeps its sum beside scores of any size: bfloat16") {
    check_equal_scores<Eigen::bfloat16>();
}

TEST_CASE("parts joined by log-sum-exps are wrong by what those were rounded by, and no more") {
    const double eps = 1.1920928955078125e-7;
    for (const double score : {0.0, 7.0, -100.0, 1e3, 1e5, -1e9})
        for (const long second : {1L, 7L, 99L}) {
            const equal_scores<float> a(1, score, 0), b(second, score, 1);
            support::tensor<float> ya(1, 1, 1, 2), yb(1, 1, 1, 2);
            support::tensor<float, 3> la(1, 1, 1), lb(1, 1, 1);
            heed::attention_into(ya, a.q, a.k, a.v, heed::bias(a.bias), heed::logsumexp(la));
            heed::attention_into(yb, b.q, b.k, b.v, heed::bias(b.bias), heed::logsumexp(lb));
            heed::merge(ya, la, yb, lb);
            const double share = static_cast<double>(second) / static_cast<double>(1 + second);
            const double size = std::fabs(score) + std::log1p(static_cast<double>(second));
            INFO(second << " keys of score " << score);
            CHECK(std::fabs(static_cast<double>(ya(0, 0, 0, 0)) - share) <= std::fmin(1, eps * (size + 4)));
            if (score == -1e9) CHECK(ya(0, 0, 0, 0) == 0.5f);  // as the page says
        }
}

TEST_CASE("a sink joins at the end as a part of its own") {
    support::random r(906);
    for (int round = 0; round < 20; ++round) {
        auto p = sample(r);
        const support::inputs<float> in(p);
        std::vector<float> sinks(static_cast<std::size_t>(p.heads));
        for (float& s : sinks) s = static_cast<float>(r.normal() * 3);
        p.sinks.assign(sinks.begin(), sinks.end());
        support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v), nothing(y);
        support::tensor<float, 3> m(p.batch, p.heads, p.queries), l(m), sink(m), one(m);
        heed::attention_into(y, in.q, in.k, in.v, heed::maximum_and_sum(m, l));
        nothing.setZero(), one.setConstant(1);
        for (long b = 0; b < p.batch; ++b)
            for (long h = 0; h < p.heads; ++h)
                for (long i = 0; i < p.queries; ++i) sink(b, h, i) = sinks[static_cast<std::size_t>(h)];
        heed::merge(y, m, l, nothing, sink, one);
        CHECK(support::excess<float>(p, reference::solve<double>(p), support::values(y)) <= 2);
    }
}
