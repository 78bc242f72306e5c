// SPDX-License-Identifier: MIT
// Other layouts are views: nothing is copied, and the result goes where the caller wants it.
#include <heed/attention.hpp>

#include <cstdio>

int main() {
    // What a fused projection leaves: (batch, position, q | k | v), each 4 heads of 16.
    Eigen::Tensor<float, 3, Eigen::RowMajor> fused(2, 20, 3 * 64);
    for (int i = 0; i < fused.size(); ++i) fused.data()[i] = static_cast<float>(i * 29 % 83) / 41 - 1;
    const auto heads = heed::split_heads(fused, 12);
    const auto q = heads.slice_heads(0, 4), k = heads.slice_heads(4, 4), v = heads.slice_heads(8, 4);

    // A new tensor (batch, head, position, feature) …
    const auto y = heed::attention(q, k, v);
    // … the merged layout (batch, position, heads * feature) that the next projection reads …
    Eigen::Tensor<float, 3, Eigen::RowMajor> merged(2, 20, 64);
    heed::attention_into(heed::split_heads(merged, 4), q, k, v);
    // … or in place of q.
    heed::attention_into(q, q, k, v);
    std::printf("%s\n", y(1, 2, 3, 4) == merged(1, 3, 2 * 16 + 4) && y(1, 2, 3, 4) == fused(1, 3, 2 * 16 + 4)
                            ? "three layouts, the same bits"
                            : "different");

    // Column-major tensors, Eigen's default, have to say so.
    Eigen::Tensor<float, 4> column(16, 20, 4, 2);
    column.setConstant(1);
    const Eigen::Tensor<float, 4> z =
        heed::attention(heed::reversed(column), heed::reversed(column), heed::reversed(column));
    std::printf("%ld features, %ld positions, %ld heads, %ld sequences\n", static_cast<long>(z.dimension(0)),
                static_cast<long>(z.dimension(1)), static_cast<long>(z.dimension(2)),
                static_cast<long>(z.dimension(3)));
}
