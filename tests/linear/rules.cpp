// SPDX-License-Identifier: MIT
// tests/linear/rules.cpp: the four update rules, with states, against the oracle
//
// Lengths around the chunk of 64 and its multiples, odd feature counts, grouped heads. The defaults of
// normalisation, map and scale are part of what is tested: no option names them here.
#include "support/linear_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

template <class T>
void check(const linear_problem& p) {
    const support::linear_inputs<T> in(p);
    support::tensor<T> y(p.batch, p.heads, p.queries, p.d_v);
    support::tensor<support::sum_type<T>> state(p.batch, p.kv_heads, p.feature_count(), p.columns());
    y.setConstant(static_cast<T>(-77.0f)), state.setConstant(-77);
    support::with_rule(p, in, [&](const auto&... options) {
        if (p.initial.empty())
            heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, heed::final_state(state),
                                        options...);
        else
            heed::linear_attention_into(y, in.q, in.k, in.v, options..., heed::causal,
                                        heed::initial_state(in.initial), heed::final_state(state));
    });
    const auto last = support::values(state);
    support::check_linear<T>(p, support::values(y), &last);
}

template <class T>
void random_cases(std::uint64_t seed, int count) {
    support::random r(seed);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < count; ++i) {
            auto p = support::linear<T>(r, support::random_linear_shape(r, true), kind);
            p.causal = true;
            if (r.chance(0.5)) support::give_initial_state<support::sum_type<T>>(r, p);
            check<T>(p);
        }
}

}  // namespace

TEST_CASE("float") { random_cases<float>(2101, 40); }
TEST_CASE("double") { random_cases<double>(2102, 12); }
TEST_CASE("half") { random_cases<Eigen::half>(2103, 12); }
TEST_CASE("bfloat16") { random_cases<Eigen::bfloat16>(2104, 12); }

TEST_CASE("every length from 1 to 130, and 200 and 300") {
    support::random r(2105);
    for (long n = 1; n <= 132; ++n)
        for (const rule kind : support::all_rules) {
            const long length = n == 131 ? 200 : n == 132 ? 300 : n;
            support::linear_shape s{1, 2, 1, length, length, r.between(1, 9), r.between(1, 9)};
            auto p = support::linear<float>(r, s, kind);
            p.causal = true;
            check<float>(p);
        }
}

TEST_CASE("every feature count up to 70, and 127 to 129") {
    support::random r(2106);
    for (long d = 1; d <= 73; ++d)
        for (const rule kind : support::all_rules) {
            const long wide = d > 70 ? d + 56 : d;
            const bool of_keys = r.chance(0.5);
            support::linear_shape s{
                1, 1, 1, 37, 37, of_keys ? wide : r.between(1, 9), of_keys ? r.between(1, 9) : wide};
            auto p = support::linear<float>(r, s, kind);
            p.causal = true;
            check<float>(p);
        }
}

TEST_CASE("a scale of one's own, zero and negative ones too") {
    support::random r(2107);
    for (const rule kind : support::all_rules)
        for (const double scale : {0.0, -0.5, 3.0}) {
            auto p = support::linear<float>(r, support::random_linear_shape(r, true, 100), kind);
            p.causal = true, p.scale = scale;
            const support::linear_inputs<float> in(p);
            support::with_rule(p, in, [&](const auto&... options) {
                const support::tensor<float> y =
                    heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::scale(scale), options...);
                support::check_linear<float>(p, support::values(y));
            });
        }
}

// Small products beside the 1e-10 that is added to a normaliser, which no scale moves.
TEST_CASE("a normalised rule has no scale") {
    support::random r(2110);
    constexpr rule kinds[] = {rule::linear, rule::gated, rule::gated_features};
    for (const features map : {features::elu1, features::relu, features::softmax, features::custom})
        for (const rule kind : kinds)
            for (const double scale : {0.0, 1e-300, 1e-12, -2.0, 1e30}) {
                auto p = support::linear<float>(r, support::random_linear_shape(r, true, 100), kind);
                p.causal = p.normalised = true, p.scale = scale;
                support::use_map(p, map);
                if (map == features::relu)
                    for (auto* x : {&p.q, &p.k})
                        for (double& number : *x)
                            number = static_cast<double>(static_cast<float>(number * 1e-5));
                const support::linear_inputs<float> in(p);
                support::with_decay(p, in, [&](const auto&... decays) {
                    support::with_map(map, [&](const auto& of) {
                        const support::tensor<float> y =
                            heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::normalised, of,
                                                   decays..., heed::scale(scale));
                        support::check_linear<float>(p, support::values(y));
                    });
                });
            }
}

TEST_CASE("decays and betas broadcast, and leave leading axes out") {
    support::random r(2108);
    const support::linear_shape s{3, 4, 2, 70, 70, 6, 5};
    auto p = support::linear<float>(r, s, rule::gated_features_delta);
    const auto check_with = [&](const auto&... options) {
        const support::linear_inputs<float> in(p);
        const support::tensor<float> y = heed::linear_attention(in.q, in.k, in.v, heed::causal, options...);
        support::check_linear<float>(p, support::values(y));
    };
    // One row of decays for everybody, one beta for a head.
    support::tensor<float> g(1, 1, 70, 6);
    support::tensor<float, 3> beta(1, 2, 1);
    for (long i = 0; i < g.size(); ++i) g.data()[i] = -static_cast<float>(r.uniform());
    beta(0, 0, 0) = 0.25f, beta(0, 1, 0) = 0.75f;
    for (std::size_t i = 0; i < p.g.size(); ++i) p.g[i] = static_cast<double>(g.data()[i % 420]);
    for (std::size_t i = 0; i < p.beta.size(); ++i) p.beta[i] = i / 70 % 2 == 0 ? 0.25 : 0.75;
    check_with(heed::decay(g), heed::delta(beta));
    // Per feature, the same at every position.
    support::tensor<float> constant(1, 2, 1, 6);
    for (long i = 0; i < 12; ++i) constant.data()[i] = -static_cast<float>(r.uniform());
    for (std::size_t i = 0; i < p.g.size(); ++i)
        p.g[i] = static_cast<double>(constant.data()[i % 6 + (i / 420 % 2) * 6]);
    check_with(heed::decay(constant), heed::delta(beta));
    // Per head: (kv_head, position), and (position).
    p.decay_per_feature = false;
    support::tensor<float, 2> by_head(2, 70);
    for (long i = 0; i < 140; ++i) by_head.data()[i] = -static_cast<float>(r.uniform());
    p.g.resize(p.g_size());
    for (std::size_t i = 0; i < p.g.size(); ++i) p.g[i] = static_cast<double>(by_head.data()[i % 140]);
    check_with(heed::decay(by_head), heed::delta(beta));
    support::tensor<float, 1> by_position(70);
    for (long i = 0; i < 70; ++i) by_position(i) = -static_cast<float>(r.uniform());
    for (std::size_t i = 0; i < p.g.size(); ++i)
        p.g[i] = static_cast<double>(by_position(static_cast<long>(i % 70)));
    check_with(heed::delta(beta), heed::decay(by_position));
}

TEST_CASE("float decays and betas serve 16-bit tensors") {
    support::random r(2109);
    for (const rule kind : {rule::gated_delta, rule::gated_features_delta}) {
        auto p = support::linear<Eigen::bfloat16>(r, {1, 2, 1, 90, 90, 8, 8}, kind);
        for (double& x : p.g) x = static_cast<double>(-static_cast<float>(r.uniform()));
        const support::linear_inputs<Eigen::bfloat16> in(p);
        const support::linear_inputs<float> gates(p);
        support::with_rule(p, gates, [&](const auto&... options) {
            const support::tensor<Eigen::bfloat16> y =
                heed::linear_attention(in.q, in.k, in.v, options..., heed::causal);
            support::check_linear<Eigen::bfloat16>(p, support::values(y));
        });
    }
}
