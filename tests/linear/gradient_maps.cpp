// SPDX-License-Identifier: MIT
// tests/linear/gradient_maps.cpp: the backward of every map against the reference backward
//
// Also against central differences of the library's own forward in double, for some: there the two halves
// of the library judge each other.
#include "support/linear_gradient_call.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

constexpr features maps[] = {features::elu1,    features::relu,   features::identity,
                             features::softmax, features::taylor, features::custom};

template <class T>
linear_problem sample(support::random& r, features map, rule kind, bool causal, bool normalised) {
    auto s = support::random_linear_shape(r, causal, 200);
    if (map == features::taylor) s.d_k = r.between(1, 9), s.d_v = r.between(1, 9);
    auto p = support::linear<T>(r, s, kind);
    support::use_map(p, map);
    p.causal = causal, p.normalised = normalised;
    // A divisor that may vanish has no derivative to compare: positive numbers where the map lets signs
    // through, and numbers well above zero for relu.
    if (normalised && (map == features::identity || map == features::relu))
        for (auto* x : {&p.q, &p.k})
            for (double& value : *x)
                value =
                    support::widen(support::narrow<T>(std::fabs(value) + (map == features::relu ? 0.25 : 0)));
    return p;
}

template <class T>
void random_cases(std::uint64_t seed, int count) {
    support::random r(seed);
    for (const features map : maps)
        for (int i = 0; i < count; ++i) {
            const auto p = sample<T>(r, map, rule::linear, i % 2 == 0, i % 4 < 2);
            const support::linear_inputs<T> in(p);
            support::linear_gradient_outputs<T> out(p);
            const auto dy = support::output_gradient<T>(r, p);
            const auto dy_tensor = support::tensor4<T>(dy, p.batch, p.heads, p.queries, p.d_v);
            support::with_options(p, [&](const auto&... options) {
                heed::linear_attention_backward_into(out.q, out.k, out.v, dy_tensor, in.q, in.k, in.v,
                                                     options...);
            });
            support::check_gradients<T>(p, dy, {}, out);
        }
}

}  // namespace

TEST_CASE("float") { random_cases<float>(2701, 32); }
TEST_CASE("double") { random_cases<double>(2702, 8); }
TEST_CASE("half") { random_cases<Eigen::half>(2703, 8); }
TEST_CASE("bfloat16") { random_cases<Eigen::bfloat16>(2704, 8); }

TEST_CASE("maps under a decay, normalised too") {
    support::random r(2705);
    for (const rule kind : {rule::gated, rule::gated_features})
        for (const features map : {features::elu1, features::softmax})
            for (int i = 0; i < 8; ++i) {
                const auto p = sample<float>(r, map, kind, true, i % 2 == 0);
                const support::linear_inputs<float> in(p);
                support::linear_gradient_outputs<float> out(p);
                const auto dy = support::output_gradient<float>(r, p);
                const auto dy_tensor = support::tensor4<float>(dy, p.batch, p.heads, p.queries, p.d_v);
                const auto call = [&](const auto&... options) {
                    support::with_map(map, [&](const auto& of) {
                        if (p.normalised)
                            heed::linear_attention_backward_into(out.q, out.k, out.v, dy_tensor, in.q, in.k,
                                                                 in.v, heed::causal, of, options...,
                                                                 heed::normalised);
                        else
                            heed::linear_attention_backward_into(out.q, out.k, out.v, dy_tensor, in.q, in.k,
                                                                 in.v, heed::causal, of, options...);
                    });
                };
                if (p.decay_per_feature)
                    call(heed::decay(in.feature_decay), heed::decay_gradient(out.feature_decay));
                else
                    call(heed::decay(in.decay), heed::decay_gradient(out.decay));
                support::check_gradients<float>(p, dy, {}, out);
            }
}

namespace {

// <dy, y(x)> by heed along one direction of one input, against the gradient.
template <class... Options>
void differentiate(support::random& r, const linear_problem& p, const Options&... options) {
    const auto loss = [&](const linear_problem& at, const support::tensor<double>& dy) {
        const support::linear_inputs<double> in(at);
        const support::tensor<double> y = heed::linear_attention(in.q, in.k, in.v, options...);
        double sum = 0;
        for (long i = 0; i < y.size(); ++i) sum += y.data()[i] * dy.data()[i];
        return sum;
    };
    const support::linear_inputs<double> in(p);
    const auto dy =
        support::tensor4<double>(support::normals<double>(r, p.y_size()), p.batch, p.heads, p.queries, p.d_v);
    const auto g = heed::linear_attention_backward(dy, in.q, in.k, in.v, options...);
    const auto along = [&](std::vector<double> linear_problem::* input,
                           const support::tensor<double>& gradient, const char* name) {
        const auto direction = support::normals<double>(r, (p.*input).size());
        auto up = p, down = p;
        double want = 0, size = 0;
        for (std::size_t i = 0; i < direction.size(); ++i) {
            (up.*input)[i] += 1e-5 * direction[i], (down.*input)[i] -= 1e-5 * direction[i];
            want += gradient.data()[i] * direction[i], size += std::fabs(gradient.data()[i] * direction[i]);
        }
        INFO(support::describe(p) << ", d" << name);
        CHECK(std::fabs((loss(up, dy) - loss(down, dy)) / 2e-5 - want) <= 1e-7 * (1 + size));
    };
    along(&linear_problem::q, g.q, "q"), along(&linear_problem::k, g.k, "k"),
        along(&linear_problem::v, g.v, "v");
}

}  // namespace

TEST_CASE("central differences of heed's own forward") {
    support::random r(2706);
    for (int i = 0; i < 4; ++i) {
        const long n = r.between(60, 140);
        const auto p = support::linear<double>(r, {1, 4, 2, n, n, 5, 3}, rule::linear);
        differentiate(r, p, heed::causal);
        differentiate(r, p);
        differentiate(r, p, heed::softmax_features, heed::causal);
        differentiate(r, p, heed::taylor, heed::causal);
        differentiate(r, p, heed::efficient);
        differentiate(r, p, heed::retention);
        differentiate(r, p, heed::lightning(1, 4));
        differentiate(r, p, heed::favor(16, 5), heed::causal);
        differentiate(r, p, heed::favor(16, 5));
        differentiate(r, p, heed::feature_map(support::custom_map, support::custom_slope),
                      heed::unnormalised);
        const auto gated = support::linear<double>(r, {1, 4, 2, n, n, 5, 3}, rule::gated_features_delta);
        const support::linear_inputs<double> in(gated);
        differentiate(r, gated, heed::gated_linear(in.feature_decay));
        differentiate(r, gated, heed::gated_delta_net(in.feature_decay, in.beta));
    }
}
