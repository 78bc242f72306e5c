// SPDX-License-Identifier: MIT
// tests/score/custom.cpp: any callable as a score function
#include <cstring>

#include "support/call.hpp"

using support::check_call;

TEST_CASE("a generic lambda over score and place") {
    support::for_problems<float>(831, 120, [](reference::problem& p, support::random&) {
        p.score = [](double s, reference::place i) {
            return s - 0.125 * double(i.query - i.key) + double(i.head);
        };
        check_call<float>(p, heed::score([](auto s, heed::at i) {
                              return s - 0.125f * static_cast<float>(i.query - i.key) +
                                     static_cast<float>(i.head);
                          }));
    });
}

TEST_CASE("captured state and heed::math") {
    support::for_problems<float>(832, 120, [](reference::problem& p, support::random& r) {
        const float gain = static_cast<float>(r.uniform(0.5, 2));
        p.score = [=](double s, reference::place i) {
            return gain * std::tanh(s) + 1 / (1 + std::exp(-s)) + std::sqrt(double(1 + i.key % 7)) +
                   std::log(double(2 + i.query % 5)) + std::fabs(s) + std::exp(-std::fmax(s, 0.0)) +
                   std::fmin(s, 0.25) + double(i.batch);
        };
        check_call<float>(
            p, heed::score([=](float s, heed::at i) {
                namespace m = heed::math;
                return gain * m::tanh(s) + m::sigmoid(s) + m::sqrt(static_cast<float>(1 + i.key % 7)) +
                       m::log(static_cast<float>(2 + i.query % 5)) + m::abs(s) + m::exp(-m::max(s, 0.0f)) +
                       m::min(s, 0.25f) + static_cast<float>(i.batch);
            }));
    });
}

TEST_CASE("a score of -inf hides its key, before a bias and with a mask") {
    support::for_problems<float>(833, 100, [](reference::problem& p, support::random& r) {
        support::tensor<float, 1> bias(p.keys);
        for (long j = 0; j < p.keys; ++j) bias(j) = static_cast<float>(r.normal());
        const auto hidden = [](long query, long key) { return (query * 5 + key * 3) % 4 == 1; };
        p.score = [=](double s, reference::place i) { return hidden(i.query, i.key) ? -HUGE_VAL : s; };
        p.bias = [&](reference::place i) { return support::widen(bias(i.key)); };
        const auto f = [](float s, heed::at i) {
            return heed::math::select((i.query * 5 + i.key * 3) % 4 == 1, -HUGE_VALF, s);
        };
        check_call<float>(p, heed::score(f), heed::bias(bias));
        p.visible = [o = p.keys - p.queries](reference::place i) { return i.key <= i.query + o; };
        check_call<float>(p, heed::causal, heed::score(f), heed::bias(bias));
    });
}

TEST_CASE("double tensors give the callable a double") {
    support::for_problems<double>(834, 40, [](reference::problem& p, support::random&) {
        p.score = [](double s, reference::place i) { return s * 1.0000000001 - 1e-9 * double(i.key); };
        check_call<double>(p, heed::score([](auto s, heed::at i) {
                               static_assert(sizeof(s) == 8);
                               return s * 1.0000000001 - 1e-9 * i.key;
                           }));
    });
}

TEST_CASE("a callable that is a struct with a large table") {
    struct table_of_distances {
        std::array<float, 64> table;
        float operator()(float s, heed::at i) const {
            const int d = i.query - i.key;
            const int a = d < 0 ? -d : d;
            return s + table[static_cast<std::size_t>(a < 63 ? a : 63)];
        }
    };
    table_of_distances f;
    support::random r(835);
    for (float& x : f.table) x = static_cast<float>(r.normal());
    auto p = support::problem<float>(r, 2, 2, 1, 70, 190, 9, 9);
    p.score = [&](double s, reference::place i) {
        const long d = std::labs(i.query - i.key);
        return s + double(f.table[static_cast<std::size_t>(d < 63 ? d : 63)]);
    };
    check_call<float>(p, heed::score(f));
}

TEST_CASE("a score function is given the scores of keys and nothing else") {
    support::random r(836);
    long odd = 0;
    for (const long queries : {1L, 2L, 5L, 20L, 70L})
        for (const long keys : {1L, 5L, 17L, 63L, 300L, 515L}) {
            support::tensor<float> q(1, 2, queries, 9), k(1, 1, keys, 9), v(1, 1, keys, 9);
            for (auto* x : {&q, &k, &v})
                for (long i = 0; i < x->size(); ++i) x->data()[i] = static_cast<float>(r.normal());
            heed::workspace w;
            constexpr std::size_t bytes = std::size_t{1} << 21;
            std::memset(w.reserve(bytes), 0xff, bytes);  // NaN, whatever it is read as
            const auto y = heed::attention(q, k, v, heed::use(w), heed::score([&odd](float s, heed::at) {
                                               odd += !(std::fabs(s) < 1e6f);
                                               return s;
                                           }));
            CHECK(w.bytes() == bytes);
        }
    CHECK(odd == 0);
}
