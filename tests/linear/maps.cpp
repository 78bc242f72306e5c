// SPDX-License-Identifier: MIT
// tests/linear/maps.cpp: every feature map, causal or not, normalised or not, against the oracle
#include "support/linear_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

constexpr features maps[] = {features::elu1,    features::relu,   features::identity,
                             features::softmax, features::taylor, features::custom};

template <class T>
linear_problem sample(support::random& r, features map, rule kind, bool causal, bool normalised) {
    auto s = support::random_linear_shape(r, causal, 200);
    if (map == features::taylor) s.d_k = r.between(1, 12), s.d_v = r.between(1, 9);
    auto p = support::linear<T>(r, s, kind);
    support::use_map(p, map);
    p.causal = causal, p.normalised = normalised;
    if (normalised && map == features::identity)  // without a sign to cancel the divisor
        for (auto* x : {&p.q, &p.k})
            for (double& value : *x) value = std::fabs(value);
    return p;
}

template <class T>
void random_cases(std::uint64_t seed, int count) {
    support::random r(seed);
    for (const features map : maps)
        for (int i = 0; i < count; ++i) {
            const auto p = sample<T>(r, map, rule::linear, i % 2 == 0, i % 4 < 2);
            const support::linear_inputs<T> in(p);
            support::with_options(p, [&](const auto&... options) {
                const support::tensor<T> y = heed::linear_attention(in.q, in.k, in.v, options...);
                support::check_linear<T>(p, support::values(y));
            });
        }
}

}  // namespace

TEST_CASE("float") { random_cases<float>(2201, 40); }
TEST_CASE("double") { random_cases<double>(2202, 12); }
TEST_CASE("half") { random_cases<Eigen::half>(2203, 12); }
TEST_CASE("bfloat16") { random_cases<Eigen::bfloat16>(2204, 12); }

TEST_CASE("maps under a decay, normalised too") {
    support::random r(2205);
    for (const rule kind : {rule::gated, rule::gated_features})
        for (const features map : maps)
            for (int i = 0; i < 10; ++i) {
                if (support::per_feature(kind) && map == features::taylor) continue;
                const auto p = sample<float>(r, map, kind, true, i % 2 == 0);
                const support::linear_inputs<float> in(p);
                support::with_decay(p, in, [&](const auto&... rules) {
                    support::with_map(p.map, [&](const auto& of) {
                        support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
                        if (p.normalised)
                            heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, of, rules...,
                                                        heed::normalised);
                        else
                            heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, of, rules...);
                        support::check_linear<float>(p, support::values(y));
                    });
                });
            }
}

TEST_CASE("maps under the delta rule") {
    support::random r(2206);
    for (const rule kind : {rule::delta, rule::gated_delta})
        for (const features map : {features::relu, features::softmax})  // keys stay of length 1 or less
            for (int i = 0; i < 12; ++i) {
                const auto p = sample<float>(r, map, kind, true, false);
                const support::linear_inputs<float> in(p);
                support::with_rule(p, in, [&](const auto&... rules) {
                    support::with_map(p.map, [&](const auto& of) {
                        const support::tensor<float> y =
                            heed::linear_attention(in.q, in.k, in.v, heed::causal, rules..., of);
                        support::check_linear<float>(p, support::values(y));
                    });
                });
            }
}

TEST_CASE("the default is elu1, normalised, scale 1, not causal") {
    support::random r(2207);
    const auto p = sample<float>(r, features::elu1, rule::linear, false, true);
    const support::linear_inputs<float> in(p);
    const support::tensor<float> a = heed::linear_attention(in.q, in.k, in.v);
    const support::tensor<float> b =
        heed::linear_attention(in.q, in.k, in.v, heed::normalised, heed::elu1, heed::scale(1));
    CHECK(support::same_bits(support::elements(a), support::elements(b)));
    support::check_linear<float>(p, support::values(a));
}

TEST_CASE("a map without a derivative is enough forward") {
    support::random r(2208);
    const auto p = sample<float>(r, features::custom, rule::linear, true, true);
    const support::linear_inputs<float> in(p);
    const support::tensor<float> y =
        heed::linear_attention(in.q, in.k, in.v, heed::causal, heed::feature_map(support::custom_map));
    support::check_linear<float>(p, support::values(y));
}

TEST_CASE("numbers far from zero: exponentials of maps neither overflow nor lose their place") {
    support::random r(2209);
    for (const features map : {features::elu1, features::softmax})
        for (const double size : {20.0, 300.0, 1e4}) {
            auto p = sample<float>(r, map, rule::linear, true, true);
            for (auto* x : {&p.q, &p.k})
                for (double& value : *x) value = static_cast<double>(static_cast<float>(value * size));
            const support::linear_inputs<float> in(p);
            support::with_map(map, [&](const auto& of) {
                const support::tensor<float> y = heed::linear_attention(in.q, in.k, in.v, heed::causal, of);
                long wrong = 0;
                for (long i = 0; i < y.size(); ++i) wrong += !std::isfinite(y.data()[i]);
                INFO(support::describe(p) << ", numbers of " << size);
                CHECK(wrong == 0);
                // e^x of a float near -60 is off by up to 60 eps before anything is added; beyond that
                // products of two of them are no floats any more.
                const auto truth = support::linear_truth<float>(p);
                if (size == 20)
                    CHECK(support::size_excess<float>(support::values(y), truth.y, truth.y_size) <= 15);
            });
        }
}
