// SPDX-License-Identifier: MIT
// tests/cummax/maxstate.cpp: the published models' forms against loops in double, and finite differences
#include <functional>

#include <heed/thread_pool.hpp>

#include "support/cummax_problem.hpp"
#include "support/maxstate_reference.hpp"

namespace {

using namespace maxstate_reference;

// The gradient of sum y g by central differences.
list differences(list& x, const std::function<list()>& solve, const list& g) {
    list d(x.size());
    const auto loss = [&] {
        const list y = solve();
        double sum = 0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * g[i];
        return sum;
    };
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double before = x[i];
        x[i] = before + 1e-6;
        const double up = loss();
        x[i] = before - 1e-6;
        d[i] = (up - loss()) / 2e-6;
        x[i] = before;
    }
    return d;
}

template <class Tensor>
double error_of(const Tensor& got, const list& want) {
    return support::max_error(support::values(got), want) / std::fmax(1.0, support::max_abs(want));
}

struct random_lists {
    support::random& r;
    const shape& s;
    list operator()() const { return support::normals<float>(r, s.size()); }
    list state() const { return support::normals<float>(r, s.states()); }
};

}  // namespace

TEST_CASE("maxstate and its gradients") {
    support::random r(41);
    for (int round = 0; round < 25; ++round) {
        const shape s{r.between(1, 2), r.between(1, 3), r.skewed(1, 140), r.skewed(1, 12)};
        const random_lists made{r, s};
        list o = made(), a1 = made(), a2 = made(), state = made.state();
        const list g = made();
        const auto solve = [&] { return maxstate(s, o, a1, a2, state); };
        const auto as = [&](const list& x) { return support::cummax_tensor<double>(x, s, s.positions); };
        const auto seen = support::cummax_tensor<double>(state, s, 1);
        support::tensor<double> d_state(seen), last(seen);
        const auto y =
            heed::maxstate(as(o), as(a1), as(a2), heed::initial_state(seen), heed::final_state(last));
        INFO(support::describe(s));
        CHECK(error_of(y, solve()) <= 1e-14);
        const auto half = support::cummax_tensor<float>(o, s, s.positions);
        CHECK(error_of(heed::maxstate(half, support::cummax_tensor<float>(a1, s, s.positions),
                                      support::cummax_tensor<float>(a2, s, s.positions)),
                       maxstate(s, o, a1, a2, {})) <= 1e-6);
        const auto d = heed::maxstate_backward(as(g), as(o), as(a1), as(a2), heed::initial_state(seen),
                                               heed::initial_state_gradient(d_state));
        if (round < 12 && s.size() < 400) {
            CHECK(error_of(d.o, differences(o, solve, g)) <= 1e-7);
            CHECK(error_of(d.a1, differences(a1, solve, g)) <= 1e-7);
            CHECK(error_of(d.a2, differences(a2, solve, g)) <= 1e-7);
            CHECK(error_of(d_state, differences(state, solve, g)) <= 1e-7);
        }
        const heed::thread_pool pool(3);
        auto threaded = as(a1);
        heed::maxstate_into(threaded, as(o), threaded, as(a2), heed::initial_state(seen), heed::on(pool));
        CHECK(support::same_tensors(threaded, y));
        const auto e =
            heed::maxstate_backward(as(g), as(o), as(a1), as(a2), heed::initial_state(seen), heed::on(pool));
        CHECK(support::same_tensors(d.o, e.o));
        CHECK(support::same_tensors(d.a1, e.a1));
    }
}

TEST_CASE("maxstate_super with and without the mix over heads, and all its gradients") {
    support::random r(42);
    for (int round = 0; round < 24; ++round) {
        const shape s{r.between(1, 2), r.between(1, 3), r.skewed(1, 140), r.skewed(1, 8)};
        const random_lists made{r, s};
        list u[4] = {made(), made(), made(), made()}, state = made.state(), k{0.5, -0.25, 0.75}, mix;
        const bool mixes = round % 2 == 0;
        if (mixes) mix = support::normals<float>(r, static_cast<std::size_t>(5 * s.heads * s.heads), 0.3);
        const list g = made();
        const auto solve = [&] { return super(s, u, k, mix, state); };
        const auto as = [&](const list& x) { return support::cummax_tensor<double>(x, s, s.positions); };
        const support::tensor<double> t[4] = {as(u[0]), as(u[1]), as(u[2]), as(u[3])}, dy = as(g);
        const auto seen = support::cummax_tensor<double>(state, s, 1);
        support::tensor<double> d_state(seen);
        support::tensor<double, 2> m(s.heads, 5 * s.heads), dm(m);
        for (std::size_t i = 0; i < mix.size(); ++i) m.data()[i] = mix[i];
        const std::array<double, 3> alphas{k[0], k[1], k[2]};
        const heed::thread_pool pool(3);
        const auto forward = [&](const auto&... options) {
            return mixes ? heed::maxstate_super(t[0], t[1], t[2], t[3], alphas, heed::initial_state(seen),
                                                heed::head_mix(m), options...)
                         : heed::maxstate_super(t[0], t[1], t[2], t[3], alphas, heed::initial_state(seen),
                                                options...);
        };
        const auto backward = [&](const auto&... options) {
            return mixes ? heed::maxstate_super_backward(
                               dy, t[0], t[1], t[2], t[3], alphas, heed::initial_state(seen),
                               heed::initial_state_gradient(d_state), heed::head_mix(m),
                               heed::head_mix_gradient(dm), options...)
                         : heed::maxstate_super_backward(dy, t[0], t[1], t[2], t[3], alphas,
                                                         heed::initial_state(seen),
                                                         heed::initial_state_gradient(d_state), options...);
        };
        const auto y = forward();
        INFO(support::describe(s) << (mixes ? " mixed" : ""));
        CHECK(error_of(y, solve()) <= 1e-14);
        CHECK(support::same_tensors(y, forward(heed::on(pool))));
        const auto d = backward();
        if (round < 14 && s.size() < 400) {
            CHECK(error_of(d.a, differences(u[0], solve, g)) <= 1e-7);
            CHECK(error_of(d.b, differences(u[1], solve, g)) <= 1e-7);
            CHECK(error_of(d.c, differences(u[2], solve, g)) <= 1e-7);
            CHECK(error_of(d.d, differences(u[3], solve, g)) <= 1e-7);
            CHECK(error_of(d_state, differences(state, solve, g)) <= 1e-7);
            const list dk = differences(k, solve, g);
            CHECK(support::max_error(list(d.alphas.begin(), d.alphas.end()), dk) <=
                  1e-7 * std::fmax(1.0, support::max_abs(dk)));
            if (mixes) CHECK(error_of(dm, differences(mix, solve, g)) <= 1e-7);
        }
        const auto e = backward(heed::on(pool));
        CHECK(support::same_tensors(d.a, e.a));
        CHECK(support::same_tensors(d.c, e.c));
        CHECK(d.alphas == e.alphas);
    }
}

TEST_CASE("several tokens with a state do not look ahead, in 16 bits and in parts") {
    support::random r(43);
    const shape s{1, 2, 50, 9};
    const random_lists made{r, s};
    const auto as = [&](const list& x) { return support::cummax_tensor<Eigen::bfloat16>(x, s, s.positions); };
    const auto a = as(made()), b = as(made()), c = as(made()), d = as(made());
    const auto whole = heed::maxstate_super(a, b, c, d, {0.5, 0.5, 0.5});
    auto parts = whole;
    parts.setConstant(Eigen::bfloat16(0));
    support::tensor<float> state(1, 2, 1, 9);
    state.setConstant(-HUGE_VALF);
    for (const auto& [first, count] : {std::pair{0L, 13L}, {13L, 1L}, {14L, 36L}}) {
        const auto part = [&, from = first, n = count](auto& t) {
            return heed::as_view(t).slice_positions(from, n);
        };
        heed::maxstate_super_into(part(parts), part(a), part(b), part(c), part(d), {0.5, 0.5, 0.5},
                                  heed::state(state));
    }
    CHECK(support::same_tensors(parts, whole));
}
