// SPDX-License-Identifier: MIT
// tests/linear/extremes.cpp: decays from nothing to everything, and finite numbers that must stay finite
//
// Chunked forms multiply by e^(b_i - b_j) with b the sum of the logs so far. What breaks them: e^-b that
// overflows (fla 649, 215), and a sum so far down that what follows is rounded away in it: after a log
// decay of -1e30 the differences of all later sums are 0, and nothing decays any more.
#include "support/linear_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

constexpr rule gated_rules[] = {rule::gated, rule::gated_features, rule::gated_delta,
                                rule::gated_features_delta};

// Sets every log decay, checks y and the state against the oracle.
template <class T = float, class F>
void with_decays(std::uint64_t seed, const F& log_decay, long longest = 300) {
    using S = support::sum_type<T>;
    support::random r(seed);
    for (const rule kind : gated_rules)
        for (int i = 0; i < 12; ++i) {
            auto p = support::linear<T>(r, support::random_linear_shape(r, true, longest), kind);
            const long width = p.decay_per_feature ? p.d_k : 1;
            for (std::size_t at = 0; at < p.g.size(); ++at) {
                const long t = static_cast<long>(at) / width % p.keys;
                p.g[at] = support::widen(support::narrow<T>(log_decay(r, t, static_cast<long>(at) % width)));
            }
            if (r.chance(0.5)) support::give_initial_state<S>(r, p);
            const support::linear_inputs<T> in(p);
            support::tensor<S> state(p.batch, p.kv_heads, p.d_k, p.d_v);
            support::tensor<T> y(p.batch, p.heads, p.keys, p.d_v);
            state.setZero();
            if (!p.initial.empty()) state = in.initial;
            support::with_rule(p, in, [&](const auto&... options) {
                heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, heed::state(state),
                                            options...);
            });
            const auto last = support::values(state);
            support::check_linear<T>(p, support::values(y), &last);
        }
}

}  // namespace

TEST_CASE("no decay at all is the rule without one") {
    with_decays(2501, [](support::random&, long, long) { return 0.0; });
}
TEST_CASE("-10 a step over a long run") {
    with_decays(2502, [](support::random&, long, long) { return -10.0; });
}
TEST_CASE("-1000 a step") {
    with_decays(2503, [](support::random&, long, long) { return -1000.0; });
}
TEST_CASE("-1e30 a step") {
    with_decays(2504, [](support::random&, long, long) { return -1e30; });
}
TEST_CASE("the largest float a step") {
    with_decays(2505, [](support::random&, long, long) { return -3.4e38; });
}
TEST_CASE("features that forget at once beside features that never do") {
    with_decays(2506, [](support::random&, long, long f) {
        return f % 3 == 0 ? -1000.0 : f % 3 == 1 ? 0.0 : -0.01;
    });
}
TEST_CASE("features of every size of decay") {
    with_decays(2507, [](support::random& r, long, long f) {
        constexpr double sizes[] = {0, -1e-6, -0.01, -1, -10, -88, -104, -1e4, -1e30};
        return f % 2 == 0 ? sizes[r.between(0, 8)] : -r.uniform();
    });
}
TEST_CASE("a reset now and then, small decays between: what follows a reset still decays") {
    for (const double reset : {-30.0, -500.0, -1e6, -1e30})
        with_decays(2508, [=](support::random& r, long, long) {
            return r.chance(0.05) ? reset : -0.3 * r.uniform();
        });
}
TEST_CASE("a reset at the first position of a chunk, at its last, and at the first of all") {
    for (const long at : {0L, 15L, 16L, 63L, 64L, 127L, 128L})
        with_decays(
            2509, [=](support::random& r, long t, long) { return t == at ? -1e30 : -0.1 * r.uniform(); },
            200);
}

TEST_CASE("the logarithm of zero forgets all") {
    with_decays(
        2512, [](support::random& r, long, long) { return r.chance(0.1) ? -HUGE_VAL : -0.1 * r.uniform(); });
}

TEST_CASE("double keeps double behind a reset") {
    for (const double reset : {-30.0, -500.0, -1e30})
        with_decays<double>(2513, [=](support::random& r, long, long) {
            return r.chance(0.05) ? reset : -0.3 * r.uniform();
        });
}
TEST_CASE("bfloat16 decays") {
    with_decays<Eigen::bfloat16>(
        2514, [](support::random& r, long, long) { return r.chance(0.05) ? -1e6 : -0.3 * r.uniform(); });
}

TEST_CASE("denormal decays and denormal factors") {
    with_decays(2510, [](support::random& r, long, long) { return r.chance(0.5) ? -1e-40 : -95.0; });
}

TEST_CASE("finite numbers never give NaN") {
    support::random r(2511);
    constexpr double sizes[] = {0, 1e-45, 1e-38, 1e-10, 1e-3, 1, 30, 88, 100, 1e4, 1e9};
    constexpr features maps[] = {features::elu1, features::relu, features::identity, features::softmax,
                                 features::taylor};
    const auto number = [&] { return sizes[r.between(0, 10)] * r.uniform(-1, 1); };
    for (int i = 0; i < 500; ++i) {
        const rule kind = support::all_rules[r.between(0, 5)];
        auto shape = support::random_linear_shape(r, true, 130);
        shape.d_k = r.skewed(1, 12), shape.d_v = r.skewed(1, 12);
        auto p = support::linear<float>(r, shape, kind);
        p.causal = true;
        p.map = maps[r.between(0, 4)];
        const bool delta = support::has_delta(kind);
        if (support::per_feature(kind) && p.map == features::taylor) p.map = features::elu1;
        // Under the delta rule long keys grow without bound by the rule itself; identity and a divisor of
        // any sign overflow by definition.
        if (delta) p.map = r.chance(0.5) ? features::identity : features::softmax;
        p.normalised = !delta && p.map != features::identity && r.chance(0.5);
        for (double& x : p.q) x = number();
        if (!delta)
            for (double& x : p.k) x = number();
        for (double& x : p.v) x = number();
        for (double& x : p.g) x = -std::fabs(r.chance(0.1) ? 1e38 : number());
        // Products of 1e9 and 1e9 squared are no floats.
        if (p.map == features::taylor)
            for (auto* x : {&p.q, &p.k})
                for (double& value : *x) value = std::clamp(value, -1e4, 1e4);
        const support::linear_inputs<float> in(p);
        support::tensor<float> y(p.batch, p.heads, p.keys, p.d_v);
        support::with_rule(p, in, [&](const auto&... rules) {
            support::with_map(p.map, [&](const auto& of) {
                if constexpr (sizeof...(rules) == 0) {
                    if (p.normalised)
                        return heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, of,
                                                           heed::normalised);
                    return heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, of,
                                                       heed::unnormalised);
                } else {
                    heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, of, rules...);
                }
            });
        });
        long nan = 0;
        for (long at = 0; at < y.size(); ++at) nan += std::isnan(y.data()[at]);
        INFO(support::describe(p) << ", round " << i);
        CHECK(nan == 0);
    }
}
