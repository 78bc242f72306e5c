// SPDX-License-Identifier: MIT
// tests/score/probability.cpp: a function of the weights between the softmax and the values
//
// The cases named after ONNX's FlexAttention operator are its test cases, written from their definitions.
#include <heed/select/top_k.hpp>
#include <heed/thread_pool.hpp>

#include "support/attention_gradient_call.hpp"
#include "support/call.hpp"
#include "support/dropped.hpp"
#include "support/traps.hpp"

namespace {

// Not linear, and without a jump, at which a rounded weight may stand on the other side.
constexpr auto smooth = [](auto p, heed::at i) {
    return p * (1.0f - 0.25f * p) + 0.125f * p * static_cast<float>((i.query + 2 * i.key + i.head) % 3) +
           0.01f;
};
double smooth_of(double p, reference::place i) {
    return p * (1 - 0.25 * p) + 0.125 * p * double((i.query + 2 * i.key + i.head) % 3) + double(0.01f);
}
double smooth_slope(double p, reference::place i) {
    return 1 - 0.5 * p + 0.125 * double((i.query + 2 * i.key + i.head) % 3);
}

void see_up_to(reference::problem& p) {
    const long shift = p.keys - p.queries;
    p.visible = [=](reference::place i) { return i.key <= i.query + shift; };
}

}  // namespace

TEMPLATE_TEST_CASE("what f gives meets the values, and hidden keys keep 0", "", float, Eigen::bfloat16) {
    using T = TestType;
    support::for_problems<T>(8801, 60, [](reference::problem& p, support::random& r) {
        p.probability = smooth_of;
        support::check_call<T>(p, heed::probability(smooth));
        see_up_to(p);
        support::check_call<T>(p, heed::probability(smooth), heed::causal);
        p.softcap = 4;
        std::vector<float> sinks(static_cast<std::size_t>(p.heads));
        for (float& s : sinks) s = static_cast<float>(r.normal());
        p.sinks.assign(sinks.begin(), sinks.end());
        support::check_call<T>(p, heed::probability(smooth), heed::causal, heed::softcap(4),
                               heed::sinks(sinks));
    });
}

TEST_CASE("rows that see nothing are +0, also where f(0) is not 0") {
    support::for_problems<float>(8802, 60, [](reference::problem& p, support::random& r) {
        const long offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        p.probability = [](double w, reference::place) { return w + 0.5; };
        support::check_call<float>(p, heed::causal_from(offset),
                                   heed::probability([](auto w, heed::at) { return w + 0.5f; }));
    });
}

TEST_CASE("the identity changes nothing but rounding, and other outputs not a bit") {
    support::random r(8803);
    const auto p = support::problem<float>(r, 2, 4, 2, 70, 300, 16, 24);
    const support::inputs<float> in(p);
    struct outcome {
        support::tensor<float> y{2, 4, 70, 24}, weights{2, 4, 70, 300}, scores{2, 4, 70, 300};
        support::tensor<float, 3> lse{2, 4, 70}, maximum{2, 4, 70}, sum{2, 4, 70};
    } plain, through;
    const auto run = [&](outcome& o, const auto&... options) {
        heed::attention_into(o.y, in.q, in.k, in.v, heed::causal, heed::weights(o.weights),
                             heed::logsumexp(o.lse), heed::maximum_and_sum(o.maximum, o.sum),
                             heed::scores(o.scores, heed::stage::capped), heed::softcap(3), options...);
    };
    run(plain);
    run(through, heed::probability([](auto w, heed::at) { return w; }));
    CHECK(support::same_bits(support::elements(plain.weights), support::elements(through.weights)));
    CHECK(support::same_bits(support::elements(plain.scores), support::elements(through.scores)));
    CHECK(support::same_bits(support::elements(plain.lse), support::elements(through.lse)));
    CHECK(support::same_bits(support::elements(plain.maximum), support::elements(through.maximum)));
    CHECK(support::same_bits(support::elements(plain.sum), support::elements(through.sum)));
    double worst = 0;
    for (long i = 0; i < plain.y.size(); ++i)
        worst = std::fmax(worst, std::fabs(double(plain.y.data()[i]) - double(through.y.data()[i])));
    CHECK(worst < 2e-6);
}

TEST_CASE("dropout comes after it") {
    support::random r(8804);
    auto p = support::problem<float>(r, 2, 2, 2, 33, 70, 8, 8);
    p.probability = smooth_of;
    const support::kept_weights keep(2, 2, 33, 70, 0.25, 5);
    p.keep = [&](reference::place i) { return keep(i); };
    support::check_call<float>(p, heed::dropout(0.25, 5), heed::probability(smooth));
    support::check_backward<float>(p, r, support::slopes{{}, smooth_slope}, heed::dropout(0.25, 5),
                                   heed::probability(smooth));
}

TEST_CASE("NaN and infinity behind a mask change no bit") {
    const heed_test::without_traps quiet;
    support::random r(8805);
    for (const long queries : {1L, 3L, 40L}) {
        const auto p = support::problem<float>(r, 1, 2, 1, queries, 150, 8, 8);
        support::inputs<float> in(p);
        const std::array<int, 1> lengths{100};
        const auto run = [&] {
            return heed::attention(in.q, in.k, in.v, heed::key_lengths(lengths), heed::probability(smooth));
        };
        const auto y = run();
        for (long j = 100; j < 150; ++j)
            for (long f = 0; f < 8; ++f) {
                in.v(0, 0, j, f) = f % 2 == 0 ? HUGE_VALF : NAN;
                in.k(0, 0, j, f) = NAN;
            }
        CHECK(support::same_bits(support::elements(y), support::elements(run())));
    }
}

TEST_CASE("the same bits alone and in a batch, for one thread and several, and no memory with use") {
    support::random r(8806);
    const auto p = support::problem<float>(r, 3, 2, 2, 90, 400, 16, 16);
    const support::inputs<float> in(p);
    heed::workspace w;
    heed::thread_pool pool(3);
    const auto y = heed::attention(in.q, in.k, in.v, heed::causal, heed::probability(smooth));
    const auto z = heed::attention(in.q, in.k, in.v, heed::causal, heed::probability(smooth), heed::on(pool),
                                   heed::use(w));
    CHECK(support::same_bits(support::elements(y), support::elements(z)));
    const auto part = [](const support::tensor<float>& t) { return heed::as_view(t).slice_batch(1, 1); };
    const auto alone =
        heed::attention(part(in.q), part(in.k), part(in.v), heed::causal, heed::probability(smooth));
    CHECK(std::equal(alone.data(), alone.data() + alone.size(), y.data() + alone.size()));
}

TEST_CASE("beside a selector that chooses before, its keys alone are weighed") {
    support::random r(8807);
    auto p = support::problem<float>(r, 1, 2, 2, 20, 60, 8, 8);
    p.probability = smooth_of;
    support::check_call<float>(p, heed::probability(smooth), heed::top_k(60));
}

TEMPLATE_TEST_CASE("its gradient, by dual numbers and by df", "", float, double) {
    using T = TestType;
    support::for_gradient_problems<T>(8811, 40, [](reference::problem& p, support::random& r) {
        p.probability = smooth_of;
        const support::slopes by{{}, smooth_slope};
        support::check_backward<T>(p, r, by, heed::probability(smooth));
        see_up_to(p);
        const auto df = [](auto w, heed::at i) {
            return 1 - 0.5f * w + 0.125f * static_cast<float>((i.query + 2 * i.key + i.head) % 3);
        };
        support::check_backward<T>(p, r, by, heed::causal, heed::probability(smooth, df));
    });
}

TEST_CASE("its gradient together with those of a score, of sinks and of a bias") {
    support::random r(8812);
    auto p = support::problem<float>(r, 2, 4, 2, 70, 150, 8, 12);
    p.probability = smooth_of;
    p.softcap = 5;
    p.score = [](double s, reference::place i) { return s - 0.125 * double(i.query - i.key); };
    support::tensor<float, 1> bias(150), of_bias(150);
    std::vector<float> sinks(4);
    for (long j = 0; j < 150; ++j) bias(j) = static_cast<float>(r.normal());
    for (float& s : sinks) s = static_cast<float>(r.normal());
    p.sinks.assign(sinks.begin(), sinks.end());
    p.bias = [&](reference::place i) { return double(bias(i.key)); };
    see_up_to(p);
    const support::slopes by{[](double, reference::place) { return 1.0; }, smooth_slope};
    const auto call = [&](const auto& use) {
        use(heed::causal, heed::softcap(5), heed::bias(bias), heed::sinks(sinks), heed::probability(smooth),
            heed::score([](auto s, heed::at i) { return s - 0.125f * static_cast<float>(i.query - i.key); }));
    };
    call([&](const auto&... options) {
        support::check_backward<float>(p, r, by, options...);
        const support::backward_inputs<float> in(p, r, options...);
        support::tensor<float, 1> of_sinks(4);
        in.gradients(p, options..., heed::bias_gradient(of_bias), heed::sinks_gradient(of_sinks));
        const auto truth = support::truth_of<float>(p);
        const auto want = reference::differentiate(p, truth, in.from, by.score, {}, by.probability);
        for (long h = 0; h < 4; ++h)
            CHECK(std::fabs(double(of_sinks(h)) - want.sinks[std::size_t(h)]) <
                  1e-5 * (1 + want.sinks_size[std::size_t(h)]));
        for (long j = 0; j < 150; ++j) {
            double sum = 0, size = 0;
            for (std::size_t row = 0; row < p.rows(); ++row) {
                sum += want.scores[row * 150 + std::size_t(j)];
                size += want.scores_size[row * 150 + std::size_t(j)];
            }
            CHECK(std::fabs(double(of_bias(j)) - sum) < 1e-5 * (1 + size));
        }
    });
}

// ONNX FlexAttention, test cases by name: what they compute is their definition.
TEST_CASE("FlexAttention: basic, diff_head_sizes, scaled, gqa, 3d shapes") {
    support::random r(8821);
    for (const auto& [heads, kv_heads, d_k, d_v] :
         {std::array<long, 4>{3, 3, 8, 8}, std::array<long, 4>{3, 3, 8, 10},
          std::array<long, 4>{9, 3, 8, 8}}) {
        auto p = support::problem<float>(r, 2, heads, kv_heads, 4, 6, d_k, d_v);
        support::check_call<float>(p);
        p.scale = 0.1;
        support::check_call<float>(p, heed::scale(0.1));
    }
}
TEST_CASE("FlexAttention: score_mod, causal_mask, soft_cap, relative_positional") {
    support::random r(8822);
    auto p = support::problem<float>(r, 1, 2, 2, 5, 5, 8, 8);
    p.score = [](double s, reference::place) { return s + 0.5; };
    support::check_call<float>(p, heed::score([](auto s, heed::at) { return s + 0.5f; }));
    p.score = [](double s, reference::place i) { return i.key <= i.query ? s : -HUGE_VAL; };
    support::check_call<float>(p, heed::score([](auto s, heed::at i) {
                                   return heed::math::select(i.key <= i.query, s, -HUGE_VALF);
                               }));
    p.score = [](double s, reference::place) { return 20 * std::tanh(s / 20); };
    support::check_call<float>(
        p, heed::score([](auto s, heed::at) { return 20.0f * heed::math::tanh(s / 20.0f); }));
    p.score = [](double s, reference::place i) { return s + double(i.query - i.key); };
    support::check_call<float>(
        p, heed::score([](auto s, heed::at i) { return s + static_cast<float>(i.query - i.key); }));
}
TEMPLATE_TEST_CASE("FlexAttention: prob_mod, fp16, double, and both modifiers", "", float, double,
                   Eigen::half) {
    using T = TestType;
    support::random r(8823);
    auto p = support::problem<T>(r, 2, 4, 2, 6, 9, 8, 8);
    p.probability = [](double w, reference::place) { return w * 0.5; };
    support::check_call<T>(p, heed::probability([](auto w, heed::at) { return w * 0.5f; }));
    p.probability = [](double w, reference::place i) { return i.key % 2 == 0 ? 2 * w : w; };
    p.score = [](double s, reference::place i) { return s + 0.25 * double(i.key - i.query); };
    support::check_call<T>(
        p, heed::score([](auto s, heed::at i) { return s + 0.25f * static_cast<float>(i.key - i.query); }),
        heed::probability(
            [](auto w, heed::at i) { return heed::math::select(i.key % 2 == 0, 2.0f * w, w); }));
}
