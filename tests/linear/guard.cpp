// SPDX-License-Identifier: MIT
// tests/linear/guard.cpp: no byte outside a tensor is read or written (R11)
//
// Every tensor of a call lies against a wall, at the front or the back, misaligned by 0 to 60 bytes; sizes
// 1...130 on every axis. A read outside faults, or reads a NaN that shows in an output; a write outside
// faults or is seen beside the array. Forward and backward, every rule and element type, the states and
// the gradients of decay and beta; rotary's tensors too.
#include <heed/linear.hpp>
#include <heed/rotary.hpp>

#include "support/catch.hpp"
#include "support/guard.hpp"
#include "support/linear_problems.hpp"
#include "support/tensors.hpp"

namespace {

using support::rule;

constexpr std::size_t most = 140 * 140 * 3;  // elements of the largest tensor

template <class T>
struct guarded {
    support::guarded_arena arena{most * sizeof(T)};
    T* data = nullptr;
    std::size_t size = 0;

    void place(support::random& r, long a, long b, long c, long d, bool numbers, double low = -1,
               double high = 1) {
        size = static_cast<std::size_t>(a * b * c * d);
        const std::size_t gap = r.chance(0.6) ? 0 : 4 * static_cast<std::size_t>(r.between(1, 15));
        data = arena.place<T>(size, r.chance(0.5) ? support::wall::front : support::wall::back,
                              gap / sizeof(T) * sizeof(T));
        for (std::size_t i = 0; i < size && numbers; ++i) data[i] = support::narrow<T>(r.uniform(low, high));
    }
    bool fine() const {
        bool good = arena.untouched_outside();
        for (std::size_t i = 0; i < size; ++i) good = good && std::isfinite(support::widen(data[i]));
        return good;
    }
};

template <class T>
struct guarded_call {
    using sum = std::conditional_t<sizeof(T) == 8, double, float>;
    guarded<T> q, k, v, y, dy, dq, dk, dv, decay, beta;
    guarded<sum> before, after, ddecay, dbeta, dbefore, dafter;

    // False when something was read or written outside.
    bool run(support::random& r, std::string& what) {
        const long axis = r.between(0, 2);
        const long n = axis == 0 ? r.between(1, 130) : r.skewed(1, 24),
                   d_k = axis == 1 ? r.between(1, 130) : r.skewed(1, 24);
        const long d_v = axis == 2 ? r.between(1, 130) : r.skewed(1, 24);
        const long kv = r.skewed(1, 2), heads = kv * r.skewed(1, 3), batch = r.skewed(1, 2);
        const rule kind = support::all_rules[r.between(0, 5)];
        const long columns = kind == rule::linear ? d_v + 1 : d_v,
                   width = support::per_feature(kind) ? d_k : 1;
        if (static_cast<std::size_t>(batch * heads * std::max(n, d_k) * std::max(d_k, d_v + 1)) > most)
            return true;
        what = "rule " + std::to_string(static_cast<int>(kind)) + ", " + std::to_string(n) +
               " positions, features " + std::to_string(d_k) + " and " + std::to_string(d_v) + ", heads " +
               std::to_string(heads) + "/" + std::to_string(kv) + ", batch " + std::to_string(batch);
        q.place(r, batch, heads, n, d_k, true), v.place(r, batch, kv, n, d_v, true);
        const double length = 1 / std::sqrt(double(d_k));  // of keys at most 1, for the delta rule
        k.place(r, batch, kv, n, d_k, true, -length, length);
        y.place(r, batch, heads, n, d_v, false), dy.place(r, batch, heads, n, d_v, true);
        dq.place(r, batch, heads, n, d_k, false), dk.place(r, batch, kv, n, d_k, false),
            dv.place(r, batch, kv, n, d_v, false);
        decay.place(r, batch, kv, n, width, true, -2, 0), beta.place(r, batch, kv, n, 1, true, 0, 1);
        before.place(r, batch, kv, d_k, columns, true, 0, 1), after.place(r, batch, kv, d_k, columns, false);
        dbefore.place(r, batch, kv, d_k, columns, false), dafter.place(r, batch, kv, d_k, columns, true);
        ddecay.place(r, batch, kv, n, width, false), dbeta.place(r, batch, kv, n, 1, false);

        using map = Eigen::TensorMap<support::tensor<T>>;
        using map3 = Eigen::TensorMap<support::tensor<T, 3>>;
        using sums = Eigen::TensorMap<support::tensor<sum>>;
        using sums3 = Eigen::TensorMap<support::tensor<sum, 3>>;
        const map tq(q.data, batch, heads, n, d_k), tk(k.data, batch, kv, n, d_k),
            tv(v.data, batch, kv, n, d_v), tdy(dy.data, batch, heads, n, d_v);
        map ty(y.data, batch, heads, n, d_v), tdq(dq.data, batch, heads, n, d_k),
            tdk(dk.data, batch, kv, n, d_k), tdv(dv.data, batch, kv, n, d_v);
        const sums tbefore(before.data, batch, kv, d_k, columns),
            tdafter(dafter.data, batch, kv, d_k, columns);
        sums tafter(after.data, batch, kv, d_k, columns), tdbefore(dbefore.data, batch, kv, d_k, columns);
        const map tg4(decay.data, batch, kv, n, d_k);
        const map3 tg3(decay.data, batch, kv, n), tbeta(beta.data, batch, kv, n);
        sums tdg4(ddecay.data, batch, kv, n, d_k);
        sums3 tdg3(ddecay.data, batch, kv, n), tdbeta(dbeta.data, batch, kv, n);
        bool fine = true;
        const auto call = [&](const auto& rules, const auto& gradients) {
            std::apply(
                [&](const auto&... options) {
                    heed::linear_attention_into(ty, tq, tk, tv, heed::causal, heed::initial_state(tbefore),
                                                heed::final_state(tafter), options...);
                    std::apply(
                        [&](const auto&... outputs) {
                            heed::linear_attention_backward_into(
                                tdq, tdk, tdv, tdy, tq, tk, tv, heed::causal, heed::initial_state(tbefore),
                                heed::initial_state_gradient(tdbefore), heed::final_state_gradient(tdafter),
                                options..., outputs...);
                        },
                        gradients);
                },
                rules);
        };
        const auto g3 = heed::decay(tg3);
        const auto g4 = heed::decay(tg4);
        const auto dg3 = heed::decay_gradient(tdg3);
        const auto dg4 = heed::decay_gradient(tdg4);
        const auto b = heed::delta(tbeta);
        const auto db = heed::delta_gradient(tdbeta);
        switch (kind) {
            case rule::linear:
                call(std::tuple<>(), std::tuple<>());
                break;
            case rule::gated:
                call(std::tuple(g3), std::tuple(dg3));
                break;
            case rule::gated_features:
                call(std::tuple(g4), std::tuple(dg4));
                break;
            case rule::delta:
                call(std::tuple(b), std::tuple(db));
                break;
            case rule::gated_delta:
                call(std::tuple(g3, b), std::tuple(dg3, db));
                break;
            case rule::gated_features_delta:
                call(std::tuple(g4, b), std::tuple(dg4, db));
                break;
        }
        if (support::has_decay(kind)) fine = fine && ddecay.fine();
        if (support::has_delta(kind)) fine = fine && dbeta.fine();
        return fine && y.fine() && after.fine() && dq.fine() && dk.fine() && dv.fine() && dbefore.fine();
    }
};

}  // namespace

TEST_CASE("float between walls") { support::many<guarded_call<float>>(3601, 12000); }
TEST_CASE("double between walls") { support::many<guarded_call<double>>(3602, 3000); }
TEST_CASE("half and bfloat16 between walls") {
    support::many<guarded_call<Eigen::half>>(3603, 2000);
    support::many<guarded_call<Eigen::bfloat16>>(3604, 2000);
}

TEST_CASE("maps, not causal, between walls") {
    support::random r(3605);
    guarded<float> q, k, v, y;
    long wrong = 0;
    for (int i = 0; i < 4000; ++i) {
        const long queries = r.skewed(1, 130), keys = r.skewed(1, 130), d_k = r.skewed(1, 20),
                   d_v = r.skewed(1, 20), heads = r.between(1, 2);
        q.place(r, 1, heads, queries, d_k, true), k.place(r, 1, heads, keys, d_k, true);
        v.place(r, 1, heads, keys, d_v, true), y.place(r, 1, heads, queries, d_v, false);
        using map = Eigen::TensorMap<support::tensor<float>>;
        const map tq(q.data, 1, heads, queries, d_k), tk(k.data, 1, heads, keys, d_k),
            tv(v.data, 1, heads, keys, d_v);
        map ty(y.data, 1, heads, queries, d_v);
        switch (i % 5) {
            case 0:
                heed::linear_attention_into(ty, tq, tk, tv);
                break;
            case 1:
                heed::linear_attention_into(ty, tq, tk, tv, heed::softmax_features);
                break;
            case 2:
                heed::linear_attention_into(ty, tq, tk, tv, heed::taylor);
                break;
            case 3:
                heed::linear_attention_into(ty, tq, tk, tv, heed::efficient);
                break;
            default:
                heed::linear_attention_into(ty, tq, tk, tv, heed::favor(7, 1));
                break;
        }
        wrong += !y.fine();
    }
    CHECK(wrong == 0);
}

TEST_CASE("rotary between walls") {
    support::random r(3606);
    guarded<float> x, y, cos, sin;
    long wrong = 0;
    for (int i = 0; i < 4000; ++i) {
        const long n = r.skewed(1, 60), d = r.skewed(1, 80), heads = r.between(1, 3),
                   pairs = r.between(0, d / 2);
        x.place(r, 1, heads, n, d, true), y.place(r, 1, heads, n, d, false);
        cos.place(r, 1, 1, n, pairs, true), sin.place(r, 1, 1, n, pairs, true);
        const Eigen::TensorMap<support::tensor<float, 2>> c(cos.data, n, pairs), s(sin.data, n, pairs);
        const Eigen::TensorMap<support::tensor<float>> from(x.data, 1, heads, n, d);
        Eigen::TensorMap<support::tensor<float>> to(y.data, 1, heads, n, d);
        if (i % 2 == 0)
            heed::rotary_into(to, from, c, s);
        else
            heed::rotary_backward_into(to, from, c, s, heed::interleaved);
        wrong += !y.fine();
    }
    CHECK(wrong == 0);
}
