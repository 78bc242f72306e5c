// SPDX-License-Identifier: MIT
// A sentence goes through three layers of attention. After each the words that got least of it leave, and the
// next layer has less to do. Words like others get most: what is left is what the sentence keeps saying.
#include <heed/sparse.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <vector>

using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
constexpr int features = 64;

// A fixed vector of length one for a word.
void code(std::string_view word, float* to) {
    std::uint32_t x = 2166136261u;
    for (char c : word) x = (x ^ static_cast<std::uint32_t>(c)) * 16777619u;
    for (int f = 0; f < features; ++f) {
        x = x * 1664525u + 1013904223u;
        to[f] = (x >> 31 != 0 ? 1.0f : -1.0f) / std::sqrt(static_cast<float>(features));
    }
}

int main() {
    const std::vector<std::string_view> words{"a",     "river", "turns",  "the",  "mill",  "and",
                                              "the",   "mill",  "grinds", "corn", "while", "river",
                                              "water", "runs",  "past",   "mill"};
    const auto count = static_cast<heed::index>(words.size());
    tensor x(1, 1, count, features);
    for (heed::index i = 0; i < count; ++i) code(words[static_cast<std::size_t>(i)], &x(0, 0, i, 0));

    heed::token_pruner pruner(1, 1, count);
    for (int layer = 0; layer < 3; ++layer) {
        tensor weights(1, 1, pruner.tokens_left(), pruner.tokens_left());
        const tensor y = heed::attention(x, x, x, heed::scale(4.0f), heed::weights(weights));
        pruner.observe(weights);
        pruner.prune_tokens(0.7);
        x = pruner.gather(y);
        std::printf("after layer %d:", layer + 1);
        for (heed::index i : pruner.kept_tokens())
            std::printf(" %.*s", static_cast<int>(words[static_cast<std::size_t>(i)].size()),
                        words[static_cast<std::size_t>(i)].data());
        std::printf("\n");
    }
    bool kept_mills = pruner.tokens_left() == 7;
    for (heed::index mill : {4, 7, 15}) {
        bool kept = false;
        for (heed::index i : pruner.kept_tokens()) kept = kept || i == mill;
        kept_mills = kept_mills && kept;
    }
    return kept_mills ? 0 : 1;
}
