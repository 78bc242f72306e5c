// SPDX-License-Identifier: MIT
// bench/one_shape.cpp: times one call of heed, in a program small enough to build in many ways
//
//     one_shape HEADS LENGTH HEAD_DIM [causal | decode:KV_HEADS]
//
// prints the best seconds of one call. bench/figures builds it with other flags and compilers and
// compares the times; bench/peers runs it beside another library. White noise will do here: an exact
// kernel's time does not depend on the values.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include <heed/attention.hpp>

#include "measure.hpp"
#include "problem.hpp"

int main(int count, char** values) {
    using namespace heed_bench;
    if (count < 4)
        return std::fprintf(stderr, "usage: one_shape HEADS LENGTH HEAD_DIM [causal | decode:KV_HEADS]\n"), 2;
    shape s = self(std::atol(values[1]), std::atol(values[2]), std::atol(values[3]));
    const char* kind = count > 4 ? values[4] : "";
    const bool causal = std::strcmp(kind, "causal") == 0;
    if (std::strncmp(kind, "decode:", 7) == 0) {
        s.kv_heads = std::atol(kind + 7);
        s.queries = 1;
    }
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    const auto filled = [&](size heads, size positions) {
        tensor t(s.batch, heads, positions, s.head_dim);
        for (size i = 0; i < t.size(); ++i) t.data()[i] = normal(random);
        return t;
    };
    const tensor q = filled(s.heads, s.queries), k = filled(s.kv_heads, s.keys),
                 v = filled(s.kv_heads, s.keys);
    tensor y(q.dimensions());
    heed::workspace workspace;
    const double seconds = best_time(
        [&] {
            if (causal)
                heed::attention_into(y, q, k, v, heed::causal, heed::use(workspace));
            else
                heed::attention_into(y, q, k, v, heed::use(workspace));
        },
        {0.5, 5, 2000});
    std::printf("%.9g\n", seconds);
}
