// SPDX-License-Identifier: MIT
// tests/linear/drift.cpp: a million positions (R23)
//
// A sum of a million floats one after the other is off by some hundred units in the last place, and a
// stream never ends: the state may not drift. Relative error of the last rows and of the state below 1e-5,
// in one call and in calls of 1000 positions.
#include "support/linear_call.hpp"

namespace {

constexpr long length = 1000000, d = 8;

struct stream {
    support::tensor<float> q{1, 1, length, d}, k{1, 1, length, d}, v{1, 1, length, d};
    std::vector<double> state;  // sums in double, (d, d + 1)
    stream() : state(d * (d + 1)) {
        support::random r(2401);
        // The values have a mean: without one the sums cancel and say nothing of drift.
        for (long i = 0; i < q.size(); ++i) {
            q.data()[i] = static_cast<float>(r.uniform(-1, 1)),
            k.data()[i] = static_cast<float>(r.uniform(-1, 1));
            v.data()[i] = static_cast<float>(r.uniform(0, 1));
        }
        for (long t = 0; t < length; ++t)
            for (long f = 0; f < d; ++f)
                for (long e = 0; e <= d; ++e)
                    state[static_cast<std::size_t>(f * (d + 1) + e)] +=
                        map(k(0, 0, t, f)) * (e < d ? static_cast<double>(v(0, 0, t, e)) : 1);
    }
    static double map(float x) {
        return x > 0 ? static_cast<double>(x) + 1 : std::exp(static_cast<double>(x));
    }

    // Of the last row and of the state, the largest relative error.
    double error(const support::tensor<float>& y, const support::tensor<float>& last) const {
        double worst = 0;
        for (std::size_t i = 0; i < state.size(); ++i)
            worst = std::fmax(worst, std::fabs(static_cast<double>(last.data()[i]) / state[i] - 1));
        double below = 0;
        for (long f = 0; f < d; ++f)
            below += map(q(0, 0, length - 1, f)) * state[static_cast<std::size_t>(f * (d + 1) + d)];
        for (long e = 0; e < d; ++e) {
            double above = 0;
            for (long f = 0; f < d; ++f)
                above += map(q(0, 0, length - 1, f)) * state[static_cast<std::size_t>(f * (d + 1) + e)];
            worst = std::fmax(
                worst, std::fabs(static_cast<double>(y(0, 0, y.dimension(2) - 1, e)) / (above / below) - 1));
        }
        return worst;
    }
};

const stream& shared() {
    static const stream s;
    return s;
}

}  // namespace

TEST_CASE("a million positions in one call") {
    const stream& s = shared();
    support::tensor<float> state(1, 1, d, d + 1);
    const support::tensor<float> y =
        heed::linear_attention(s.q, s.k, s.v, heed::causal, heed::final_state(state));
    CHECK(s.error(y, state) < 1e-5);
    // Not causal, one query: the sum over all keys.
    const support::tensor<float> one =
        heed::linear_attention(heed::as_view(s.q).slice_positions(length - 1, 1), s.k, s.v);
    CHECK(s.error(one, state) < 1e-5);
}

TEST_CASE("a million positions, a thousand at a time") {
    const stream& s = shared();
    support::tensor<float> state(1, 1, d, d + 1), y(1, 1, 1000, d);
    state.setZero();
    for (long first = 0; first < length; first += 1000) {
        const auto cut = [&](const auto& t) { return heed::as_view(t).slice_positions(first, 1000); };
        heed::linear_attention_into(y, cut(s.q), cut(s.k), cut(s.v), heed::causal, heed::state(state));
    }
    CHECK(s.error(y, state) < 1e-5);
}
