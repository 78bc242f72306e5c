// SPDX-License-Identifier: MIT
// tests/arguments/cummax.cpp: empty axes and memory of what cummax attention and its relatives take
#include <heed/cummax.hpp>
#include <heed/cummax/maxstate.hpp>
#include <heed/state.hpp>

#include "support/arguments.hpp"

namespace {

using support::argument;
using support::sizes;
using support::views;
using support::with;

const std::vector<argument> o_a1_a2{{"o", "bhqd"}, {"a1", "bhqd"}, {"a2", "bhqd"}};
const argument state{"state", "bh1d", "", true};

std::vector<support::function_call> calls() {
    std::vector<support::function_call> all;
    all.push_back({"cummax_attention",
                   o_a1_a2,
                   {{"y", "bhqd", "o a1 a2"}, state},
                   [](const views& in, const views& out, const sizes&) {
                       heed::cummax_attention_into(out[0], in[0], in[1], in[2], heed::state(out[1]));
                       (void)heed::cummax_attention(in[0], in[1], in[2]);
                   }});
    all.push_back({"cummax_attention, heads apart",
                   with(o_a1_a2, {{"initial", "bh1d"}}),
                   {{"y", "bhqd", "o a1 a2"}, {"final", "bh1d"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::cummax_attention_into(out[0], in[0], in[1], in[2], heed::initial_state(in[3]),
                                                   heed::final_state(out[1]), heed::heads_apart);
                   }});
    for (const auto axis : {heed::along::position, heed::along::head, heed::along::feature})
        all.push_back({"cummax_attention along",
                       o_a1_a2,
                       {{"y", "bhqd", "o a1 a2"}},
                       [axis](const views& in, const views& out, const sizes&) {
                           heed::cummax_attention_into(out[0], in[0], in[1], in[2], axis);
                       }});
    all.push_back({"cummax_attention_backward",
                   with({{"dy", "bhqd"}}, with(o_a1_a2, {{"initial", "bh1d"}, {"final gradient", "bh1d"}})),
                   {{"do", "bhqd"},
                    {"da1", "bhqd"},
                    {"da2", "bhqd"},
                    {"initial gradient", "bh1d"},
                    {"alpha's", "111h"}},
                   [](const views& in, const views& out, const sizes& n) {
                       const std::vector<double> alpha(static_cast<std::size_t>(n.at('h')), 0.5);
                       heed::cummax_attention_backward_into(
                           out[0], out[1], out[2], in[0], in[1], in[2], in[3], heed::initial_state(in[4]),
                           heed::final_state_gradient(in[5]), heed::initial_state_gradient(out[3]),
                           heed::hybrid(alpha), heed::hybrid_gradient(out[4]));
                       (void)heed::cummax_attention_backward(in[0], in[1], in[2], in[3]);
                   }});
    for (const auto axis : {heed::along::position, heed::along::head, heed::along::feature}) {
        all.push_back({"cummax",
                       {{"x", "bhqd"}},
                       {{"y", "bhqd", "x"}},
                       [axis](const views& in, const views& out, const sizes&) {
                           heed::cummax_into(out[0], in[0], axis);
                           (void)heed::cummax(in[0], axis, heed::reverse);
                           (void)heed::cummax_with_index(in[0], axis);
                       }});
        all.push_back({"cummax_backward",
                       {{"dy", "bhqd"}, {"x", "bhqd"}},
                       {{"dx", "bhqd"}},
                       [axis](const views& in, const views& out, const sizes&) {
                           heed::cummax_backward_into(out[0], in[0], in[1], axis);
                       }});
    }
    all.push_back({"maxstate",
                   o_a1_a2,
                   {{"y", "bhqd", "o a1 a2"}, state},
                   [](const views& in, const views& out, const sizes&) {
                       heed::maxstate_into(out[0], in[0], in[1], in[2], heed::state(out[1]));
                   }});
    all.push_back({"maxstate_backward",
                   with({{"dy", "bhqd"}}, o_a1_a2),
                   {{"do", "bhqd"}, {"da1", "bhqd"}, {"da2", "bhqd"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::maxstate_backward_into(out[0], out[1], out[2], in[0], in[1], in[2], in[3]);
                   }});
    const std::vector<argument> four{
        {"a", "bhqd"}, {"b", "bhqd"}, {"c", "bhqd"}, {"d", "bhqd"}, {"mix", "11hH"}};
    all.push_back(
        {"maxstate_super", four, {{"y", "bhqd"}, state}, [](const views& in, const views& out, const sizes&) {
             heed::maxstate_super_into(out[0], in[0], in[1], in[2], in[3], {1, 2, 3}, heed::head_mix(in[4]),
                                       heed::state(out[1]));
         }});
    all.push_back({"maxstate_super_backward",
                   with({{"dy", "bhqd"}}, four),
                   {{"da", "bhqd"}, {"db", "bhqd"}, {"dc", "bhqd"}, {"dd", "bhqd"}, {"dmix", "11hH"}},
                   [](const views& in, const views& out, const sizes&) {
                       std::array<double, 3> alphas{};
                       heed::maxstate_super_backward_into(
                           out[0], out[1], out[2], out[3], alphas, in[0], in[1], in[2], in[3], in[4],
                           {1, 2, 3}, heed::head_mix(in[5]), heed::head_mix_gradient(out[4]));
                   }});
    all.push_back({"cummax_state",
                   {{"o", "bhqd"}},
                   {{"y", "bh1d", "", false, "o"}},
                   [](const views& in, const views& out, const sizes& n) {
                       heed::cummax_state<float> s(n.at('b'), n.at('h'), n.at('d'));
                       s.absorb(in[0]);
                       s.merge(s);
                       s.finish_into(out[0]);
                   }});
    all.push_back({"cummax_state::attend",
                   o_a1_a2,
                   {{"y", "bhqd", "o a1 a2"}},
                   [](const views& in, const views& out, const sizes& n) {
                       heed::cummax_state<float> s(n.at('b'), n.at('h'), n.at('d'));
                       s.attend_into(out[0], in[0], in[1], in[2]);
                   }});
    return all;
}

}  // namespace

TEST_CASE("cummax of empty axes gives empty answers") {
    for (const auto& f : calls()) support::check_empty(f);
}

TEST_CASE("what cummax writes has memory of its own") {
    for (const auto& f : calls()) support::check_memory(f);
}

TEST_CASE("cummax with gaps between all elements gives the bits of the dense call") {
    for (const auto& f : calls()) {
        support::check_strides(f);
        support::check_strides(f, support::narrow_sizes());
    }
}
