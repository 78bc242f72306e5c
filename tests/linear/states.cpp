// SPDX-License-Identifier: MIT
// tests/linear/states.cpp: a run cut anywhere, and position by position, is the run in one call (R23)
#include "support/linear_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

// Positions first to last of every input, as views; f(q, k, v, options...).
template <class T, class F>
void part(const linear_problem& p, const support::linear_inputs<T>& in, long first, long last, const F& f) {
    const auto cut = [&](const auto& t) { return heed::as_view(t).slice_positions(first, last - first); };
    // (batch, kv_head, position) as it stands; a copy, since a view has four axes.
    const auto copy = [&](const support::tensor<T, 3>& t) {
        support::tensor<T, 3> c;
        if (t.size() > 0)
            c = t.slice(Eigen::array<long, 3>{0, 0, first},
                        Eigen::array<long, 3>{t.dimension(0), t.dimension(1), last - first});
        return c;
    };
    const auto g = copy(in.decay), beta = copy(in.beta);
    const auto with_delta = [&](const auto&... options) {
        if (p.beta.empty())
            f(cut(in.q), cut(in.k), cut(in.v), options...);
        else
            f(cut(in.q), cut(in.k), cut(in.v), heed::delta(beta), options...);
    };
    if (p.g.empty())
        with_delta();
    else if (p.decay_per_feature)
        with_delta(heed::decay(cut(in.feature_decay)));
    else
        with_delta(heed::decay(g));
}

template <class T>
struct run {
    support::tensor<T> y;
    support::tensor<support::sum_type<T>> state;
};

// Over the parts that end at `ends`, the state handed on by state(t) or by a pair of its own.
template <class T>
run<T> in_parts(const linear_problem& p, const std::vector<long>& ends, bool one_tensor) {
    const support::linear_inputs<T> in(p);
    run<T> out{{p.batch, p.heads, p.queries, p.d_v}, {p.batch, p.kv_heads, p.feature_count(), p.columns()}};
    out.state.setZero();
    if (!p.initial.empty()) out.state = in.initial;
    long first = 0;
    for (const long last : ends) {
        part(p, in, first, last, [&](const auto& q, const auto& k, const auto& v, const auto&... options) {
            const auto y = heed::as_view(out.y).slice_positions(first, last - first);
            if (one_tensor) {
                heed::linear_attention_into(y, q, k, v, heed::causal, options..., heed::state(out.state));
            } else {
                const auto before = out.state;
                heed::linear_attention_into(y, q, k, v, heed::causal, options..., heed::initial_state(before),
                                            heed::final_state(out.state));
            }
        });
        first = last;
    }
    return out;
}

template <class T>
linear_problem sample(support::random& r, rule kind) {
    auto p = support::linear<T>(r, support::random_linear_shape(r, true), kind);
    p.causal = true;
    if (r.chance(0.3)) support::give_initial_state<support::sum_type<T>>(r, p);
    return p;
}

template <class T>
void cut_anywhere(std::uint64_t seed, int count) {
    support::random r(seed);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < count; ++i) {
            const auto p = sample<T>(r, kind);
            std::vector<long> ends;  // some parts are empty, some a single position
            for (long n = r.between(1, 6); n > 0; --n) {
                ends.push_back(r.between(0, p.keys));
                if (r.chance(0.3)) ends.push_back(std::min(p.keys, ends.back() + 1));
            }
            std::sort(ends.begin(), ends.end());
            ends.push_back(p.keys);
            const auto out = in_parts<T>(p, ends, i % 2 == 0);
            const auto state = support::values(out.state);
            INFO(ends.size() << " parts, the first of " << ends[0]);
            support::check_linear<T>(p, support::values(out.y), &state);
        }
}

}  // namespace

TEST_CASE("float, cut anywhere") { cut_anywhere<float>(2301, 25); }
TEST_CASE("double, cut anywhere") { cut_anywhere<double>(2302, 8); }
TEST_CASE("half, cut anywhere: the state stays float") { cut_anywhere<Eigen::half>(2303, 8); }
TEST_CASE("bfloat16, cut anywhere: the state stays float") { cut_anywhere<Eigen::bfloat16>(2304, 8); }

TEST_CASE("chunked is recurrent within 8 ULP of the state's scale") {
    support::random r(2305);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 12; ++i) {
            const auto p = sample<float>(r, kind);
            std::vector<long> steps;
            for (long t = 1; t <= p.keys; ++t) steps.push_back(t);
            const auto chunked = in_parts<float>(p, {p.keys}, true),
                       recurrent = in_parts<float>(p, steps, true);
            const auto truth = reference::solve_linear<double>(p);
            const double scale = support::ulp<float>(support::max_abs(truth.state_size));
            const auto a = support::values(chunked.state), b = support::values(recurrent.state);
            INFO(support::describe(p) << ", " << support::worst_place(a, b));
            CHECK(support::max_error(a, b) <= 8 * scale);
            support::check_linear<float>(p, support::values(recurrent.y), &b);
        }
}

TEST_CASE("a first token, without a state and with one") {
    support::random r(2306);
    for (const rule kind : support::all_rules)
        for (const bool with_state : {false, true}) {
            auto p = support::linear<float>(r, {2, 4, 2, 1, 1, 5, 3}, kind);
            p.causal = true;
            if (with_state) support::give_initial_state<float>(r, p);
            const auto out = in_parts<float>(p, {1}, true);
            const auto state = support::values(out.state);
            support::check_linear<float>(p, support::values(out.y), &state);
        }
    // The mean of one value is that value.
    const auto p = support::linear<float>(r, {1, 1, 1, 1, 1, 4, 6}, rule::linear);
    const support::linear_inputs<float> in(p);
    const support::tensor<float> y = heed::linear_attention(in.q, in.k, in.v, heed::causal);
    for (long e = 0; e < 6; ++e)
        CHECK(std::fabs(y(0, 0, 0, e) - in.v(0, 0, 0, e)) <= 4e-7f * std::fabs(in.v(0, 0, 0, e)));
}

TEST_CASE("maps with features of their own keep a row of the state for each") {
    support::random r(2307);
    for (const long d : {1L, 3L, 7L}) {
        const long n = 1 + d + d * (d + 1) / 2;
        auto p = support::linear<float>(r, {1, 2, 1, 90, 90, d, 4}, rule::linear);
        support::use_map(p, features::taylor);
        p.causal = true;
        const support::linear_inputs<float> in(p);
        support::tensor<float> state(1, 1, n, 5), y(1, 2, 90, 4);
        state.setZero();
        for (const auto& [first, last] : {std::pair{0L, 37L}, {37L, 90L}}) {
            const auto cut = [&, a = first, b = last](auto& t) {
                return heed::as_view(t).slice_positions(a, b - a);
            };
            heed::linear_attention_into(cut(y), cut(in.q), cut(in.k), cut(in.v), heed::causal, heed::taylor,
                                        heed::state(state));
        }
        support::check_linear<float>(p, support::values(y));
    }
}

TEST_CASE("no positions leave the state as it was, and an absent state is one of zeros") {
    support::random r(2308);
    for (const rule kind : support::all_rules) {
        auto p = support::linear<float>(r, {2, 2, 2, 70, 70, 5, 4}, kind);
        p.causal = true;
        const auto whole = in_parts<float>(p, {70}, true);
        auto after = whole.state;
        const support::linear_inputs<float> full(p);
        part(p, full, 30, 30, [&](const auto& q, const auto& k, const auto& v, const auto&... options) {
            CHECK(heed::linear_attention(q, k, v, heed::causal, heed::state(after), options...).size() == 0);
        });
        CHECK(support::same_bits(support::elements(after), support::elements(whole.state)));

        support::with_rule(p, full, [&](const auto&... options) {
            const support::tensor<float> y =
                heed::linear_attention(full.q, full.k, full.v, heed::causal, options...);
            CHECK(support::same_bits(support::elements(y), support::elements(whole.y)));
        });
    }
}
