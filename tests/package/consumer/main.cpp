// SPDX-License-Identifier: MIT
// The smallest program a user may write. With a single key the output is that key's value.
#include <heed/attention.hpp>

#include <cstdio>

int main() {
    Eigen::Tensor<float, 4, Eigen::RowMajor> q(1, 2, 3, 8), k(1, 2, 1, 8), v(1, 2, 1, 5);
    q.setRandom();
    k.setRandom();
    v.setRandom();
    const Eigen::Tensor<float, 4, Eigen::RowMajor> y = heed::attention(q, k, v);
    for (int head = 0; head < 2; ++head)
        for (int query = 0; query < 3; ++query)
            for (int feature = 0; feature < 5; ++feature)
                if (y(0, head, query, feature) != v(0, head, 0, feature)) return 1;
    std::puts("heed is found, built and right");
}
