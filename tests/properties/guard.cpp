// SPDX-License-Identifier: MIT
// tests/properties/guard.cpp: no byte outside a tensor is read or written (R11)
//
// q, k, v, y and the log-sum-exp lie against walls, at the front or the back, misaligned by 0 to
// 60 bytes; sizes 1...130 on every axis. A read outside faults, or reads a NaN that shows in y;
// a write outside faults or is seen beside the array. 100,000 cases on each target.
#include <heed/attention.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/problems.hpp"
#include "support/tensors.hpp"

namespace {

template <class T>
struct guarded {
    support::guarded_arena arena{140 * 140 * 4 * sizeof(T) * 2};
    T* data = nullptr;
    void place(support::random& r, std::size_t count) {
        const std::size_t gap = r.chance(0.6) ? 0 : 4 * static_cast<std::size_t>(r.between(1, 15));
        data = arena.place<T>(count, r.chance(0.5) ? support::wall::front : support::wall::back,
                              gap / sizeof(T) * sizeof(T));
    }
};

template <class T>
struct guarded_call {
    using sum = std::conditional_t<sizeof(T) == 8, double, float>;
    guarded<T> q, k, v, y;
    guarded<sum> lse;

    // Sizes where one axis is long and the others short, so that a case costs microseconds.
    bool run(support::random& r, std::string& what) {
        const long axis = r.between(0, 4);
        const auto size = [&](long which) { return axis == which ? r.between(1, 130) : r.skewed(1, 9); };
        const long queries = size(0), keys = size(1), d_k = size(2), d_v = size(3);
        const long kv_heads = r.skewed(1, 2), heads = kv_heads * r.skewed(1, 3), batch = r.skewed(1, 2);
        const long most = 140 * 140 * 4;
        if (batch * heads * std::max(queries, keys) * std::max(d_k, d_v) > most) return true;
        what = std::to_string(queries) + " queries, " + std::to_string(keys) + " keys, features " +
               std::to_string(d_k) + " and " + std::to_string(d_v) + ", heads " + std::to_string(heads) +
               "/" + std::to_string(kv_heads) + ", batch " + std::to_string(batch);
        const auto count = [](long a, long b, long c, long d) {
            return static_cast<std::size_t>(a * b * c * d);
        };
        const std::size_t nq = count(batch, heads, queries, d_k), nk = count(batch, kv_heads, keys, d_k);
        const std::size_t nv = count(batch, kv_heads, keys, d_v), ny = count(batch, heads, queries, d_v);
        const std::size_t nl = count(batch, heads, queries, 1);
        q.place(r, nq), k.place(r, nk), v.place(r, nv), y.place(r, ny), lse.place(r, nl);
        for (auto [x, n] : {std::pair{q.data, nq}, {k.data, nk}, {v.data, nv}})
            for (std::size_t i = 0; i < n; ++i)
                x[i] = static_cast<T>(static_cast<float>(static_cast<int>(r.bits() % 1021) - 510) / 256.0f);
        Eigen::TensorMap<support::tensor<T>> tq(q.data, batch, heads, queries, d_k),
            tk(k.data, batch, kv_heads, keys, d_k), tv(v.data, batch, kv_heads, keys, d_v),
            ty(y.data, batch, heads, queries, d_v);
        Eigen::TensorMap<support::tensor<sum, 3>> tl(lse.data, batch, heads, queries);
        if (r.chance(0.5))
            heed::attention_into(ty, tq, tk, tv, heed::logsumexp(tl));
        else
            heed::attention_into(ty, tq, tk, tv, heed::logsumexp(tl), heed::causal_from(keys));  // sees all

        bool fine = y.arena.untouched_outside() && lse.arena.untouched_outside();
        for (std::size_t i = 0; i < ny; ++i) fine = fine && std::fabs(support::widen(y.data[i])) <= 2.01;
        for (std::size_t i = 0; i < nl; ++i) fine = fine && std::fabs(support::widen(lse.data[i])) < 600;
        return fine;
    }
};

}  // namespace

TEST_CASE("float between walls") { support::many<guarded_call<float>>(501, 80000); }
TEST_CASE("double between walls") { support::many<guarded_call<double>>(502, 10000); }
TEST_CASE("half and bfloat16 between walls") {
    support::many<guarded_call<Eigen::half>>(503, 5000);
    support::many<guarded_call<Eigen::bfloat16>>(504, 5000);
}

TEST_CASE("masks, biases, sinks and score outputs between walls") {
    support::random r(505);
    long wrong = 0;
    guarded<float> q, k, v, y, bias, sinks, weights, scores;
    guarded<bool> mask;
    for (int i = 0; i < 2000; ++i) {
        const long queries = r.skewed(1, 70), keys = r.skewed(1, 130), d = r.skewed(1, 20), heads = 2;
        const auto n = [](long a) { return static_cast<std::size_t>(a); };
        q.place(r, n(heads * queries * d)), k.place(r, n(heads * keys * d)), v.place(r, n(heads * keys * d));
        y.place(r, n(heads * queries * d)), bias.place(r, n(heads * keys)), sinks.place(r, n(heads));
        weights.place(r, n(heads * queries * keys)), scores.place(r, n(heads * queries * keys));
        mask.place(r, n(queries * keys));
        for (auto [x, count] : {std::pair{q.data, heads * queries * d},
                                {k.data, heads * keys * d},
                                {v.data, heads * keys * d},
                                {bias.data, heads * keys},
                                {sinks.data, heads}})
            for (long j = 0; j < count; ++j) x[j] = static_cast<float>(r.uniform(-1, 1));
        for (long j = 0; j < queries * keys; ++j) mask.data[j] = r.chance(0.7);
        using map = Eigen::TensorMap<support::tensor<float>>;
        map tw(weights.data, 1, heads, queries, keys), ts(scores.data, 1, heads, queries, keys);
        const Eigen::TensorMap<support::tensor<float, 3>> tb(bias.data, heads, 1, keys);
        const Eigen::TensorMap<support::tensor<float, 1>> tk(sinks.data, heads);
        const Eigen::TensorMap<support::tensor<bool, 2>> tm(mask.data, queries, keys);
        heed::attention_into(map(y.data, 1, heads, queries, d), map(q.data, 1, heads, queries, d),
                             map(k.data, 1, heads, keys, d), map(v.data, 1, heads, keys, d), heed::bias(tb),
                             heed::sinks(tk), heed::mask(tm), heed::weights(tw),
                             heed::scores(ts, heed::stage::biased));
        bool fine = y.arena.untouched_outside() && weights.arena.untouched_outside() &&
                    scores.arena.untouched_outside();
        for (long j = 0; j < heads * queries * d; ++j) fine = fine && std::fabs(y.data[j]) <= 1.01;
        for (long j = 0; j < heads * queries * keys; ++j)
            fine = fine && weights.data[j] >= 0 && weights.data[j] <= 1 && scores.data[j] < 100;
        wrong += !fine;
    }
    CHECK(wrong == 0);
}
