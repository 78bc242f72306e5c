// SPDX-License-Identifier: MIT
// bench/naive.cpp: the naive Eigen softmax, built like heed and built for this machine, and plain loops
//
// It computes every pair, whatever a variant's mask hides: a mask would only add to its time. One thread.
#include "naive.hpp"

#include "variant.hpp"

namespace heed_bench {
namespace {

// Longer ones would spend the run's time on a curve whose slope is known.
constexpr double most_score_bytes = 256e6;

double score_bytes(const shape& s) { return 4.0 * double(s.queries) * double(s.keys); }

variant naive(std::string name, std::string formula, naive_head& one_head) {
    variant v;
    v.family = "eigen";
    v.name = std::move(name);
    v.formula = std::move(formula);
    v.flops = [](const shape& s) {
        return 4.0 * double(s.batch * s.heads * s.head_dim) * double(s.queries) * double(s.keys);
    };
    v.bytes = qkv_bytes;
    v.bind = [&one_head](const problem& p, tensor& y, const heed::thread_pool&) {
        auto scores = std::make_shared<std::vector<float>>();
        return bound_call{[&, scores] { naive_all_heads(one_head, p, y, *scores); },
                          [scores] { return scores->size() * sizeof(float); }};
    };
    v.reference = [](const problem& p, size batch, size head, size query) {
        return softmax_row(p, batch, head, query, [](double score, const place&) { return score; });
    };
    v.takes = [](const shape& s) { return score_bytes(s) <= most_score_bytes; };
    return v;
}

const registered same_flags(naive("naive", "softmax(Q * K.transpose()) * V", naive_attention<float>));
const registered loops(naive("loops", "plain loops over queries, keys and features", loop_attention));
const registered native(naive("naive_native", "the same, built with -O3 -march=native", naive_native()));

}  // namespace
}  // namespace heed_bench
