// SPDX-License-Identifier: MIT
// tests/cummax/backward.cpp: gradients against the oracle's, and the oracle's against finite differences
#include <heed/thread_pool.hpp>

#include "support/cummax_problem.hpp"
#include "support/traps.hpp"

namespace {

using cummax_reference::shape;
using problem = cummax_reference::problem<double>;

struct setting {
    problem p;
    std::vector<double> g, last;
    bool special = false;
};

// Hybrid problems have a number of their own for each head.
template <class T>
setting random_setting(support::random& r, const shape& s, bool special) {
    setting x{support::cummax_problem<double>::random<T>(r, s, r.chance(0.6), special), {}, {}, special};
    x.p.state = support::normals<T>(r, s.states(), 0.5);
    x.g = support::normals<T>(r, s.size());
    x.last = support::normals<float>(r, s.states());
    for (double& number : x.p.state) number = support::widen(support::narrow<float>(number));
    if (!special && r.chance(0.3)) {
        x.p.across = x.p.hybrid = true;
        x.p.alpha = support::normals<float>(r, static_cast<std::size_t>(s.heads), 0.4);
    }
    return x;
}

template <class T>
struct outcome {
    support::tensor<T> o, a1, a2;
    support::tensor<support::sum_of<T>> state;
    support::tensor<support::sum_of<T>, 1> alpha;
};

template <class T, class... Options>
outcome<T> solve(const setting& x, const Options&... options) {
    using S = support::sum_of<T>;
    const heed_test::without_traps quiet(x.special);
    const shape& s = x.p.s;
    const support::cummax_inputs<T> in(x.p);
    const auto g = support::cummax_tensor<T>(x.g, s, s.positions);
    const auto state = support::cummax_tensor<S>(x.p.state, s, 1),
               last = support::cummax_tensor<S>(x.last, s, 1);
    outcome<T> d{in.o, in.o, in.o, state, support::tensor<S, 1>(s.heads)};
    d.o.setConstant(T(77)), d.a1.setConstant(T(77)), d.a2.setConstant(T(77)), d.state.setConstant(77);
    const auto call = [&](const auto&... more) {
        heed::cummax_attention_backward_into(
            d.o, d.a1, d.a2, g, in.o, in.a1, in.a2, heed::initial_state(state),
            heed::initial_state_gradient(d.state), heed::final_state_gradient(last), options..., more...);
    };
    if (x.p.hybrid) {
        const std::vector<float> alpha(x.p.alpha.begin(), x.p.alpha.end());
        call(heed::hybrid(alpha), heed::hybrid_gradient(d.alpha));
    } else if (x.p.across) {
        call();
    } else {
        call(heed::heads_apart);
    }
    return d;
}

// Relative to the largest number of the truth.
template <class Tensor>
double error_of(const Tensor& got, const std::vector<double>& want) {
    return support::max_error(support::values(got), want) / std::fmax(1.0, support::max_abs(want));
}

template <class T>
void check(const setting& x, double tolerance) {
    const heed_test::without_traps quiet(x.special);
    const auto want = cummax_reference::backward(x.p, x.g, x.last);
    const auto got = solve<T>(x);
    INFO(support::describe(x.p.s) << (x.p.hybrid ? " hybrid" : x.p.across ? " across" : " apart"));
    CHECK(error_of(got.o, want.o) <= tolerance);
    CHECK(error_of(got.a1, want.a1) <= tolerance);
    CHECK(error_of(got.a2, want.a2) <= tolerance);
    CHECK(error_of(got.state, want.state) <= tolerance);
    if (x.p.hybrid) CHECK(error_of(got.alpha, want.alpha) <= tolerance * 10);
}

}  // namespace

TEST_CASE("the oracle's gradients are those of finite differences") {
    support::random r(11);
    for (int round = 0; round < 20; ++round) {
        auto x = random_setting<double>(
            r, {r.between(1, 2), r.between(1, 4), r.between(1, 9), r.between(1, 3)}, false);
        const auto loss = [&] {
            const auto y = cummax_reference::forward(x.p);
            const auto state = cummax_reference::maxima_of(x.p).state;
            double sum = 0;
            for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * x.g[i];
            for (std::size_t i = 0; i < state.size(); ++i) sum += state[i] * x.last[i];
            return sum;
        };
        const auto d = cummax_reference::backward(x.p, x.g, x.last);
        const std::pair<std::vector<double>*, const std::vector<double>*> all[] = {{&x.p.o, &d.o},
                                                                                   {&x.p.a1, &d.a1},
                                                                                   {&x.p.a2, &d.a2},
                                                                                   {&x.p.state, &d.state},
                                                                                   {&x.p.alpha, &d.alpha}};
        double worst = 0;
        for (const auto& [in, gradient] : all)
            for (std::size_t i = 0; i < in->size(); ++i) {
                const double before = (*in)[i], h = 1e-6;
                (*in)[i] = before + h;
                const double up = loss();
                (*in)[i] = before - h;
                const double down = loss();
                (*in)[i] = before;
                worst = std::fmax(worst, std::fabs((up - down) / (2 * h) - (*gradient)[i]));
            }
        CHECK(worst <= 1e-6);
    }
}

TEST_CASE("gradients are the oracle's, in every element type") {
    support::random r(12);
    for (int round = 0; round < 60; ++round) {
        const shape s{r.between(1, 3), r.skewed(1, 7), r.skewed(1, 1300), r.skewed(1, 70)};
        check<float>(random_setting<float>(r, s, r.chance(0.4)), 2e-6);
        if (round % 3 == 0) check<double>(random_setting<double>(r, s, r.chance(0.4)), 1e-14);
        if (round % 3 == 1) check<Eigen::half>(random_setting<Eigen::half>(r, s, false), 1e-3);
        if (round % 3 == 2) check<Eigen::bfloat16>(random_setting<Eigen::bfloat16>(r, s, false), 8e-3);
    }
}

TEST_CASE("any number of threads gives the bits of none, in gradients too") {
    support::random r(13);
    for (int round = 0; round < 12; ++round) {
        const shape s{r.between(1, 2), r.between(1, 3), r.between(1, 1400), r.skewed(1, 40)};
        const auto x = random_setting<float>(r, s, r.chance(0.5));
        const heed_test::without_traps quiet(x.special);  // before the threads start: they take it over
        const auto alone = solve<float>(x);
        for (const int threads : {2, 3, 8}) {
            const heed::thread_pool pool(threads);
            const auto got = solve<float>(x, heed::on(pool));
            INFO(support::describe(s) << ", " << threads << " threads");
            CHECK(support::same_tensors(got.o, alone.o));
            CHECK(support::same_tensors(got.a1, alone.a1));
            CHECK(support::same_tensors(got.a2, alone.a2));
            CHECK(support::same_tensors(got.state, alone.state));
            if (x.p.hybrid) CHECK(support::same_tensors(got.alpha, alone.alpha));
        }
    }
}

TEST_CASE("a call that returns its gradients is the one that writes them") {
    support::random r(14);
    const shape s{2, 3, 70, 9};
    const auto p = support::cummax_problem<float>::random<float>(r, s, true, false);
    const support::cummax_inputs<float> in(p);
    const auto g = support::cummax_tensor<float>(support::normals<float>(r, s.size()), s, s.positions);
    const auto d = heed::cummax_attention_backward(g, in.o, in.a1, in.a2);
    support::tensor<float> o(in.o), a1(in.o), a2(in.o);
    heed::cummax_attention_backward_into(o, a1, a2, g, in.o, in.a1, in.a2);
    CHECK(support::same_tensors(d.o, o));
    CHECK(support::same_tensors(d.a1, a1));
    CHECK(support::same_tensors(d.a2, a2));
    const float alpha = 0.25f;
    support::tensor<float, 1> one(1), each(3);
    (void)heed::cummax_attention_backward(g, in.o, in.a1, in.a2, heed::hybrid(alpha),
                                          heed::hybrid_gradient(one));
    (void)heed::cummax_attention_backward(g, in.o, in.a1, in.a2, heed::hybrid(alpha),
                                          heed::hybrid_gradient(each));
    CHECK(std::fabs(one(0) - (each(0) + each(1) + each(2))) <= 1e-4f);
}
