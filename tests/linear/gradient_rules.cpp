// SPDX-License-Identifier: MIT
// tests/linear/gradient_rules.cpp: the backward of every rule, with states, against the reference backward
#include "support/linear_gradient_call.hpp"

namespace {

using support::linear_problem;
using support::rule;

// Everything that can be written is asked for; states on both sides or on neither.
template <class T>
void check(support::random& r, const linear_problem& p) {
    const support::linear_inputs<T> in(p);
    support::linear_gradient_outputs<T> out(p);
    const auto dy = support::output_gradient<T>(r, p);
    const auto dy_tensor = support::tensor4<T>(dy, p.batch, p.heads, p.queries, p.d_v);
    const bool states = !p.initial.empty();
    std::vector<double> last;
    if (states) last = support::normals<float>(r, p.state_size());
    const auto last_tensor = states ? support::tensor4<support::sum_type<T>>(last, p.batch, p.kv_heads,
                                                                             p.feature_count(), p.columns())
                                    : support::tensor<support::sum_type<T>>();
    support::with_rule_gradients(p, in, out, [&](const auto&... options) {
        if (states)
            heed::linear_attention_backward_into(out.q, out.k, out.v, dy_tensor, in.q, in.k, in.v,
                                                 heed::causal, options..., heed::initial_state(in.initial),
                                                 heed::initial_state_gradient(out.initial),
                                                 heed::final_state_gradient(last_tensor));
        else
            heed::linear_attention_backward_into(out.q, out.k, out.v, dy_tensor, in.q, in.k, in.v, options...,
                                                 heed::causal);
    });
    support::check_gradients<T>(p, dy, last, out);
}

template <class T>
void random_cases(std::uint64_t seed, int count) {
    support::random r(seed);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < count; ++i) {
            auto p = support::linear<T>(r, support::random_linear_shape(r, true, 200), kind);
            p.causal = true;
            if (i % 2 == 1) support::give_initial_state<support::sum_type<T>>(r, p);
            check<T>(r, p);
        }
}

}  // namespace

TEST_CASE("float") { random_cases<float>(2601, 24); }
TEST_CASE("double") { random_cases<double>(2602, 8); }
TEST_CASE("half") { random_cases<Eigen::half>(2603, 8); }
TEST_CASE("bfloat16") { random_cases<Eigen::bfloat16>(2604, 8); }

TEST_CASE("every length from 1 to 70, and around 128") {
    support::random r(2605);
    for (long n = 1; n <= 74; ++n)
        for (const rule kind : support::all_rules) {
            const long length = n > 70 ? n + 56 : n;
            auto p =
                support::linear<float>(r, {1, 2, 1, length, length, r.between(1, 7), r.between(1, 7)}, kind);
            p.causal = true;
            if (n % 2 == 1) support::give_initial_state<float>(r, p);
            check<float>(r, p);
        }
}

TEST_CASE("no query heads: the gradients of what moved the state") {
    support::random r(2607);
    for (const rule kind : support::all_rules)
        for (const bool states : {false, true}) {
            auto p = support::linear<float>(r, {2, 0, 2, 70, 70, 6, 5}, kind);
            p.causal = true;
            if (states) p.initial = support::normals<float>(r, p.state_size());
            check<float>(r, p);
        }
}
