// SPDX-License-Identifier: MIT
// tests/attention/backward_scores.cpp: gradients through softcap, alibi and a bias, and of slopes and biases
#include "support/attention_gradient_call.hpp"
#include "support/broadcast.hpp"
#include "support/pair_sums.hpp"

TEST_CASE("softcap") {
    support::for_gradient_problems<float>(3141, 80, [](reference::problem& p, support::random& r) {
        p.softcap = static_cast<double>(r.between(1, 8));
        support::check_backward<float>(p, r, heed::softcap(p.softcap));
    });
}

TEST_CASE("alibi and the gradient of its slopes, behind a softcap") {
    support::for_gradient_problems<float>(3142, 80, [](reference::problem& p, support::random& r) {
        std::vector<float> slopes(static_cast<std::size_t>(p.heads));
        for (float& s : slopes) s = static_cast<float>(r.uniform(-0.2, 0.6));
        const long shift = p.keys - p.queries;
        const auto distance = [=](reference::place i) {
            return std::fabs(static_cast<double>(i.query + shift - i.key));
        };
        p.softcap = 4;
        p.bias = [=](reference::place i) {
            return -static_cast<double>(slopes[static_cast<std::size_t>(i.head)]) * distance(i);
        };
        const support::backward_inputs<float> in(p, r, heed::softcap(4), heed::alibi(slopes));
        const auto truth = reference::solve<double>(p);
        const auto want = reference::differentiate(p, truth, in.from);
        support::tensor<float, 1> dslopes(p.heads);
        dslopes.setConstant(-77);
        const auto got =
            in.gradients(p, heed::softcap(4), heed::alibi(slopes), heed::slopes_gradient(dslopes));
        support::check_gradients<float>(p, truth, want, got);
        const support::pair_sums sums(p, want, p.heads,
                                      [&](reference::place i) { return std::pair{i.head, -distance(i)}; });
        CHECK(support::gradient_excess<float>(support::values(dslopes), sums.sum, sums.size,
                                              support::gradient_size(p, truth)) <= 1);
    });
}

TEST_CASE("a bias and its gradient, however it broadcasts, -inf in it, under causal") {
    support::for_gradient_problems<float>(3143, 120, [](reference::problem& p, support::random& r) {
        const support::broadcast_shape<4> shape(r, p);
        support::tensor<float> bias(shape.extents), dbias(shape.extents);
        for (long i = 0; i < bias.size(); ++i)
            bias.data()[i] = r.chance(0.2) ? -HUGE_VALF : static_cast<float>(r.normal());
        dbias.setConstant(-77);
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) { return i.key <= i.query + shift; };
        p.bias = [&](reference::place i) { return support::widen(bias.data()[shape.index_of(i)]); };
        const support::backward_inputs<float> in(p, r, heed::bias(bias), heed::causal);
        const auto truth = reference::solve<double>(p);
        const auto want = reference::differentiate(p, truth, in.from);
        const auto got = in.gradients(p, heed::causal, heed::bias(bias), heed::bias_gradient(dbias));
        support::check_gradients<float>(p, truth, want, got);
        const support::pair_sums sums(p, want, bias.size(),
                                      [&](reference::place i) { return std::pair{shape.index_of(i), 1.0}; });
        INFO(support::describe(p));
        CHECK(support::gradient_excess<float>(support::values(dbias), sums.sum, sums.size,
                                              support::gradient_size(p, truth)) <= 1);
    });
}

TEST_CASE("a saturated softcap keeps the digits of its gradient") {
    // Two keys of nearly the same capped score: weights of a half, and a slope of 4 e^-2s.
    const auto look = [](auto element, double s, auto&&... option) {
        using T = decltype(element);
        support::tensor<T, 2> q(1, 1), k(2, 1), v(2, 1), y(1, 1), dy(1, 1), dq(1, 1), dk(2, 1), dv(2, 1);
        support::tensor<T, 3> lse(1, 1, 1);
        q.setConstant(1), k(0, 0) = k(1, 0) = static_cast<T>(s), v(0, 0) = 1, v(1, 0) = -1, dy.setConstant(1);
        heed::attention_into(y, q, k, v, option..., heed::scale(1), heed::logsumexp(lse));
        heed::attention_backward_into(dq, dk, dv, dy, q, k, v, y, lse, option..., heed::scale(1));
        const double e = std::exp(-2 * s), want = 0.5 * 4 * e / ((1 + e) * (1 + e));
        INFO(s << ": " << static_cast<double>(dk(0, 0)) << ", needs " << want);
        CHECK(std::fabs(static_cast<double>(dk(0, 0)) / want - 1) < 1e-5);
        CHECK(std::fabs(static_cast<double>(dk(1, 0)) / want + 1) < 1e-5);
    };
    const auto cap = heed::score([](auto s, heed::at) { return heed::math::tanh(s); });
    // Its derivative is tanh's: 4 e / (1 + e)^2 with e = e^-2s.
    const auto sigmoid = heed::score([](auto s, heed::at) { return 2 * heed::math::sigmoid(2 * s); });
    for (const double s : {0.25, 3.0, 8.0, 12.0, 30.0}) {
        look(float(), s, heed::softcap(1)), look(double(), s, heed::softcap(1));
        look(float(), s, cap), look(double(), s, cap);
        look(float(), s, sigmoid), look(double(), s, sigmoid);
    }
    look(double(), 150.0, heed::softcap(1));
}
