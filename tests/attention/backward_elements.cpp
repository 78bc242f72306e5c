// SPDX-License-Identifier: MIT
// tests/attention/backward_elements.cpp: gradients of double, half and bfloat16, written as they are or as
// float; y and dy of either
#include "support/attention_gradient_call.hpp"

namespace {

auto causal(const reference::problem& p) {
    const long shift = p.keys - p.queries;
    return [shift](reference::place i) { return i.key <= i.query + shift; };
}

template <class T>
void cases(std::uint64_t seed) {
    support::for_gradient_problems<T>(seed, 60, [](reference::problem& p, support::random& r) {
        p.visible = causal(p);
        support::check_backward<T>(p, r, heed::causal);
    });
}

// Gradients in float of tensors in 16 bits: what storing rounds is what they differ in.
template <class T>
void float_results(std::uint64_t seed) {
    support::for_gradient_problems<T>(seed, 20, [](reference::problem& p, support::random& r) {
        const support::backward_inputs<T> in(p, r, heed::causal);
        const auto stored = in.gradients(p, heed::causal);
        const auto wide = in.template gradients<float>(p, heed::causal);
        long wrong = 0;
        const auto compare = [&](const auto& a, const auto& b) {
            for (long i = 0; i < a.size(); ++i) wrong += a.data()[i] != static_cast<T>(b.data()[i]);
        };
        compare(stored.q, wide.q);
        compare(stored.k, wide.k);
        compare(stored.v, wide.v);
        // The float of what is given in T.
        const support::tensor<float> dy = in.dy.template cast<float>();
        support::gradient_outputs<T> again(p);
        heed::attention_backward_into(again.q, again.k, again.v, dy, in.q, in.k, in.v, in.y, in.lse,
                                      heed::causal);
        INFO(support::describe(p));
        CHECK(wrong == 0);
        CHECK(again == stored);
    });
}

}  // namespace

TEST_CASE("double") { cases<double>(3111); }
TEST_CASE("half") { cases<Eigen::half>(3112); }
TEST_CASE("bfloat16") { cases<Eigen::bfloat16>(3113); }
TEST_CASE("half to float") { float_results<Eigen::half>(3114); }
TEST_CASE("bfloat16 to float") { float_results<Eigen::bfloat16>(3115); }

TEST_CASE("y in 16 bits costs what it is rounded by") {
    support::for_gradient_problems<Eigen::half>(3116, 20, [](reference::problem& p, support::random& r) {
        const support::backward_inputs<Eigen::half> in(p, r);
        const auto y = heed::attention(in.q, in.k, in.v);
        const auto g = heed::attention_backward(in.dy, in.q, in.k, in.v, y, in.lse);
        const auto truth = reference::solve<double>(p);
        const auto want = reference::differentiate(p, truth, in.from);
        // eps of half over 4 eps of float is 2048; delta is wrong by half of that at most.
        const double factor = 2048 + support::gradient_size(p, truth);
        INFO(support::describe(p));
        CHECK(support::gradient_excess<float>(support::values(g.q), want.q, want.q_size, factor) <= 1);
        CHECK(support::gradient_excess<float>(support::values(g.k), want.k, want.k_size, factor) <= 1);
        CHECK(support::gradient_excess<Eigen::half>(support::values(g.v), want.v, want.v_size,
                                                    support::gradient_size(p, truth)) <= 1);
    });
}
