// SPDX-License-Identifier: MIT
// tests/state.cpp: the laws of a mergeable state: identity, any order, any split
//
// Keys are cut into random parts, each part absorbed by a state of its own or by a common one, and
// the states merged in random order. The result is attention over all keys within the error that
// one merge may add (R3 once more for each part).
#include <heed/state.hpp>

#include "support/call.hpp"

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
