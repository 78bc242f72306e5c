// SPDX-License-Identifier: MIT
// tests/linear/models.cpp: presets are what their papers say, and nothing but the options they stand for
#include "support/linear_gradient_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

linear_problem sample(support::random& r, rule kind, long n = 140) {
    return support::linear<float>(r, {2, 6, 3, n, n, 7, 5}, kind);
}

// The same decay at every position of a head.
template <class F>
linear_problem with_head_decay(support::random& r, const F& log_decay) {
    auto p = sample(r, rule::gated);
    for (std::size_t i = 0; i < p.g.size(); ++i)
        p.g[i] = log_decay(static_cast<long>(i) / p.keys % p.kv_heads, p.kv_heads);
    return p;
}

template <class... Options>
void check(const linear_problem& p, const Options&... options) {
    const support::linear_inputs<float> in(p);
    const support::tensor<float> y = heed::linear_attention(in.q, in.k, in.v, options...);
    support::check_linear<float>(p, support::values(y));
}

}  // namespace

TEST_CASE("retention: head h keeps 1 - 2^(-5 - h)") {
    support::random r(3101);
    check(with_head_decay(r, [](long h, long) { return std::log(1 - std::pow(2.0, -5.0 - double(h))); }),
          heed::retention);
}

TEST_CASE("lightning: log gamma = -(8 / H)(1 - layer / layers)(h + 1)") {
    support::random r(3102);
    for (const auto& [layer, layers] : {std::pair{0, 6}, {3, 6}, {5, 6}, {6, 6}}) {
        const double depth = double(layer) / layers;
        check(with_head_decay(
                  r, [&](long h, long heads) { return -8.0 / double(heads) * (1 - depth) * double(h + 1); }),
              heed::lightning(layer, layers));
    }
}

TEST_CASE("presets with gates are their options, to the bit") {
    support::random r(3103);
    const auto p = sample(r, rule::gated_features_delta), scalar = sample(r, rule::gated_delta);
    const support::linear_inputs<float> in(p), by_head(scalar);
    const auto run = [&](const auto&... options) {
        return support::elements(heed::linear_attention(in.q, in.k, in.v, options...));
    };
    const auto g = heed::decay(in.feature_decay), h = heed::decay(by_head.decay);
    const auto beta = heed::delta(in.beta);
    CHECK(support::same_bits(run(heed::gated_linear(in.feature_decay)), run(heed::causal, g)));
    CHECK(support::same_bits(run(heed::mamba2(by_head.decay)), run(heed::causal, h)));
    CHECK(support::same_bits(run(heed::delta_net(in.beta)), run(heed::causal, beta)));
    CHECK(support::same_bits(run(heed::gated_delta_net(by_head.decay, in.beta)), run(heed::causal, h, beta)));
    CHECK(support::same_bits(run(heed::gated_delta_net(in.feature_decay, in.beta)),
                             run(heed::causal, g, beta)));
    // Other options go with them.
    support::tensor<float> state(2, 3, 7, 5);
    state.setZero();
    CHECK(support::same_bits(run(heed::scale(2), heed::gated_linear(in.feature_decay), heed::state(state)),
                             run(heed::causal, g, heed::scale(2))));
    check(p, heed::gated_delta_net(in.feature_decay, in.beta));
}

namespace {

template <class T>
void efficient_cases(std::uint64_t seed) {
    support::random r(seed);
    for (int i = 0; i < 30; ++i) {
        auto p = support::linear<T>(r, support::random_linear_shape(r, false), rule::linear);
        p.map = features::efficient, p.normalised = false;
        const support::linear_inputs<T> in(p);
        const support::tensor<T> y = heed::linear_attention(in.q, in.k, in.v, heed::efficient);
        support::check_linear<T>(p, support::values(y));

        support::linear_gradient_outputs<T> out(p);
        const auto dy = support::output_gradient<T>(r, p);
        heed::linear_attention_backward_into(out.q, out.k, out.v,
                                             support::tensor4<T>(dy, p.batch, p.heads, p.queries, p.d_v),
                                             in.q, in.k, in.v, heed::efficient);
        support::check_gradients<T>(p, dy, {}, out);
    }
}

}  // namespace

TEST_CASE("efficient: softmax of q over features, of k over positions, forward and backward") {
    efficient_cases<float>(3104);
    efficient_cases<double>(3105);
    efficient_cases<Eigen::bfloat16>(3106);
}

TEST_CASE("efficient with numbers far apart, and with one key") {
    support::random r(3107);
    auto p = support::linear<float>(r, {1, 2, 1, 5, 150, 6, 4}, rule::linear);
    p.map = features::efficient, p.normalised = false;
    for (double& x : p.k) x *= 300;
    const support::linear_inputs<float> in(p);
    const support::tensor<float> y = heed::linear_attention(in.q, in.k, in.v, heed::efficient);
    const auto truth = support::linear_truth<float>(p);
    // e^(x - most) of differences up to 100 is good to 100 eps.
    CHECK(support::size_excess<float>(support::values(y), truth.y, truth.y_size) <= 30);
    // One key has weight 1 in every feature, and a query's weights add up to 1.
    const auto one = support::linear<float>(r, {1, 1, 1, 3, 1, 6, 4}, rule::linear);
    const support::linear_inputs<float> single(one);
    const support::tensor<float> z = heed::linear_attention(single.q, single.k, single.v, heed::efficient);
    for (long i = 0; i < 3; ++i)
        for (long e = 0; e < 4; ++e) CHECK(std::fabs(z(0, 0, i, e) - single.v(0, 0, 0, e)) < 1e-6f);
}
