// SPDX-License-Identifier: MIT
// tests/arguments/select.cpp: empty axes and memory of attention over keys chosen from the data
#include <heed/attention.hpp>
#include <heed/sparse.hpp>

#include "support/attention_arguments.hpp"

namespace {

using support::sizes;
using support::views;
using support::with, support::attention, support::backward, support::q_k_v, support::answers;

std::vector<support::function_call> calls() {
    std::vector<support::function_call> all;
    const auto both = [&](const char* name, const auto&... options) {
        all.push_back(attention(name, options...));
        all.push_back(backward(name, options...));
    };
    both("top_k", heed::top_k(2));
    both("top_fraction", heed::top_fraction(0.5), heed::causal);
    both("local_plus_top", heed::local_plus_top(2, 0.5));
    both("vertical_slash", heed::vertical_slash(2, 2));
    both("lsh", heed::lsh(2, 4, 1));
    both("entropy_budget", heed::entropy_budget(1, 3, 1));
    all.push_back(attention("certified", heed::certified(0.1)));
    all.push_back(attention("psa", heed::psa(0.5)));
    all.push_back({"psa_backward",
                   with(q_k_v, {{"dy", "bhqe"}}),
                   {{"dq", "bhqd"}, {"dk", "bgkd"}, {"dv", "bgke"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::psa_backward_into(out[0], out[1], out[2], in[3], in[0], in[1], in[2],
                                               heed::psa(0.5), heed::causal);
                       (void)heed::psa_backward(in[3], in[0], in[1], in[2], heed::psa(0.5));
                   }});
    all.push_back({"quest", q_k_v, answers, [](const views& in, const views& out, const sizes& n) {
                       heed::page_bounds<float> bounds(n.at('b'), n.at('g'), n.at('d'), 2);
                       bounds.append(in[1]);
                       heed::attention_into(out[0], in[0], in[1], in[2], heed::logsumexp(out[1]),
                                            heed::quest(bounds, 2));
                   }});
    return all;
}

}  // namespace

TEST_CASE("chosen keys of empty axes give empty answers") {
    for (const auto& f : calls()) {
        support::check_empty(f);
        support::check_empty(f, support::few_queries());
    }
}

TEST_CASE("what attention over chosen keys writes has memory of its own") {
    for (const auto& f : calls()) support::check_memory(f);
}

TEST_CASE("attention over chosen keys with gaps between all elements gives the bits of the dense call") {
    for (const auto& f : calls()) {
        support::check_strides(f);
        support::check_strides(f, support::narrow_sizes());
    }
}
