// SPDX-License-Identifier: MIT
// Masks combine like sets, a lambda becomes part of the kernel, and everything a call knows can be had.
#include <heed/heed.hpp>

#include <cstdio>
#include <vector>

int main() {
    using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
    tensor q(2, 8, 96, 64), k(2, 2, 96, 64), v(2, 2, 96, 64);  // four query heads share a key/value head
    for (tensor* t : {&q, &k, &v})
        for (int i = 0; i < t->size(); ++i) t->data()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;

    // The last 32 keys and a prefix of 4, of sequences of 96 and 50 keys.
    const std::vector<int> lengths{96, 50};
    const auto visible = heed::causal & (heed::window(31, 0) | heed::prefix(4)) & heed::key_lengths(lengths);

    // Any function of a score and its place; arithmetic and heed::math vectorise.
    const auto decay = [](auto s, heed::at i) {
        return s * heed::math::exp(-0.01f * static_cast<float>(i.query - i.key));
    };

    tensor y(2, 8, 96, 64);
    Eigen::Tensor<float, 3, Eigen::RowMajor> logsumexp(2, 8, 96);
    heed::workspace workspace;  // calls with it allocate nothing once it has grown
    heed::thread_pool pool(2);
    heed::attention_into(y, q, k, v, visible, heed::score(decay), heed::softcap(30),
                         heed::logsumexp(logsumexp), heed::use(workspace), heed::on(pool));
    std::printf("y[0, 0, 95, 0] = %.4f, log-sum-exp %.4f\n", static_cast<double>(y(0, 0, 95, 0)),
                static_cast<double>(logsumexp(0, 0, 95)));

    // Bad input: a clear text, before anything is written.
    try {
        tensor wrong(2, 8, 95, 64);
        heed::attention_into(wrong, q, k, v);
    } catch (const heed::error& error) {
        std::printf("%s\n", error.what());
    }
}
