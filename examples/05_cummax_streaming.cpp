// SPDX-License-Identifier: MIT
// A long text streams through cummax attention: one state of heads x features numbers, whatever the length.
#include <heed/heed.hpp>

#include <cmath>
#include <cstdio>

using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
constexpr int heads = 4, features = 16, part = 250, parts = 400;  // 100,000 tokens

// Stands for a layer's projections of `part` tokens, the first of which is number `first`.
static void project(tensor& o, tensor& a1, tensor& a2, int first) {
    for (int h = 0; h < heads; ++h)
        for (int t = 0; t < part; ++t)
            for (int f = 0; f < features; ++f) {
                const float x = static_cast<float>((first + t) * (f + 3) % 997) / 500 - 1;
                o(0, h, t, f) = x * x * x - static_cast<float>(h) / 8;
                a1(0, h, t, f) = x / 2;
                a2(0, h, t, f) = 1 - x;
            }
}

int main() {
    tensor o(1, heads, part, features), a1(o), a2(o), y(o);
    heed::workspace workspace;

    // Part by part: y is the output of these tokens over everything before them.
    heed::cummax_state<float> state(1, heads, features);
    double sum = 0;
    for (int i = 0; i < parts; ++i) {
        project(o, a1, a2, i * part);
        state.attend_into(y, o, a1, a2, heed::use(workspace));
        for (int j = 0; j < y.size(); ++j) sum += y.data()[j];
    }

    // Two readers, each with half of the text; the later half joins the first.
    heed::cummax_state<float> first(1, heads, features), second(first);
    for (int i = 0; i < parts; ++i) {
        project(o, a1, a2, i * part);
        (i < parts / 2 ? first : second).absorb(o);
    }
    first.merge(second);
    bool same = true;
    for (int j = 0; j < state.maxima().size(); ++j)
        same = same && first.maxima().data()[j] == state.maxima().data()[j];

    std::printf("%d tokens, state and scratch of %zu bytes, mean output %.6f\n", part * parts,
                static_cast<std::size_t>(state.maxima().size()) * sizeof(float) + workspace.bytes(),
                sum / (double(part) * parts * heads * features));
    std::printf("two halves merged and one stream agree to the bit: %s\n", same ? "yes" : "no");
    return same && std::isfinite(sum) ? 0 : 1;
}
