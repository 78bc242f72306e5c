// SPDX-License-Identifier: MIT
// Keys that come in parts: a state takes them in, in any order, and two states merge into one.
#include <heed/heed.hpp>

#include <cmath>
#include <cstdio>

int main() {
    using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
    tensor q(1, 4, 3, 32), k(1, 4, 1000, 32), v(1, 4, 1000, 32);
    for (tensor* t : {&q, &k, &v})
        for (int i = 0; i < t->size(); ++i) t->data()[i] = static_cast<float>(i * 53 % 97) / 48 - 1;
    const auto keys = heed::as_view(k);
    const auto values = heed::as_view(v);

    // Two workers (threads, processes, machines), each with its half of the keys, in pieces of 100.
    heed::softmax_state<float> first(1, 4, 3, 32), second(1, 4, 3, 32);
    for (int at = 0; at < 500; at += 100) {
        first.absorb(q, keys.slice_positions(at, 100), values.slice_positions(at, 100));
        second.absorb(q, keys.slice_positions(500 + at, 100), values.slice_positions(500 + at, 100));
    }
    first.merge(second);
    tensor y(1, 4, 3, 32);
    first.finish_into(y);

    const tensor whole = heed::attention(q, k, v);
    float difference = 0;
    for (int i = 0; i < y.size(); ++i)
        difference = std::fmax(difference, std::fabs(y.data()[i] - whole.data()[i]));
    std::printf("eleven parts and one call differ by less than 1e-6: %s\n",
                difference < 1e-6f ? "yes" : "no");
    return difference < 1e-6f ? 0 : 1;
}
