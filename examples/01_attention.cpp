// SPDX-License-Identifier: MIT
// Causal self-attention over a batch of two sequences: include, call, done.
#include <heed/attention.hpp>

#include <cstdio>

int main() {
    using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;  // (batch, head, position, feature)
    tensor q(2, 8, 128, 64), k(2, 8, 128, 64), v(2, 8, 128, 64);
    for (tensor* t : {&q, &k, &v})
        for (int i = 0; i < t->size(); ++i) t->data()[i] = static_cast<float>(i % 101) / 50 - 1;

    tensor y = heed::attention(q, k, v, heed::causal);
    std::printf("y[1, 7, 127, 0] = %.4f\n", static_cast<double>(y(1, 7, 127, 0)));
}
