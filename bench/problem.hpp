// SPDX-License-Identifier: MIT
// bench/problem.hpp: the shape of one call and the tensors it reads
#pragma once

#include <cstddef>
#include <unsupported/Eigen/CXX11/Tensor>

namespace heed_bench {

using size = std::ptrdiff_t;
using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;  // (batch, head, position, feature)

struct shape {
    size batch = 1, heads = 1, kv_heads = 1;
    size queries = 0, keys = 0;
    size head_dim = 64;

    size shift() const { return keys - queries; }  // lines the last query up with the last key
    size tokens() const { return batch * queries; }
    friend bool operator==(const shape&, const shape&) = default;
};

inline shape self(size heads, size length, size head_dim) {
    return {1, heads, heads, length, length, head_dim};
}

struct problem {
    shape extent;
    tensor q, k, v;
};

}  // namespace heed_bench
