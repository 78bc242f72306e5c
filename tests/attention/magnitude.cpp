// SPDX-License-Identifier: MIT
// tests/attention/magnitude.cpp: the weights of a row add up to 1 however large its scores are (R29)
//
// With dy = 1 for one query and one value feature each, dv holds the weights that the backward works with:
// dv(key, query) = P(query, key). They and those of the forward may be wrong by 4 eps sqrt(keys) in sum.
#include <heed/sparse.hpp>

#include "support/attention_gradient_call.hpp"
#include "support/dropped.hpp"
#include "support/jittery.hpp"
#include "support/traps.hpp"

namespace {

constexpr double sizes[] = {0, 1, 30, 1e3, 3.6e5, 1e6, 1e9, 1e20, 3e38};

// One head, values of as many features as there are queries.
template <class T>
struct weighing {
    reference::problem p;
    support::inputs<T> in;
    support::tensor<T> dy;
    support::tensor<support::sum_type<T>> y, dq, dk, dv;
    support::tensor<support::sum_type<T>, 3> lse;

    explicit weighing(const reference::problem& problem)
        : p(problem),
          in(p),
          dy(p.batch, p.heads, p.queries, p.d_v),
          y(p.batch, p.heads, p.queries, p.d_v),
          dq(p.batch, p.heads, p.queries, p.d_k),
          dk(p.batch, p.kv_heads, p.keys, p.d_k),
          dv(p.batch, p.kv_heads, p.keys, p.d_v),
          lse(p.batch, p.heads, p.queries) {
        dy.setZero();
        for (long i = 0; i < p.queries; ++i) dy(0, 0, i, i) = static_cast<T>(1.0f);
    }
    template <class... Options>
    void forward(const Options&... options) {
        heed::attention_into(y, in.q, in.k, in.v, heed::logsumexp(lse), options...);
    }
    template <class... Options>
    void backward(const Options&... options) {
        heed::attention_backward_into(dq, dk, dv, dy, in.q, in.k, in.v, y, lse, options...);
    }
    // The largest error of a sum of weights, as a share of what is allowed.
    double excess(double want = 1) const {
        const double eps = static_cast<double>(std::numeric_limits<support::sum_type<T>>::epsilon());
        double worst = 0;
        for (long i = 0; i < p.queries; ++i) {
            double sum = 0;
            for (long j = 0; j < p.keys; ++j) sum += static_cast<double>(dv(0, 0, j, i));
            if (!(std::fabs(sum) <= HUGE_VAL)) return HUGE_VAL;
            worst = std::fmax(worst, std::fabs(sum - want));
        }
        return worst / (4 * eps * std::sqrt(static_cast<double>(p.keys)));
    }
};

template <class T>
reference::problem sample(support::random& r, long queries, long keys, double queries_times = 1) {
    auto p = support::problem<T>(r, 1, 1, 1, queries, keys, 8, queries);
    for (double& x : p.q) x *= queries_times;
    return p;
}

template <class T>
void check_biases(std::uint64_t seed) {
    support::random r(seed);
    const double most = std::is_same_v<T, double> ? 1e308 : 3e38;
    for (const long queries : {1L, 7L, 70L})
        for (const long keys : {1L, 2L, 10L, 130L, 1000L}) {
            if (queries > 7 && keys > 130) continue;
            weighing<T> w(sample<T>(r, queries, keys));
            for (double size : sizes)
                for (const double sign : {-1.0, 1.0}) {
                    if (size == 3e38) size = most;
                    support::tensor<support::sum_type<T>, 1> bias(keys);
                    bias.setConstant(static_cast<support::sum_type<T>>(sign * size));
                    w.forward(heed::bias(bias));
                    w.backward(heed::bias(bias));
                    INFO(queries << " queries, " << keys << " keys, biases of " << sign * size);
                    CHECK(w.excess() <= 1);
                }
        }
}

}  // namespace

TEST_CASE("biases of any size: float") { check_biases<float>(2901); }
TEST_CASE("biases of any size: double") { check_biases<double>(2902); }
TEST_CASE("biases of any size: half") { check_biases<Eigen::half>(2903); }
TEST_CASE("biases of any size: bfloat16") { check_biases<Eigen::bfloat16>(2904); }

TEST_CASE("products of any size, and the gradients of a row's scores add up to 0") {
    support::random r(2911);
    for (const long keys : {1L, 3L, 64L, 65L, 300L})
        for (const double size : {1.0, 30.0, 3.6e5, 1e9, 1e20, 1e37}) {
            weighing<float> w(sample<float>(r, 9, keys, size));
            support::tensor<float> bias(1, 1, 9, keys), dbias(1, 1, 9, keys);
            bias.setZero();
            w.forward(heed::bias(bias));
            w.backward(heed::bias(bias), heed::bias_gradient(dbias));
            INFO(keys << " keys, queries times " << size);
            CHECK(w.excess() <= 1);
            double worst = 0;
            for (long i = 0; i < 9; ++i) {
                double sum = 0;
                for (long j = 0; j < keys; ++j) sum += static_cast<double>(dbias(0, 0, i, j));
                worst = std::fmax(worst, std::fabs(sum));
            }
            // dP is a value of the row, around 1.
            CHECK(worst <= 16 * 1.2e-7 * std::sqrt(static_cast<double>(keys)));
            w.forward();
            w.backward();
            CHECK(w.excess() <= 1);
        }
}

TEST_CASE("products that overflow downwards are all as large as each other") {
    const heed_test::without_traps quiet;
    support::random r(2912);
    auto p = sample<float>(r, 5, 70);
    p.q.assign(p.q.size(), 1e30), p.k.assign(p.k.size(), -1e30);
    weighing<float> w(p);
    w.forward();
    w.backward();
    CHECK(w.excess() <= 1);
    w.forward(heed::softcap(1e9));
    w.backward(heed::softcap(1e9));
    CHECK(w.excess() <= 1);
    w.forward(heed::score([](auto s, heed::at) { return s + 1e9f; }));
    w.backward(heed::score([](auto s, heed::at) { return s + 1e9f; }));
    CHECK(w.excess() <= 1);
}

// Biases that are exact in float, steps apart around `centre`, and queries of 0: scores are their biases to
// the bit, and every gradient that of the oracle however large they are.
TEST_CASE("exact scores around any size: every gradient, beside masks, sinks, dropout and a log-sum-exp's") {
    support::random r(2921);
    int round = 0;
    for (const double centre : {-2147483648.0, -1048576.0, 0.0, 16777216.0, 1099511627776.0})
        for (const long queries : {3L, 67L})
            for (const long keys : {5L, 140L}) {
                auto p = support::problem<float>(r, 2, 4, 2, queries, keys, 6, 5);
                p.q.assign(p.q.size(), 0);
                const double step = std::fmax(1, std::fabs(centre) * 0x1p-23);
                support::tensor<float> bias(2, 4, queries, keys), dbias(2, 4, queries, keys);
                for (long i = 0; i < bias.size(); ++i)
                    bias.data()[i] =
                        r.chance(0.2)
                            ? -HUGE_VALF
                            : static_cast<float>(centre - step * static_cast<double>(r.between(0, 3)));
                std::vector<float> sinks(4);
                for (float& s : sinks)
                    s = static_cast<float>(centre - step * static_cast<double>(r.between(0, 2)));
                const bool sunk = ++round % 2 == 0;
                if (sunk) p.sinks.assign(sinks.begin(), sinks.end());
                for (float& s : sinks) s = sunk ? s : -HUGE_VALF;
                const long shift = keys - queries;
                p.visible = [=](reference::place i) { return i.key <= i.query + shift; };
                p.bias = [&](reference::place i) {
                    return static_cast<double>(bias(i.batch, i.head, i.query, i.key));
                };
                const double drop = round % 3 == 0 ? 0.25 : 0;
                p.keep = support::kept_weights(p.batch, p.heads, p.queries, p.keys, drop, 7);
                const support::backward_inputs<float> in(p, r, heed::causal, heed::bias(bias),
                                                         heed::sinks(sinks), heed::dropout(drop, 7));
                support::tensor<float, 3> of_lse(2, 4, queries);
                for (long i = 0; i < of_lse.size(); ++i) of_lse.data()[i] = static_cast<float>(r.normal());
                support::tensor<float, 1> dsinks(4);
                const auto got = in.gradients(p, heed::bias(bias), heed::bias_gradient(dbias), heed::causal,
                                              heed::sinks(sinks), heed::sinks_gradient(dsinks),
                                              heed::dropout(drop, 7), heed::logsumexp_gradient(of_lse));
                const auto truth = reference::solve<double>(p);
                const auto want = reference::differentiate(p, truth, in.from, {}, support::values(of_lse));
                const double factor = 2 + std::log1p(static_cast<double>(keys));
                const auto worst = [&](const auto& t, const auto& right, const auto& size) {
                    return support::gradient_excess<float>(support::values(t), right, size, factor);
                };
                INFO(support::describe(p) << ", biases around " << centre << (sunk ? ", sinks" : ""));
                CHECK(worst(got.q, want.q, want.q_size) <= 1);
                CHECK(worst(got.v, want.v, want.v_size) <= 1);
                CHECK(worst(dbias, want.scores, want.scores_size) <= 1);
                if (sunk) CHECK(worst(dsinks, want.sinks, want.sinks_size) <= 1);
            }
}

TEST_CASE("a row's bits do not depend on how large its neighbours are, nor on NaN behind a mask") {
    const heed_test::without_traps quiet;
    support::random r(2931);
    const long queries = 140, keys = 200;
    auto p = support::problem<float>(r, 1, 2, 1, queries, keys, 7, 6);
    support::backward_inputs<float> in(p, r, heed::causal);
    support::tensor<float> bias(1, 2, queries, 1);
    const auto gradients = [&](double share, const auto&... options) {
        // Some rows, the odd ones among them always, are large.
        support::random some(5);
        for (long h = 0; h < 2; ++h)
            for (long i = 0; i < queries; ++i)
                bias(0, h, i, 0) = some.chance(share) || i % 2 == 1 ? -1e9f : 0.0f;
        heed::attention_into(in.y, in.q, in.k, in.v, heed::causal, heed::bias(bias), heed::logsumexp(in.lse));
        return in.gradients(p, heed::causal, heed::bias(bias), options...);
    };
    const auto few = gradients(0.0), many = gradients(0.6);
    long different = 0;
    for (long h = 0; h < 2; ++h)
        for (long i = 1; i < queries; i += 2)
            different += !support::same_bits(&few.q(0, h, i, 0), &many.q(0, h, i, 0), 7);
    CHECK(different == 0);
    for (int run = 0; run < 5; ++run) {
        const support::jittery device{static_cast<int>(r.between(2, 5)), support::random(r.bits())};
        CHECK(gradients(0.6, heed::on(device)) == many);
    }
    // The last key is seen by the last query alone; nothing else may change.
    for (long f = 0; f < 7; ++f) in.k(0, 0, keys - 1, f) = std::numeric_limits<float>::quiet_NaN();
    const auto poisoned = gradients(0.6);
    different = 0;
    for (long h = 0; h < 2; ++h)
        different += !support::same_bits(&poisoned.q(0, h, 0, 0), &many.q(0, h, 0, 0),
                                         static_cast<std::size_t>(7 * (queries - 1)));
    CHECK(different == 0);
}

TEST_CASE("keys that are chosen by their scores") {
    support::random r(2941);
    for (const double size : {-1e9, 1e6}) {
        weighing<float> w(sample<float>(r, 20, 300));
        support::tensor<float, 1> bias(300);
        bias.setConstant(static_cast<float>(size));
        w.forward(heed::bias(bias), heed::top_k(40));
        w.backward(heed::bias(bias), heed::top_k(40));
        CHECK(w.excess() <= 1);
        w.forward(heed::bias(bias), heed::window(50, 3));
        w.backward(heed::bias(bias), heed::window(50, 3));
        CHECK(w.excess() <= 1);
    }
}
