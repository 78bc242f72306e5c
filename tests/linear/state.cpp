// SPDX-License-Identifier: MIT
// tests/linear/state.cpp: the laws of heed::linear_state: identity, any split, associativity, for every rule
//
// Parts of a sequence are absorbed by one state, or by a state each that are merged in order and in any
// tree. The queries read what one pass over all keys leaves.
#include <heed/state/linear.hpp>

#include "support/linear_call.hpp"

namespace {

using support::linear_problem;
using support::rule;
using state = heed::linear_state<float>;

// f(k, v, options...) for positions first to last.
template <class F>
void part(const linear_problem& p, const support::linear_inputs<float>& in, long first, long last,
          const F& f) {
    const auto cut = [&](const auto& t) { return heed::as_view(t).slice_positions(first, last - first); };
    const auto copy = [&](const support::tensor<float, 3>& t) {
        support::tensor<float, 3> c;
        if (t.size() > 0)
            c = t.slice(Eigen::array<long, 3>{0, 0, first},
                        Eigen::array<long, 3>{t.dimension(0), t.dimension(1), last - first});
        return c;
    };
    const auto g = copy(in.decay), beta = copy(in.beta);
    const auto with_delta = [&](const auto&... options) {
        if (p.beta.empty())
            f(cut(in.k), cut(in.v), options...);
        else
            f(cut(in.k), cut(in.v), heed::delta(beta), options...);
    };
    if (p.g.empty())
        with_delta();
    else if (p.decay_per_feature)
        with_delta(heed::decay(cut(in.feature_decay)));
    else
        with_delta(heed::decay(g));
}

void absorb(state& s, const linear_problem& p, const support::linear_inputs<float>& in, long first,
            long last) {
    part(p, in, first, last, [&](const auto& k, const auto& v, const auto&... options) {
        if constexpr (sizeof...(options) == 0)
            s.absorb(k, v, heed::elu1);
        else
            s.absorb(k, v, options...);
    });
}

// Not causal: each query reads the state after the last key, whatever the rule.
linear_problem sample(support::random& r, rule kind) {
    auto shape = support::random_linear_shape(r, false, 200);
    shape.d_k = r.skewed(1, 20), shape.d_v = r.skewed(1, 20), shape.queries = r.skewed(1, 20);
    auto p = support::linear<float>(r, shape, kind);
    p.causal = false;
    return p;
}

// `parts` merges may each add what one pass adds.
void check(const linear_problem& p, const state& s, double parts) {
    const support::linear_inputs<float> in(p);
    support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
    if (p.normalised)
        s.finish_into(y, in.q);
    else
        s.finish_into(y, in.q, heed::identity, heed::unnormalised, heed::scale(p.used_scale()));
    const auto truth = reference::solve_linear<double>(p);
    INFO(support::describe(p) << ", " << parts << " parts; "
                              << support::worst_place(support::values(y), truth.y));
    CHECK(support::size_excess<float>(support::values(y), truth.y, truth.y_size) <= 1 + parts);
}

bool same(const state& a, const state& b) {
    return support::same_bits(support::elements(a.sums()), support::elements(b.sums())) &&
           support::same_bits(support::elements(a.transition()), support::elements(b.transition()));
}

std::vector<long> cuts(support::random& r, long keys) {
    std::vector<long> ends;
    for (long n = r.between(1, 5); n > 1; --n) ends.push_back(r.between(0, keys));
    std::sort(ends.begin(), ends.end());
    ends.push_back(keys);
    return ends;
}

state empty(const linear_problem& p) { return {p.batch, p.kv_heads, p.d_k, p.d_v}; }

}  // namespace

TEST_CASE("one state absorbs any split of the keys") {
    support::random r(3301);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 15; ++i) {
            const auto p = sample(r, kind);
            const support::linear_inputs<float> in(p);
            auto s = empty(p);
            long first = 0;
            const auto ends = cuts(r, p.keys);
            for (const long last : ends) absorb(s, p, in, first, last), first = last;
            check(p, s, 1);
        }
}

TEST_CASE("states merge in order, in any tree") {
    support::random r(3302);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 15; ++i) {
            const auto p = sample(r, kind);
            const support::linear_inputs<float> in(p);
            const auto ends = cuts(r, p.keys);
            std::vector<state> states;
            long first = 0;
            for (const long last : ends) {
                states.push_back(empty(p));
                absorb(states.back(), p, in, first, last);
                first = last;
            }
            while (states.size() > 1) {
                const auto at = static_cast<std::size_t>(r.between(0, static_cast<long>(states.size()) - 2));
                states[at].merge(states[at + 1]);
                states.erase(states.begin() + static_cast<long>(at) + 1);
            }
            check(p, states[0], static_cast<double>(ends.size()));
        }
}

TEST_CASE("the empty state is the identity, to the bit, on both sides") {
    support::random r(3303);
    for (const rule kind : support::all_rules) {
        const auto p = sample(r, kind);
        const support::linear_inputs<float> in(p);
        auto s = empty(p);
        absorb(s, p, in, 0, p.keys);
        const auto before = s;
        s.merge(empty(p));
        CHECK(same(s, before));
        auto t = empty(p);
        t.merge(before);
        CHECK(same(t, before));
        absorb(t, p, in, p.keys, p.keys);  // no keys
        CHECK(same(t, before));
        t.reset();
        CHECK(same(t, empty(p)));
        support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
        y.setConstant(5);
        t.finish_into(y, in.q);
        CHECK(support::positive_zero(y.data(), static_cast<std::size_t>(y.size())));
    }
}

TEST_CASE("one absorb leaves the state of one call, to the bit") {
    support::random r(3304);
    for (const rule kind : {rule::linear, rule::gated, rule::delta}) {
        auto p = sample(r, kind);
        const support::linear_inputs<float> in(p);
        auto s = empty(p);
        absorb(s, p, in, 0, p.keys);
        support::tensor<float> last(p.batch, p.kv_heads, p.d_k, p.columns());
        const support::tensor<float> queries(p.batch, p.kv_heads, p.keys, p.d_k);
        support::with_rule(p, in, [&](const auto&... options) {
            (void)heed::linear_attention(in.k, in.k, in.v, heed::causal, heed::final_state(last), options...);
        });
        long wrong = 0;
        for (long row = 0; row < p.batch * p.kv_heads * p.d_k; ++row)
            wrong += !support::same_bits(s.sums().data() + row * (p.d_v + 1), last.data() + row * p.columns(),
                                         static_cast<std::size_t>(p.columns()));
        INFO(support::describe(p));
        CHECK(wrong == 0);
    }
}

TEST_CASE("rules may follow each other") {
    // Linear keys, then a decay, then linear keys again: the first are decayed, the last are not.
    support::tensor<float> k(1, 1, 1, 1), v(1, 1, 1, 1), y(1, 1, 1, 1);
    support::tensor<float, 3> g(1, 1, 1);
    k.setConstant(1), v.setConstant(8), g.setConstant(static_cast<float>(std::log(0.5)));
    heed::linear_state<float> a(1, 1, 1, 1), b(1, 1, 1, 1);
    a.absorb(k, v, heed::identity);
    b.absorb(k, v, heed::identity, heed::decay(g));
    b.absorb(k, v, heed::identity);
    a.merge(b);
    a.finish_into(y, k, heed::identity, heed::unnormalised);
    CHECK(std::fabs(y(0, 0, 0, 0) - 20) < 1e-5f);
    a.finish_into(y, k, heed::identity, heed::normalised);
    CHECK(std::fabs(y(0, 0, 0, 0) - 8) < 1e-5f);
}

#if defined(__cpp_exceptions)
TEST_CASE("what does not fit is an error and changes nothing") {
    support::random r(3305);
    const auto p = support::linear<float>(r, {1, 2, 1, 9, 9, 4, 3}, rule::gated_delta);
    const support::linear_inputs<float> in(p);
    auto s = empty(p);
    absorb(s, p, in, 0, 9);
    const auto before = s;
    const auto short_v = heed::as_view(in.v).slice_positions(0, 8);
    CHECK_THROWS_AS(s.absorb(in.k, short_v, heed::decay(in.decay), heed::delta(in.beta)), heed::error);
    CHECK_THROWS_AS(s.absorb(in.k, short_v, heed::decay(in.decay)), heed::error);
    CHECK_THROWS_WITH(s.absorb(in.k, support::tensor<float>(1, 1, 9, 4)),
                      heed_test::contains("v has 4 features, the state has 3"));
    CHECK_THROWS_WITH(s.merge(state(1, 1, 5, 3)), heed_test::contains("heed::linear_state::merge: "));
    CHECK_THROWS_WITH(state(1, -1, 5, 3), heed_test::contains("heed::linear_state: kv_heads is -1"));
    CHECK(same(s, before));
}
#endif
