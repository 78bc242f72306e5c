// SPDX-License-Identifier: MIT
// bench/naive_native.cpp: the naive baseline built for this very machine (-march=native)
//
// Eigen is up to twice as fast with AVX as with the SSE2 of a plain build, and a comparison that hid
// this would flatter us. The file is a shared library with hidden symbols because
// two units with different flags in one program may not share Eigen's templates: the linker would
// keep one copy of each and mix the two.
#include "naive.hpp"

namespace heed_bench {
namespace {

void one_head(const float* q, const float* k, const float* v, float* y, float* scores, size queries,
              size keys, size head_dim) {
    naive_attention(q, k, v, y, scores, queries, keys, head_dim);
}

}  // namespace

[[gnu::visibility("default")]] naive_head& naive_native() { return one_head; }

}  // namespace heed_bench
