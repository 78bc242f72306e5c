// SPDX-License-Identifier: MIT
// tests/attention/backward_custom.cpp: gradients through score(f): dual numbers, and df of the caller's
#include "support/attention_gradient_call.hpp"

using heed::math::select;

TEST_CASE("a generic lambda is differentiated by itself") {
    support::for_gradient_problems<float>(3211, 60, [](reference::problem& p, support::random& r) {
        p.score = [](double s, reference::place i) {
            return 2 * std::tanh(s / 2) - 0.125 * double(i.query - i.key) + s * s / 16;
        };
        const reference::score_slope slope = [](double s, reference::place) {
            const double t = std::tanh(s / 2);
            return 1 - t * t + s / 8;
        };
        support::check_backward<float>(p, r, slope, heed::score([](auto s, heed::at i) {
                                           return 2.0f * heed::math::tanh(s / 2) -
                                                  0.125f * static_cast<float>(i.query - i.key) + s * s / 16;
                                       }));
    });
}

TEST_CASE("behind a softcap, before a mask, hidden by -inf, in double") {
    support::for_gradient_problems<double>(3212, 40, [](reference::problem& p, support::random& r) {
        p.softcap = 5;
        const auto hidden = [](reference::place i) { return (i.query + i.key) % 5 == 3; };
        p.score = [=](double s, reference::place i) {
            return hidden(i) ? -HUGE_VAL : s > 0 ? s * 1.5 : std::exp(s);
        };
        const reference::score_slope slope = [](double s, reference::place) {
            return s > 0 ? 1.5 : std::exp(s);
        };
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) { return i.key <= i.query + shift; };
        support::check_backward<double>(p, r, slope, heed::softcap(5), heed::causal,
                                        heed::score([](auto s, heed::at i) {
                                            const auto shaped = select(s > 0, s * 1.5, heed::math::exp(s));
                                            return select((i.query + i.key) % 5 == 3, -HUGE_VAL, shaped);
                                        }));
    });
}

TEST_CASE("the caller's derivative is taken where it is given") {
    support::for_gradient_problems<float>(3213, 40, [](reference::problem& p, support::random& r) {
        p.score = [](double s, reference::place i) { return std::sin(s) * double(i.head + 1); };
        const reference::score_slope slope = [](double s, reference::place i) {
            return std::cos(s) * double(i.head + 1);
        };
        support::check_backward<float>(
            p, r, slope,
            heed::score([](float s, heed::at i) { return std::sin(s) * static_cast<float>(i.head + 1); },
                        [](float s, heed::at i) { return std::cos(s) * static_cast<float>(i.head + 1); }));
    });
}

TEST_CASE("a score that does not depend on the product passes nothing back") {
    support::random r(3214);
    const auto p = support::problem<float>(r, 1, 2, 1, 9, 70, 5, 4);
    const auto fixed = heed::score([](auto, heed::at i) { return 0.25f * static_cast<float>(i.key); });
    const support::backward_inputs<float> in(p, r, fixed);
    const auto g = in.gradients(p, fixed);
    CHECK(support::positive_zero(g.q.data(), static_cast<std::size_t>(g.q.size())));
    CHECK(support::positive_zero(g.k.data(), static_cast<std::size_t>(g.k.size())));
}

// Every function of heed::math on a dual number, and every operator, against central differences.
TEST_CASE("dual numbers have all of heed::math and mix with plain numbers") {
    using dual = heed::detail::dual<double>;
    const auto check = [](const auto& f, double x) {
        constexpr double h = 1e-6;
        const dual d = f(dual(x, 1.0));
        INFO(x);
        CHECK(std::fabs(d.value - f(x)) <= 1e-12 * (1 + std::fabs(d.value)));
        CHECK(std::fabs(d.slope - (f(x + h) - f(x - h)) / (2 * h)) <= 1e-7 * (1 + std::fabs(d.slope)));
    };
    for (const double x : {-2.3, -0.7, 0.4, 1.9}) {
        namespace m = heed::math;
        check([](auto s) { return m::exp(s) + 2; }, x);
        check([](auto s) { return 1 - m::tanh(2.5 * s); }, x);
        check([](auto s) { return m::sigmoid(-s) * s; }, x);
        check([](auto s) { return m::sqrt(s * s + 1) / 3; }, x);
        check([](auto s) { return m::log(s * s + 0.5) - s; }, x);
        check([](auto s) { return m::abs(s) / (s * s + 1); }, x);
        check([](auto s) { return m::max(s, s * s) + m::min(s * 2, +s); }, x);
        check([](auto s) { return m::select(s < 0, 3 * s, s * s); }, x);
        check(
            [](auto s) {
                auto y = s;
                y += s;
                y -= 3;
                y *= s;
                y /= (s * s + 2);
                return y;
            },
            x);
        check([](auto s) { return s >= 1 || s <= -1 ? s : s > 0.5 ? -s : s == 7 ? s : 2 * s; }, x);
    }
    const dual x(0.5, 1.0);
    CHECK(heed::math::max(x, 1).slope == 0);
    CHECK(heed::math::max(0, x).slope == 1);
    CHECK(heed::math::min(x, 1).slope == 1);
    CHECK(heed::math::min(0, x).slope == 0);
    CHECK(heed::math::select(true, x, 1).slope == 1);
    CHECK(heed::math::select(true, 1, x).slope == 0);
}
