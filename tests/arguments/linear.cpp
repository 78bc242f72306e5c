// SPDX-License-Identifier: MIT
// tests/arguments/linear.cpp: empty axes and memory of linear attention, by rule and by feature map
#include <heed/linear.hpp>
#include <heed/linear/models.hpp>
#include <heed/state.hpp>

#include "support/arguments.hpp"

namespace {

using support::argument;
using support::sizes;
using support::views;
using support::with;

const std::vector<argument> q_k_v{{"q", "bhkd"}, {"k", "bgkd"}, {"v", "bgke"}};
const std::vector<argument> gradients{{"dq", "bhkd"}, {"dk", "bgkd"}, {"dv", "bgke"}};
const argument decays{"decays", "bgkd"};

// One number a position and key/value head.
auto per_position(const sizes& n, float x) {
    Eigen::Tensor<float, 3, Eigen::RowMajor> t(n.at('b'), n.at('g'), n.at('k'));
    t.setConstant(x);
    return t;
}

std::vector<support::function_call> calls() {
    std::vector<support::function_call> all;
    all.push_back({"linear_attention",
                   {{"q", "bhqd"}, {"k", "bgkd"}, {"v", "bgke"}},
                   {{"y", "bhqe", "q"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::linear_attention_into(out[0], in[0], in[1], in[2]);
                       (void)heed::linear_attention(in[0], in[1], in[2], heed::taylor);
                   }});
    all.push_back({"linear_attention, causal",
                   with(q_k_v, {{"initial", "bgdE"}}),
                   {{"y", "bhke", "q"}, {"final", "bgdE"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::linear_attention_into(out[0], in[0], in[1], in[2], heed::causal,
                                                   heed::initial_state(in[3]), heed::final_state(out[1]));
                   }});
    all.push_back({"linear_attention, gated delta",
                   with(q_k_v, {decays}),
                   {{"y", "bhke", "q"}, {"state", "bgde", "", true}},
                   [](const views& in, const views& out, const sizes& n) {
                       const auto betas = per_position(n, 0.5f);
                       heed::linear_attention_into(out[0], in[0], in[1], in[2], heed::causal,
                                                   heed::decay(in[3]), heed::delta(betas),
                                                   heed::state(out[1]));
                   }});
    all.push_back({"linear_attention_backward", with({{"dy", "bhke"}}, q_k_v), gradients,
                   [](const views& in, const views& out, const sizes&) {
                       heed::linear_attention_backward_into(out[0], out[1], out[2], in[0], in[1], in[2],
                                                            in[3]);
                       (void)heed::linear_attention_backward(in[0], in[1], in[2], in[3], heed::favor(4, 1));
                   }});
    all.push_back(
        {"linear_attention_backward, gated delta",
         with({{"dy", "bhke"}}, with(q_k_v, {decays, {"initial", "bgde"}, {"final gradient", "bgde"}})),
         with(gradients, {{"initial gradient", "bgde"}, {"decays'", "bgkd"}, {"beta's", "1bgk"}}),
         [](const views& in, const views& out, const sizes& n) {
             const auto betas = per_position(n, 0.5f);
             heed::linear_attention_backward_into(
                 out[0], out[1], out[2], in[0], in[1], in[2], in[3], heed::causal, heed::decay(in[4]),
                 heed::delta(betas), heed::initial_state(in[5]), heed::final_state_gradient(in[6]),
                 heed::initial_state_gradient(out[3]), heed::decay_gradient(out[4]),
                 heed::delta_gradient(out[5]));
         }});
    all.push_back({"linear_attention_backward, gated", with({{"dy", "bhke"}}, q_k_v), gradients,
                   [](const views& in, const views& out, const sizes& n) {
                       const auto g = per_position(n, -0.5f);
                       heed::linear_attention_backward_into(out[0], out[1], out[2], in[0], in[1], in[2],
                                                            in[3], heed::causal, heed::decay(g));
                   }});
    all.push_back({"linear_state",
                   {{"q", "bhqd"}, {"k", "bgkd"}, {"v", "bgke"}},
                   {{"y", "bhqe", "q", false, "k v"}},
                   [](const views& in, const views& out, const sizes& n) {
                       heed::linear_state<float> s(n.at('b'), n.at('g'), n.at('d'), n.at('e'));
                       s.absorb(in[1], in[2]);
                       s.merge(s);
                       s.finish_into(out[0], in[0]);
                   }});
    return all;
}

}  // namespace

TEST_CASE("linear attention over empty axes gives empty answers") {
    for (const auto& f : calls()) support::check_empty(f);
}

TEST_CASE("what linear attention writes has memory of its own") {
    for (const auto& f : calls()) support::check_memory(f);
}

TEST_CASE("linear attention with gaps between all elements gives the bits of the dense call") {
    for (const auto& f : calls()) {
        support::check_strides(f);
        support::check_strides(f, support::narrow_sizes());
    }
}
