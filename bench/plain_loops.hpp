// SPDX-License-Identifier: MIT
// bench/plain_loops.hpp: loops that any user would write instead of a call, for the best target of the
// machine
#pragma once

#include <cmath>

#include <heed/simd/dispatch.hpp>

namespace heed_bench {

inline constexpr long longest_row = 1024;

// What one position of a rule needs beside q, k and v.
struct step {
    long d_k;
    long d_v;
    float scale;
    const float* decay = nullptr;  // a logarithm
    const float* beta = nullptr;
    const float* factors = nullptr;  // e^g of each key feature
};

struct plain_loops {
    void (*linear_step)(const step&, const float* q, const float* k, const float* v, float* S, float* y);
    void (*feature_step)(const step&, const float* q, const float* k, const float* v, float* S, float* y);
    void (*attention_row)(const float* q, const float* k, const float* v, float* y, float* scores, long keys,
                          long d);
    void (*cummax)(const float* o, const float* a1, const float* a2, float* y, float* most, long positions,
                   long d);
    void (*layer_norm)(const float* x, const float* gain, const float* offset, float* y, long n);
};

const plain_loops& loops_on_target();

}  // namespace heed_bench
