// SPDX-License-Identifier: MIT
// tests/arguments/sparse.cpp: empty axes and memory of what stands in heed/sparse.hpp beside attention
#include <heed/rotary.hpp>
#include <heed/sparse.hpp>

#include "support/arguments.hpp"

namespace {

using support::argument;
using support::sizes;
using support::views;
using support::with;

const std::vector<argument> q_k_v{{"q", "bhqd"}, {"k", "bgkd"}, {"v", "bgke"}, {"gates", "bhq3"}};
const heed::native_blocks small_blocks{
    .compress_block = 4, .compress_stride = 2, .select_block = 4, .select_count = 3, .window = 3};

std::vector<support::function_call> calls() {
    std::vector<support::function_call> all;
    all.push_back({"native_sparse_attention",
                   q_k_v,
                   {{"y", "bhqe", "q"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::native_sparse_attention_into(out[0], in[0], in[1], in[2], in[3], small_blocks);
                       (void)heed::native_sparse_attention(in[0], in[1], in[2], in[3]);
                   }});
    all.push_back({"native_sparse_attention_backward",
                   with(q_k_v, {{"dy", "bhqe"}}),
                   {{"dq", "bhqd"}, {"dk", "bgkd"}, {"dv", "bgke"}, {"dgates", "bhq3"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::native_sparse_attention_backward_into(out[0], out[1], out[2], out[3], in[4],
                                                                   in[0], in[1], in[2], in[3], small_blocks);
                       (void)heed::native_sparse_attention_backward(in[4], in[0], in[1], in[2], in[3]);
                   }});
    all.push_back({"native_sparse_attention, compressed keys",
                   q_k_v,
                   {{"y", "bhqe", "q"}},
                   [](const views& in, const views& out, const sizes& n) {
                       heed::compressed_keys<float> keys(n.at('b'), n.at('g'), n.at('d'), n.at('e'), 4, 2);
                       keys.append(in[1], in[2]);
                       keys.truncate(keys.length());
                       heed::native_sparse_attention_into(out[0], in[0], in[1], in[2], in[3], small_blocks,
                                                          heed::compressed(keys));
                   }});
    all.push_back({"linformer",
                   {{"q", "bhqd"}, {"k", "bgkd"}, {"v", "bgke"}, {"e", "1grk"}, {"f", "11rk"}},
                   {{"y", "bhqe", "q"}, {"logsumexp", "1bhq"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::linformer_into(out[0], in[0], in[1], in[2], in[3], in[4],
                                            heed::logsumexp(out[1]));
                       (void)heed::linformer(in[0], in[1], in[2], in[3], in[4]);
                   }});
    all.push_back({"polynomial_softmax",
                   {{"x", "bhqd"}},
                   {{"y", "bhqd", "x"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::polynomial_softmax_into(out[0], in[0]);
                       (void)heed::polynomial_softmax(in[0]);
                   }});
    all.push_back({"polynomial_softmax_backward",
                   {{"dy", "bhqd"}, {"x", "bhqd"}},
                   {{"dx", "bhqd", "dy"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::polynomial_softmax_backward_into(out[0], in[0], in[1]);
                       (void)heed::polynomial_softmax_backward(in[0], in[1]);
                   }});
    all.push_back({"quantise_progressively",
                   {{"x", "bhqd"}},
                   {{"y", "bhqd", "x"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::quantise_progressively_into(out[0], in[0], 3, {});
                       (void)heed::quantise_progressively(in[0], 3, {});
                   }});
    all.push_back({"token_pruner",
                   {{"weights", "bhqk"}, {"output", "bhqd"}, {"x", "bhkd"}},
                   {{"y", "bhkd", "", false, "weights output"}},
                   [](const views& in, const views& out, const sizes& n) {
                       heed::token_pruner<float> pruner(n.at('b'), n.at('h'), n.at('k'));
                       pruner.observe(in[0]);
                       pruner.observe_output(in[1]);
                       pruner.gather_into(out[0], in[2]);
                       pruner.prune_tokens(0.5);
                       pruner.prune_heads(0.5);
                       (void)pruner.gather(in[2]);
                       (void)pruner.gather_heads(in[2]);
                   }});
    all.push_back({"page_bounds", {{"k", "bgkd"}}, {}, [](const views& in, const views&, const sizes& n) {
                       heed::page_bounds<float> bounds(n.at('b'), n.at('g'), n.at('d'), 2);
                       bounds.append(in[0]);
                       bounds.append(in[0]);
                       bounds.truncate(0);
                   }});
    all.push_back({"rotary",
                   {{"x", "bhqd"}, {"cos", "11qp"}, {"sin", "11qp"}},
                   {{"y", "bhqd", "x"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::rotary_into(out[0], in[0], in[1], in[2]);
                       (void)heed::rotary(in[0], in[1], in[2], heed::interleaved);
                   }});
    all.push_back({"rotary_backward",
                   {{"dy", "bhqd"}, {"cos", "1bqp"}, {"sin", "1bqp"}},
                   {{"dx", "bhqd", "dy"}},
                   [](const views& in, const views& out, const sizes&) {
                       heed::rotary_backward_into(out[0], in[0], in[1], in[2]);
                       (void)heed::rotary_backward(in[0], in[1], in[2]);
                   }});
    return all;
}

sizes usual() {
    sizes n = support::usual_sizes();
    n['r'] = 3;
    return n;
}

}  // namespace

TEST_CASE("sparse attention over empty axes gives empty answers") {
    for (const auto& f : calls()) support::check_empty(f, usual());
    (void)heed::rotary_table<float>(0, 8);
    (void)heed::rotary_table<float>(8, 0);
    std::vector<float> scores;
    std::vector<int> indices;
    CHECK(heed::select_top_k(scores, 3, indices) == 0);
    scores.resize(5);
    CHECK(heed::select_top_k(scores, 0, indices) == 0);
}

TEST_CASE("what sparse attention writes has memory of its own") {
    for (const auto& f : calls()) support::check_memory(f, usual());
}

TEST_CASE("sparse attention with gaps between all elements gives the bits of the dense call") {
    for (const auto& f : calls()) {
        support::check_strides(f, usual());
        support::check_strides(f, support::narrow_sizes());
    }
}
