// SPDX-License-Identifier: MIT
// tests/arguments/attention.cpp: empty axes and memory of what exact attention takes, with every option
#include <heed/attention.hpp>
#include <heed/sparse.hpp>
#include <heed/state.hpp>

#include "support/attention_arguments.hpp"

namespace {

using support::argument;
using support::sizes;
using support::views;
using support::with, support::attention, support::backward, support::q_k_v, support::answers;

std::vector<int> numbers(long count, int each) {
    return std::vector<int>(static_cast<std::size_t>(count), each);
}

// All options that read or write tensors.
std::vector<support::function_call> with_tensors() {
    std::vector<support::function_call> all;
    all.push_back({"attention, scores",
                   with(q_k_v, {{"bias", "bhqk"}, {"sinks", "111h"}, {"slopes", "111h"}}),
                   with(answers, {{"weights", "bhqk"}, {"scores", "bhqk"}}),
                   [](const views& in, const views& out, const sizes&) {
                       heed::attention_into(out[0], in[0], in[1], in[2], heed::logsumexp(out[1]),
                                            heed::weights(out[2]), heed::scores(out[3], heed::stage::biased),
                                            heed::bias(in[3]), heed::sinks(in[4]), heed::alibi(in[5]));
                       (void)heed::attention(in[0], in[1], in[2]);
                   }});
    all.push_back({"attention, one bias", with(q_k_v, {{"bias", "11qk"}}), answers,
                   [](const views& in, const views& out, const sizes&) {
                       heed::attention_into(out[0], in[0], in[1], in[2], heed::logsumexp(out[1]),
                                            heed::bias(in[3]));
                   }});
    all.push_back({"attention_backward, scores",
                   with(q_k_v, {{"dy", "bhqe"},
                                {"y", "bhqe"},
                                {"lse", "1bhq"},
                                {"bias", "1hqk"},
                                {"sinks", "111h"},
                                {"slopes", "111h"}}),
                   {{"dq", "bhqd"},
                    {"dk", "bgkd"},
                    {"dv", "bgke"},
                    {"bias's", "1hqk"},
                    {"sinks'", "111h"},
                    {"slopes'", "111h"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::attention_backward_into(out[0], out[1], out[2], in[3], in[0], in[1], in[2],
                                                     in[4], in[5], heed::bias(in[6]), heed::sinks(in[7]),
                                                     heed::alibi(in[8]), heed::bias_gradient(out[3]),
                                                     heed::sinks_gradient(out[4]),
                                                     heed::slopes_gradient(out[5]));
                       (void)heed::attention_backward(in[3], in[0], in[1], in[2], in[4], in[5]);
                   }});
    all.push_back(
        {"merge",
         {{"y_b", "bhqe"}, {"lse_b", "1bhq"}},
         {{"y_a", "bhqe", "", true}, {"lse_a", "1bhq", "", true}},
         [](const views& in, const views& out, const sizes&) { heed::merge(out[0], out[1], in[0], in[1]); }});
    all.push_back({"softmax_state",
                   q_k_v,
                   {{"y", "bhqe", "", false, "q k v"}},
                   [](const views& in, const views& out, const sizes& n) {
                       heed::softmax_state<float> s(n.at('b'), n.at('h'), n.at('q'), n.at('e')), t = s;
                       s.absorb(in[0], in[1], in[2]);
                       s.merge(t);
                       s.finish_into(out[0]);
                   }});
    return all;
}

std::vector<support::function_call> with_masks() {
    std::vector<support::function_call> all;
    const auto both = [&](const char* name, const auto&... options) {
        all.push_back(attention(name, options...));
        all.push_back(backward(name, options...));
    };
    both("causal", heed::causal, heed::softcap(20), heed::dropout(0.5, 1));
    all.push_back(attention("patterns", heed::window(1, 0) | heed::prefix(2) | heed::random_blocks(1, 2, 3)));
    all.push_back(attention("more patterns", (heed::dilated(4, 2) | heed::fixed(2, 1)) & !heed::strided(2)));
    all.push_back(backward("score", heed::score([](auto s, heed::at) { return s * 0.5f; })));
    all.push_back(
        {"lengths, documents", q_k_v, answers, [](const views& in, const views& out, const sizes& n) {
             const auto lengths = numbers(n.at('b'), n.at('k') > 0 ? 3 : 0);
             const auto queries = numbers(n.at('q'), 1), keys = numbers(n.at('k'), 1);
             heed::attention_into(out[0], in[0], in[1], in[2], heed::logsumexp(out[1]),
                                  heed::key_lengths(lengths), heed::documents(queries, keys));
         }});
    all.push_back({"packed", q_k_v, answers, [](const views& in, const views& out, const sizes& n) {
                       const std::vector<long> queries{0, n.at('q')}, keys{0, n.at('k')};
                       heed::attention_into(out[0], in[0], in[1], in[2], heed::logsumexp(out[1]),
                                            heed::packed(queries, keys));
                   }});
    return all;
}

}  // namespace

TEST_CASE("attention over empty axes gives empty answers") {
    for (const auto& list : {with_tensors(), with_masks()})
        for (const auto& f : list) {
            support::check_empty(f);
            support::check_empty(f, support::few_queries());
        }
}

TEST_CASE("what attention writes has memory of its own") {
    for (const auto& f : with_tensors()) support::check_memory(f);
    support::check_memory(attention("causal", heed::causal), support::few_queries());
}

TEST_CASE("attention with gaps between all elements gives the bits of the dense call") {
    for (const auto& f : with_tensors()) {
        support::check_strides(f);
        support::check_strides(f, support::narrow_sizes());
    }
}
